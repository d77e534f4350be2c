//! Bans: how long, how often, and who remembers.
//!
//! ```text
//!              the strike that reaches `bans.strikes`, or the operator's word
//!   (none) ───────────────────────────────────────────────▶ banned #1: bans.first
//!     ▲                                                       │ end, or lifted
//!     │ 24 h after the end                                    ▼
//!     └──────────────────────────────────────────────── remembered #1
//!                                                             │ banned again within 24 h
//!                                                             ▼
//!                                                        banned #2: twice as long, up to bans.max, …
//! ```
//!
//! A banned peer is charged nothing and gets no strikes: knocking does not prolong a ban. After it,
//! it starts from strike 0. A lifted ban is remembered like one that ended. An operator's ban
//! counts in the row; on somebody who is banned already it only moves the end.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::BAN_MEMORY;
use crate::settings::BanRules;

/// A network's latest ban. Owned by the table of bans.
#[derive(Clone, Copy)]
pub(crate) struct Ban {
    pub(crate) end: Moment,
    /// The ban's number in its row, from 1.
    pub(crate) count: u8,
}

impl Ban {
    /// The ban that follows the one that is remembered, for `span` or for as long as it is its
    /// turn. One that comes while another holds only moves its end.
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

    /// Whether it still counts for the next one.
    pub(crate) fn is_remembered(&self, now: Moment) -> bool {
        self.end.after(BAN_MEMORY) > now
    }
}
