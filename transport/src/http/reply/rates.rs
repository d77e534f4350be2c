//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): lists of structured fields.
//!
//! ```text
//!   RateLimit-Policy: "peer";q=20;w=60, "peer-2";q=100;w=3600, "key";q=1000;w=3600
//!   RateLimit:        "peer";r=19;t=60, "peer-2";r=99;t=3600, "key";r=999;t=3600
//! ```
//!
//! One item for each limit of a policy, the second with `-2` behind its name. There is no place for an
//! inbox's windows in here: how many mails somebody has had is nobody's business.

use std::fmt::Write as _;

use authepy_engine::request::Quotas;

/// The windows one request was counted in, as they were afterwards. Empty where it met none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Its peer's, for what it asked.
    pub(crate) peer: Quotas,
    /// Its peer's, for having been refused.
    pub(crate) denied: Quotas,
    /// Its API key's.
    pub(crate) key: Quotas,
}

/// Both fields' values.
#[derive(Debug)]
pub(super) struct RateFields {
    pub(super) policy: String,
    pub(super) limit: String,
}

/// Room for three items, which is what most answers have.
const USUAL_BYTES: usize = 96;

impl Rates {
    /// The fields; `None` if there is nothing to tell.
    pub(super) fn fields(&self) -> Option<RateFields> {
        let policies = [("peer", &self.peer), ("peer-denied", &self.denied), ("key", &self.key)];
        if policies.iter().all(|(_, quotas)| quotas.as_slice().is_empty()) {
            return None;
        }
        let mut policy = String::with_capacity(USUAL_BYTES);
        let mut limit = String::with_capacity(USUAL_BYTES);
        for (name, quotas) in policies {
            for (at, quota) in quotas.as_slice().iter().enumerate() {
                let comma = if policy.is_empty() { "" } else { ", " };
                let nth = ["", "-2", "-3", "-4"].get(at).unwrap_or(&"-more");
                // Writing to a string can't fail.
                let _written =
                    write!(policy, "{comma}\"{name}{nth}\";q={};w={}", quota.count, quota.window_seconds);
                let _written =
                    write!(limit, "{comma}\"{name}{nth}\";r={};t={}", quota.remaining, quota.reset_seconds);
            }
        }
        Some(RateFields { policy, limit })
    }
}
