//! Canaries: worlds in which something is broken on purpose. Each breaks what a shard is told, what it is told
//! when, or what it says; the watch must notice, or it proves nothing.

use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::limits::Capacity;
use authepy_engine::request::{Approved, Charge, Command, Outcome, Source};
use authepy_engine::shard::Settings;
use authepy_engine::testing::falsify;

use crate::facts::Facts;
use crate::watch::Watch;

macro_rules! sabotages {
    ($($name:ident: $noticed:literal),* $(,)?) => {
        /// What is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Sabotage { None, $($name),* }

        impl Sabotage {
            pub(crate) const ALL: &[Sabotage] = &[$(Sabotage::$name),*];

            /// What the watch must say of it.
            pub(crate) fn noticed(self) -> &'static str {
                match self {
                    Self::None => "",
                    $(Self::$name => $noticed),*
                }
            }
        }
    };
}

sabotages! {
    // Other rules than the watch's.
    OneTryMore: "tries left",
    CodesLiveLonger: "its end",
    OneMailMore: "more mails of a project than its budget",
    OneMailMoreForAll: "more mails of all projects than its budget",
    AProjectIsNoBound: "more mails of a project than its budget",
    OneMailMoreForAPeer: "more than its share",
    OneStrikeLess: "banned after 4 strikes",
    NoCeiling: "bytes, over",
    GuessesAreFree: "hits in 10⁶",
    // What is said, or withheld.
    StrangersPassForOwners: "foreign verification was found",
    NoncesAreRepaired: "another nonce",
    ARightCodeWorksAgain: "ended or foreign verification was found: Approved",
    AFailedTryIsTakenBack: "tries left",
    ShardsForget: "a live verification was not found",
    AsksGoAstray: "was not found by its owner",
    TimeGoesBack: "its end",
    MailGoesOutTwice: "a mail came twice",
    KnownInboxesShow: "mails left",
    RevocationsAreNotHeard: "a revoked key was let in",
    ClaimsBanForAll: "banned after",
    BansAreNotHeard: "has not heard of a ban",
    BansAreLiftedByNoise: "a banned peer was heard",
}

impl Sabotage {
    /// The rules that shards get, where those of the watch are `stated`.
    pub(crate) fn settings(self, stated: Settings) -> Settings {
        let mut real = stated;
        match self {
            Self::OneTryMore => real.attempts += 1,
            Self::CodesLiveLonger => real.lifetime += Duration::from_secs(1),
            Self::OneMailMore => real.recipient_issue.iter_mut().for_each(|limit| limit.count += 1),
            Self::OneMailMoreForAPeer => {
                real.recipient_peer_issue.iter_mut().for_each(|limit| limit.count += 1);
            }
            Self::OneMailMoreForAll => real.recipient_all_issue.iter_mut().for_each(|limit| limit.count += 1),
            Self::AProjectIsNoBound => real.recipient_issue.clear(),
            Self::OneStrikeLess => real.bans.strikes.iter_mut().for_each(|limit| limit.count -= 1),
            Self::NoCeiling => real.capacity = Capacity::UNBOUNDED,
            Self::GuessesAreFree => real.recipient_guess.clear(),
            _ => {}
        }
        real
    }

    /// What the shard is told.
    pub(crate) fn told(self, command: Command, watch: &Watch) -> Command {
        match (self, command) {
            (Self::StrangersPassForOwners, Command::Check(mut check)) => {
                if let Some(case) = watch.case(&check.slot.id.digest()) {
                    falsify(&mut check).slot.owner = case.owner;
                }
                Command::Check(check)
            }
            (Self::NoncesAreRepaired, Command::Check(mut check)) => {
                falsify(&mut check).nonce =
                    watch.case(&check.slot.id.digest()).and_then(|case| case.nonce).or(check.nonce);
                Command::Check(check)
            }
            (Self::ClaimsBanForAll, Command::Charge(charge)) => {
                Command::Charge(Charge { source: Source::Proved, ..charge })
            }
            (_, command) => command,
        }
    }

    /// What the shard's outcome becomes.
    pub(crate) fn says(self, mut outcome: Outcome, facts: &Facts, watch: &Watch) -> Outcome {
        match (self, &mut outcome, facts) {
            (Self::ARightCodeWorksAgain, Outcome::Refused(_), Facts::Check { id, code, .. })
                if watch.case(id).is_some_and(|case| case.approved && case.has_code(code)) =>
            {
                let expires = Moment::default();
                Outcome::Approved(Approved { purpose: "login".into(), unix_ms: 0, expires, answered: None })
            }
            (Self::AFailedTryIsTakenBack, Outcome::Incorrect { attempts_remaining, .. }, _) => {
                *attempts_remaining += 1;
                outcome
            }
            (Self::KnownInboxesShow, Outcome::Issued(issued), Facts::Issue(issue))
                if watch.is_known(&issue.inbox) =>
            {
                issued.standing.sends_remaining -= 1;
                outcome
            }
            _ => outcome,
        }
    }
}
