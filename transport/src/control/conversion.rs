//! Detects API keys whose mails are hardly ever answered: someone requests mails for people who did
//! not ask for them, and the project pays.
//!
//! ```text
//!   each lane: its inboxes' counts per key ─┐
//!                                           ├─ sum ─▶ ≥ 200 mails in ten minutes, answers < 1 in 10 ─▶ log, event, mail
//!   …                                      ─┘                                    the same key again after an hour
//! ```
//!
//! Mails of the last minute are not counted: their recipients are still typing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::perimeter::{KeyBook, KeyRecord};
use authepy_engine::request::Conversion;

use crate::metrics::Counters;

/// Mails of one key in ten minutes from which it is judged (contract, section 8).
const MAILS_MIN: u64 = 200;
/// One answer to ten mails is enough.
const MAILS_AN_ANSWER: u64 = 10;
/// How long a reported key is not reported again.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3_600);

/// A key with few answered mails.
pub(crate) struct LowConversion {
    pub(crate) key: Arc<KeyRecord>,
    pub(crate) mailed: u64,
    pub(crate) answered: u64,
}

/// All keys that are below the threshold now.
pub(crate) fn low(lanes: &[Arc<Counters>], book: &KeyBook) -> Vec<LowConversion> {
    let mut sums = HashMap::<_, (u64, u64)>::new();
    for Conversion { project, key, mailed, answered } in
        lanes.iter().flat_map(|lane| lane.conversions().to_vec())
    {
        let sum = sums.entry((project, key)).or_default();
        *sum = (sum.0 + u64::from(mailed), sum.1 + u64::from(answered));
    }
    let is_low = |(mailed, answered)| mailed >= MAILS_MIN && answered * MAILS_AN_ANSWER < mailed;
    let low = sums.into_iter().filter(|(_, sum)| is_low(*sum));
    let named = low.filter_map(|((project, tag), (mailed, answered))| {
        Some(LowConversion { key: book.tagged(project, tag)?.clone(), mailed, answered })
    });
    named.collect()
}

/// Keys already reported.
#[derive(Default)]
pub(super) struct Told(HashMap<Box<str>, Moment>);

impl Told {
    /// Those of `low` that were not reported within the hour.
    pub(super) fn news(&mut self, low: Vec<LowConversion>, now: Moment) -> Vec<LowConversion> {
        self.0.retain(|_, told| now.since(*told) < TOLD_AGAIN_AFTER);
        let news: Vec<_> = low.into_iter().filter(|low| !self.0.contains_key(&low.key.id)).collect();
        self.0.extend(news.iter().map(|low| (low.key.id.clone(), now)));
        news
    }
}
