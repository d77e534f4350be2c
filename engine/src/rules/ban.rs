//! Bans: how long they last, and how they escalate.
//!
//! ```text
//!              the strike that reaches `bans.strikes`, or the operator
//!   (none) ───────────────────────────────────────────────▶ banned #1: bans.first
//!     ▲                                                       │ end, or lifted
//!     │ 24 h after the end                                    ▼
//!     └──────────────────────────────────────────────── remembered #1
//!                                                             │ banned again within 24 h
//!                                                             ▼
//!                                                        banned #2: twice as long, up to bans.max, …
//! ```
//!
//! A banned peer is charged nothing and gets no strikes: further requests do not prolong a ban.
//! After it, the peer starts from strike 0. A lifted ban is remembered like one that ended. An
//! operator's ban counts in the sequence; for a network that is banned already, it only moves the
//! end.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::BAN_MEMORY;
use crate::settings::BanRules;

/// A network's latest ban. Owned by the ban table.
#[derive(Clone, Copy)]
pub(crate) struct Ban {
    pub(crate) end: Moment,
    /// The ban's number in its sequence, from 1.
    pub(crate) count: u8,
}

impl Ban {
    /// The ban that follows the remembered one, lasting `span` or the escalated default. If a ban
    /// is in force, only its end moves.
    pub(crate) fn next(
        remembered: Option<Self>,
        span: Option<Duration>,
        rules: &BanRules,
        now: Moment,
    ) -> Self {
        let count = match remembered {
            Some(ban) if ban.end > now => ban.count,
            ended => ended.map_or(0, |ban| ban.count).saturating_add(1),
        };
        let doubled = rules.first.saturating_mul(2u32.saturating_pow(u32::from(count.saturating_sub(1))));
        Self { end: now.after(span.unwrap_or(doubled.min(rules.max))), count }
    }

    /// Whether it still counts for the next ban.
    pub(crate) fn is_remembered(&self, now: Moment) -> bool {
        self.end.after(BAN_MEMORY) > now
    }
}
