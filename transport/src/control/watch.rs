//! The service's own alerts: mails the operator about events that would otherwise show only in
//! metrics.
//!
//! ```text
//!   every WATCH_EVERY: readings ─▶ Watch::look ─▶ alarms ─▶ a mail to each of `alerts.to`
//!                                     └─ the same alarm again only after ALARM_AGAIN_AFTER
//! ```
//!
//! It only reads counters: if it hangs, requests, mails and bans are not affected.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::clock::{Clock, Moment, Now};
use authepy_engine::entropy::Entropy;
use tokio::time::sleep;

use super::conversion::{self, LowConversion};
use crate::control::Shared;
use crate::delivery::events::What;
use crate::delivery::{Content, MailJob, MailQueue, Notice};
use crate::ground::entropy::OsEntropy;
use crate::limits::ALERT_LIFETIME;
use crate::metrics::Counters;

/// How often it checks.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How long an alarm is not repeated.
const ALARM_AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Number of bans begun within [`STORM_SPAN`] that make a storm; one or two shared addresses cause
/// fewer.
const STORM_BANS: u64 = 50;
const STORM_SPAN: Duration = Duration::from_secs(60);
/// Memory accounted for an alarm in the mail queue: one place.
const ALARM_BYTES: usize = 1_024;
/// Percentage of `memory.ceiling` from which on an alarm is raised: soon new issues will be
/// refused.
const CEILING_NEAR_PERCENT: u64 = 80;

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Readings {
    bans: u64,
    keys_exposed: u64,
    failovers: u64,
    memory_bytes: u64,
}

impl Readings {
    fn of(lanes: &[Arc<Counters>], mail: &MailQueue) -> Self {
        Self {
            bans: lanes.iter().map(|lane| lane.bans()).max().unwrap_or(0),
            keys_exposed: lanes.iter().map(|lane| lane.keys_exposed()).sum(),
            failovers: mail.counters().failovers(),
            memory_bytes: lanes.iter().map(|lane| lane.state_bytes()).sum::<u64>() + mail.bytes(),
        }
    }
}

/// Kinds of alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    BanStorm,
    KeyExposed,
    FailOver,
    CeilingNear,
}

impl Alarm {
    fn subject(self) -> &'static str {
        match self {
            Self::BanStorm => "Many networks are being banned",
            Self::KeyExposed => "A secret key was used from a browser",
            Self::FailOver => "A mail provider fails",
            Self::CeilingNear => "Memory is nearly full",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::BanStorm => {
                "Within a minute, 50 networks or more were banned for breaking their limits.\n\
                 `authepy ban list` shows them; `authepy ban remove` lifts a ban that hit a legitimate network.\n"
            }
            Self::KeyExposed => {
                "A request with a secret API key looked like a browser's or an app's: everyone who has that app \
                 has the key.\nThe log names the key (event key.exposed). Replace it: `authepy key rotate`.\n"
            }
            Self::FailOver => {
                "A mail provider failed several times in a row and is not used for a while; the next one on \
                 the list takes its mails, if there is one.\nThe log names the provider and the last fault.\n"
            }
            Self::CeilingNear => {
                "Ephemeral state takes more than 80 % of memory.ceiling. At the ceiling new codes are refused \
                 (503 overloaded); live ones keep working.\n"
            }
        }
    }
}

/// Previous readings and alarms.
#[derive(Default)]
pub(super) struct Watch {
    last: Option<Readings>,
    /// Bans at earlier checks within [`STORM_SPAN`], oldest first.
    bans: VecDeque<(Moment, u64)>,
    told: HashMap<Alarm, Moment>,
    /// Alarms still to be mailed: the queue may have no place now.
    pending: BTreeSet<Alarm>,
    /// API keys already reported.
    conversions: conversion::Told,
}

impl Watch {
    fn look(&mut self, now: Moment, seen: Readings, ceiling: u64) -> Vec<Alarm> {
        while self.bans.front().is_some_and(|(at, _)| now.since(*at) > STORM_SPAN) {
            self.bans.pop_front();
        }
        let fewest = self.bans.iter().map(|(_, bans)| *bans).min().unwrap_or(seen.bans);
        self.bans.push_back((now, seen.bans));
        let last = self.last.replace(seen).unwrap_or(seen);
        let holds = [
            (Alarm::BanStorm, seen.bans.saturating_sub(fewest) >= STORM_BANS),
            (Alarm::KeyExposed, seen.keys_exposed > last.keys_exposed),
            (Alarm::FailOver, seen.failovers > last.failovers),
            (Alarm::CeilingNear, seen.memory_bytes > ceiling / 100 * CEILING_NEAR_PERCENT),
        ];
        let is_quiet =
            |alarm: &Alarm| self.told.get(alarm).is_some_and(|told| now.since(*told) < ALARM_AGAIN_AFTER);
        let alarms = holds.into_iter().filter_map(|(alarm, holds)| holds.then_some(alarm));
        self.pending.extend(alarms.filter(|alarm| !is_quiet(alarm)));
        self.pending.iter().copied().collect()
    }

    fn note_told(&mut self, alarm: Alarm, now: Moment) {
        self.pending.remove(&alarm);
        self.told.insert(alarm, now);
    }
}

/// Survives a panic of the task, so that an alarm is mailed at most once an hour.
pub(super) type Told = Rc<RefCell<Watch>>;

