//! How many of an API key's mails were answered by a correct code. Where hardly any were, somebody
//! is paying for mails that nobody asked for.
//!
//! ```text
//!   mailed ──▶ [ 10 s │ 10 s │ … ]        a correct code counts in the step in which its mail was sent
//!                └── 600 s ──┘└ 60 s ┘
//!                reported      too new: people are still typing
//! ```
//!
//! Nothing is refused here. Each shard counts the mails of its own inboxes; the operator sees the
//! sum.

use ahash::HashMap;

use crate::clock::{Moment, Span};
use crate::identity::{KeyTag, Mode, Owner, ProjectId};
use crate::limits::{CONVERSION_GRACE, CONVERSION_KEYS, CONVERSION_WINDOW};
use crate::request::{Answered, Conversion};
use crate::route::PeerShare;
use crate::rules::Rules;

const STEP_MILLIS: u64 = 10_000;
/// The steps that are reported, those that are too new, and the one that has just begun.
const STEPS: usize =
    (CONVERSION_WINDOW.as_millis() + CONVERSION_GRACE.as_millis()) as usize / STEP_MILLIS as usize + 1;
const NEW_STEPS: u64 = CONVERSION_GRACE.as_millis() as u64 / STEP_MILLIS + 1;

#[derive(Clone, Copy, Default)]
struct Count {
    mailed: u32,
    answered: u32,
}

struct Steps {
    /// The newest step written to.
    newest: u64,
    counts: [Count; STEPS],
}

/// The counts of all watched keys. Owned by the inboxes of a shard.
#[derive(Default)]
pub(crate) struct Conversions {
    keys: HashMap<(ProjectId, KeyTag), Steps>,
}

impl Conversions {
    /// Counts a mail, if its inbox will still remember it when its code ends.
    pub(crate) fn mailed(
        &mut self,
        (owner, key, peer): (Owner, KeyTag, Option<PeerShare>),
        life: Span,
        rules: &Rules,
        now: Moment,
    ) {
        if owner.mode == Mode::Test || !rules.mails.remember(peer, life) {
            return;
        }
        let name = (owner.project, key);
        if self.keys.len() >= CONVERSION_KEYS && !self.keys.contains_key(&name) {
            self.keys.retain(|_, steps| steps.newest + STEPS as u64 > step_of(now));
            if self.keys.len() >= CONVERSION_KEYS {
                return;
            }
        }
        let new = || Steps { newest: 0, counts: [Count::default(); STEPS] };
        self.keys.entry(name).or_insert_with(new).at(step_of(now)).mailed += 1;
    }

    /// Counts a correct code.
    pub(crate) fn answered(&mut self, owner: Owner, answered: &Answered, now: Moment) {
        let step = step_of(answered.at);
        if let Some(steps) = self.keys.get_mut(&(owner.project, answered.key))
            && owner.mode == Mode::Live
            && step + STEPS as u64 > step_of(now).max(steps.newest)
        {
            steps.counts[step as usize % STEPS].answered += 1;
        }
    }

    /// The counts of mails older than the grace minute, over ten minutes.
    pub(crate) fn list(&self, now: Moment) -> Vec<Conversion> {
        let now = step_of(now);
        let told = |(&(project, key), steps): (&(ProjectId, KeyTag), &Steps)| {
            let seen = (now.saturating_sub(STEPS as u64 - 1)..(now + 1).saturating_sub(NEW_STEPS))
                .filter(|step| *step <= steps.newest && *step + STEPS as u64 > steps.newest)
                .map(|step| steps.counts[step as usize % STEPS]);
            let sum = seen.fold(Count::default(), |sum, count| Count {
                mailed: sum.mailed + count.mailed,
                answered: sum.answered + count.answered,
            });
            Conversion { project, key, mailed: sum.mailed, answered: sum.answered }
        };
        self.keys.iter().map(told).filter(|conversion| conversion.mailed > 0).collect()
    }
}

impl Steps {
    /// The count of this step. Clears the steps between the newest one and it.
    fn at(&mut self, step: u64) -> &mut Count {
        if step > self.newest {
            let first = (self.newest + 1).max(step.saturating_sub(STEPS as u64 - 1));
            (first..=step).for_each(|step| self.counts[step as usize % STEPS] = Count::default());
            self.newest = step;
        }
        &mut self.counts[step as usize % STEPS]
    }
}

