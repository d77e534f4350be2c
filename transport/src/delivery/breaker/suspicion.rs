//! When stalls on recipients are the provider's fault.
//!
//! A relay may ask a recipient's own host before it answers, and a stranger chooses both. So a stall
//! counts against the provider only when recipients of three domains, of two projects where two send,
//! met one with no mail taken in between (contract, section 8).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::recipient::RegistrableDomain;

use super::Verdict;

/// Domains that have to meet a stall.
const DOMAINS_MIN: usize = 3;
/// Projects that have to meet a stall, where as many send.
const PROJECTS_MIN: usize = 2;
/// How long a project counts as sending.
const SENDS_FOR: Duration = Duration::from_secs(600);

/// The recipient of a mail, by digests that never leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Recipient {
    /// Of the registrable domain.
    pub(super) domain: u64,
    /// Of the project's name; `None` for a mail of the service itself.
    pub(super) project: Option<u64>,
}

impl Recipient {
    /// Of a domain in A-labels.
    pub(in crate::delivery) fn of(domain: &str, project: Option<&str>) -> Self {
        let domain = domain.to_ascii_lowercase();
        Self { domain: digest(RegistrableDomain::of(&domain).as_str()), project: project.map(digest) }
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What stalled since the provider last took a mail.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// How many mails did, since the provider was last blamed.
    suspects: u32,
    /// Their domains and projects: as many as it takes, so that one project can't fill them for all.
    domains: Vec<u64>,
    projects: Vec<u64>,
    /// The two projects whose mails ended last, and when.
    senders: [Option<(u64, Moment)>; 2],
}

impl Suspicion {
    /// A mail of this project ended, in whatever way.
    pub(super) fn met(&mut self, now: Moment, project: Option<u64>) {
        let Some(project) = project else { return };
        match self.senders {
            [Some((last, _)), _] if last == project => self.senders[0] = Some((project, now)),
            [last, _] => self.senders = [Some((project, now)), last],
        }
    }

    /// A mail was taken.
    pub(super) fn clear(&mut self) {
        self.suspects = 0;
        self.domains.clear();
        self.projects.clear();
    }

    /// Remembers a stall. Returns how many stalls the provider is to blame for from now on, 0 if for none.
    pub(super) fn blames(&mut self, now: Moment, verdict: Verdict, recipient: Recipient) -> u32 {
        if verdict != Verdict::Suspect {
            return 0;
        }
        self.suspects = self.suspects.saturating_add(1);
        add(&mut self.domains, recipient.domain, DOMAINS_MIN);
        recipient.project.into_iter().for_each(|project| add(&mut self.projects, project, PROJECTS_MIN));
        let is_enough =
            self.domains.len() == DOMAINS_MIN && (self.projects.len() == PROJECTS_MIN || !self.two_send(now));
        if is_enough { std::mem::take(&mut self.suspects) } else { 0 }
    }

    fn two_send(&self, now: Moment) -> bool {
        self.senders.iter().flatten().filter(|(_, at)| now.since(*at) < SENDS_FOR).count() == 2
    }
}

/// Adds a value that is not in `seen` yet, up to `most` of them.
fn add(seen: &mut Vec<u64>, value: u64, most: usize) {
    if seen.len() < most && !seen.contains(&value) {
        seen.push(value);
    }
}