/// Watches until the runtime ends.
pub(super) async fn run(told: Told, shared: Shared, lanes: Arc<[Arc<Counters>]>, clock: Clock) {
    let mut entropy = OsEntropy::default();
    loop {
        let seen = Readings::of(&lanes, &shared.mail);
        let alarms = told.borrow_mut().look(clock().at, seen, shared.ceiling_bytes);
        for alarm in alarms {
            if tell(&shared, clock().at, alarm, &mut entropy) {
                told.borrow_mut().note_told(alarm, clock().at);
            }
        }
        let low = conversion::low(&lanes, &shared.keys.read());
        let news = told.borrow_mut().conversions.news(low, clock().at);
        for low in news {
            tell_conversion(&shared, clock(), &low, &mut entropy);
        }
        sleep(WATCH_EVERY).await;
    }
}

/// Reports a key whose mails are not answered: in the log, as an event, and by mail to its
/// project's alert addresses.
fn tell_conversion(shared: &Shared, now: Now, low: &LowConversion, entropy: &mut OsEntropy) {
    let LowConversion { key, mailed, answered } = low;
    let (id, project) = (&*key.id, &key.project_name);
    tracing::warn!(
        event = "key.low_conversion",
        key = id,
        mailed,
        answered,
        "few mails of an API key led to a correct code"
    );
    shared.events.tell(now.unix_ms, || What::LowConversion {
        key: key.id.clone(),
        project: project.clone(),
        mailed: *mailed,
        answered: *answered,
    });
    let to =
        if key.alert_to.is_empty() { shared.policy.read().alert_to.clone() } else { key.alert_to.clone() };
    let subject = format!("[{project}] Few mails of an API key are answered");
    let text = format!(
        "Of {mailed} codes that were mailed for the key {id} within ten minutes, {answered} were entered. Someone may \
         be requesting mails for people who did not ask for them.\nlimits.key.unverified bounds such mails; \
         `authepy key revoke {id}` revokes the key.\n"
    );
    mail(shared, now.at, &to, (&subject, &text), entropy);
}

/// Mails an alarm. Returns false if there is no address or no place for the mail; it is then tried
/// again.
fn tell(shared: &Shared, now: Moment, alarm: Alarm, entropy: &mut OsEntropy) -> bool {
    let to = shared.policy.read().alert_to.clone();
    mail(shared, now, &to, (&format!("[authepy] {}", alarm.subject()), alarm.text()), entropy)
}

/// Mails a notice to each address. Returns false if there is none, or no place for any mail.
fn mail(
    shared: &Shared,
    now: Moment,
    to: &[Box<str>],
    (subject, text): (&str, &str),
    entropy: &mut OsEntropy,
) -> bool {
    let mut told = false;
    for address in to {
        let Ok(permit) = shared.mail.reserve_alert(now, None, ALARM_BYTES) else { continue };
        let mut token = [0; 16];
        entropy.fill(&mut token);
        permit.submit(MailJob {
            to: (&**address).into(),
            content: Content::Notice(Notice::new(subject.to_owned(), text.to_owned(), token)),
            expires: now.after(ALERT_LIFETIME),
        });
        told = true;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: u64 = 1_000;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    /// The alarms that are due if every due alarm is mailed.
    fn look(watch: &mut Watch, seconds: u64, seen: Readings) -> Vec<Alarm> {
        let alarms = watch.look(at(seconds), seen, CEILING);
        alarms.iter().for_each(|alarm| watch.note_told(*alarm, at(seconds)));
        alarms
    }

    #[test]
    fn what_was_so_at_the_start_is_no_news() {
        let seen = Readings { bans: 500, keys_exposed: 7, failovers: 3, memory_bytes: 100 };
        assert_eq!(look(&mut Watch::default(), 0, seen), []);
    }

    #[test]
    fn every_alarm_is_told_once_an_hour() {
        let mut watch = Watch::default();
        let mut seen = Readings::default();
        look(&mut watch, 0, seen);
        seen = Readings { keys_exposed: 1, failovers: 1, memory_bytes: 801, ..seen };
        assert_eq!(look(&mut watch, 5, seen), [Alarm::KeyExposed, Alarm::FailOver, Alarm::CeilingNear]);
        seen = Readings { keys_exposed: 2, failovers: 2, ..seen };
        assert_eq!(look(&mut watch, 10, seen), []);
        seen.failovers = 3;
        assert_eq!(look(&mut watch, 3_605, seen), [Alarm::FailOver, Alarm::CeilingNear]);
    }

    #[test]
    fn an_alarm_that_could_not_be_mailed_is_tried_again() {
        let mut watch = Watch::default();
        watch.look(at(0), Readings::default(), CEILING);
        let seen = Readings { failovers: 1, ..Readings::default() };
        assert_eq!(watch.look(at(5), seen, CEILING), [Alarm::FailOver]);
        assert_eq!(look(&mut watch, 10, seen), [Alarm::FailOver]);
        assert_eq!(look(&mut watch, 15, seen), []);
    }

    #[test]
    fn a_storm_is_many_bans_within_a_minute() {
        let mut watch = Watch::default();
        let bans = |bans| Readings { bans, ..Readings::default() };
        for step in 0..60 {
            assert_eq!(look(&mut watch, step * 5, bans(step * 4)), [], "48 a minute is weather");
        }
        assert_eq!(look(&mut watch, 300, bans(237 + 10)), [Alarm::BanStorm]);
    }
}