fn step_of(moment: Moment) -> u64 {
    moment.as_millis() / STEP_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::as_shipped;

    const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };

    struct Story {
        conversions: Conversions,
        rules: Rules,
    }

    impl Story {
        fn new() -> Self {
            Self { conversions: Conversions::default(), rules: Rules::of(as_shipped()) }
        }

        fn mailed(&mut self, owner: Owner, key: u16, second: u64) {
            let (sender, life) = ((owner, KeyTag(key), None), Span::of(CONVERSION_WINDOW));
            self.conversions.mailed(sender, life, &self.rules, Moment::from_millis(second * 1_000));
        }

        fn answered(&mut self, owner: Owner, key: u16, mailed: u64, second: u64) {
            let at = Moment::from_millis(mailed * 1_000);
            let answered = Answered { at, key: KeyTag(key), peer: None, domain: None };
            self.conversions.answered(owner, &answered, Moment::from_millis(second * 1_000));
        }

        /// Mails and answers of one key of the project.
        fn told(&self, key: u16, second: u64) -> Option<(u32, u32)> {
            let list = self.conversions.list(Moment::from_millis(second * 1_000));
            let of_key = list.iter().find(|told| told.key == KeyTag(key) && told.project == OWNER.project)?;
            Some((of_key.mailed, of_key.answered))
        }
    }

    #[test]
    fn a_mail_is_told_once_it_has_had_its_minute_and_for_ten_more() {
        let mut story = Story::new();
        story.mailed(OWNER, 1, 5);
        story.answered(OWNER, 1, 5, 30);
        assert_eq!(story.told(1, 59), None, "people are still typing");
        assert_eq!(story.told(1, 70), Some((1, 1)));
        assert_eq!(story.told(1, 660), Some((1, 1)));
        assert_eq!(story.told(1, 670), None, "older than ten minutes and the newest one");
    }

    #[test]
    fn an_answer_counts_with_its_mail_and_never_for_another() {
        let mut story = Story::new();
        for second in 0..600 {
            story.mailed(OWNER, 1, second);
            story.mailed(OWNER, 2, second);
        }
        for second in (0..600).step_by(10) {
            story.answered(OWNER, 1, second, second + 20);
            story.answered(Owner { project: ProjectId(2), ..OWNER }, 2, second, second + 20);
            story.answered(Owner { mode: Mode::Test, ..OWNER }, 2, second, second + 20);
        }
        assert_eq!(story.told(1, 660), Some((600, 60)));
        assert_eq!(story.told(2, 660), Some((600, 0)));
        // An answer to a mail that is no longer reported does not count for the mails that reuse
        // its step.
        (0..600).for_each(|second| story.mailed(OWNER, 1, 1_000 + second));
        story.answered(OWNER, 1, 5, 1_600);
        assert_eq!(story.told(1, 1_660), Some((600, 0)));
    }

    #[test]
    fn test_keys_and_what_no_window_remembers_are_not_watched() {
        let mut story = Story::new();
        story.mailed(Owner { mode: Mode::Test, ..OWNER }, 1, 0);
        assert_eq!(story.told(1, 70), None);
        let mut none = as_shipped();
        (none.recipient_issue, none.recipient_peer_issue, none.recipient_all_issue) = Default::default();
        story.rules = Rules::of(none);
        story.mailed(OWNER, 1, 0);
        assert_eq!(story.told(1, 70), None);
    }

    #[test]
    fn as_many_keys_are_watched_as_there_is_room_for_and_quiet_ones_make_room() {
        let mut story = Story::new();
        for key in 0..2_000 {
            story.mailed(OWNER, key, 0);
        }
        assert_eq!(story.conversions.keys.len(), CONVERSION_KEYS);
        assert_eq!((story.told(3, 70), story.told(1_999, 70)), (Some((1, 0)), None));
        story.mailed(OWNER, 1_999, 1_000);
        assert_eq!(story.told(1_999, 1_070), Some((1, 0)));
        assert_eq!(story.conversions.keys.len(), 1);
    }
}
