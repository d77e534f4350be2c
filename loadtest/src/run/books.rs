//! What both ends counted, compared once the run is over.
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::admin::metric;
use crate::clock;
use crate::stage::Shared;
use crate::tally::Tally;

/// How long the server may take to say in its counters what it said in its answers.
const SETTLING: Duration = Duration::from_secs(10);

/// The server's counters as they were before the run.
pub(super) struct Books {
    mails: Option<u64>,
    bans: Option<u64>,
}

impl Books {
    pub(super) fn open(shared: &Shared) -> Self {
        let read = |name| shared.target.admin.and_then(|admin| metric(admin, name));
        Self { mails: read("authepy_mail_total"), bans: read("authepy_bans_active") }
    }

    /// Every mail that was promised is there, and no other; the server says the same of mails and bans.
    pub(super) fn close(self, shared: &Shared, tally: &mut Tally) {
        let promised = shared.world.accepted();
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        if let Some(mails) = &shared.mails {
            let complete = || mails.counts() == promised;
            settle(complete);
            let found = mails.counts();
            let count = |all: &BTreeMap<String, u64>, to: &String| all.get(to).copied().unwrap_or(0);
            let beyond = |all: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
                all.iter().map(|(to, n)| n.saturating_sub(count(other, to))).sum::<u64>()
            };
            tally.blame("mail: promised and not found", beyond(&promised, &found));
            tally.blame("mail: found and not promised", beyond(&found, &promised));
            tally.blame("mail: news of the outbox lost, nothing is proved", u64::from(mails.has_missed()));
            tally.agreed.push(("mails promised, mails found", sum(&promised), sum(&found)));
        }
        let Some(admin) = shared.target.admin else { return };
        let since = |before: Option<u64>, name| Some(metric(admin, name)?.saturating_sub(before?));
        let mut compare = |name: &'static str, kind, ours: u64, before: Option<u64>, metric: &'static str| {
            settle(|| since(before, metric) == Some(ours));
            if let Some(theirs) = since(before, metric) {
                tally.agreed.push((name, ours, theirs));
                tally.blame(kind, ours.abs_diff(theirs));
            }
        };
        if shared.mails.is_some() {
            let (name, kind) = ("mails promised, authepy_mail_total", "metrics: authepy_mail_total");
            compare(name, kind, sum(&promised), self.mails, "authepy_mail_total");
        }
        let (name, kind) = ("peers gone silent, authepy_bans_active", "metrics: authepy_bans_active");
        compare(name, kind, shared.world.banned(), self.bans, "authepy_bans_active");
    }
}

/// Waits until it holds, or long enough.
fn settle(holds: impl Fn() -> bool) {
    let begun = clock::now();
    while !holds() && clock::now().saturating_duration_since(begun) < SETTLING {
        thread::sleep(Duration::from_millis(50));
    }
}
