//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): lists of structured
//! fields.
//!
//! ```text
//!   RateLimit-Policy: "peer";q=20;w=60, "peer-2";q=100;w=3600, "key";q=1000;w=3600
//!   RateLimit:        "peer";r=19;t=60, "peer-2";r=99;t=3600, "key";r=999;t=3600
//! ```
//!
//! One item for each limit of a policy; the second has `-2` after its name. The windows of an inbox
//! are left out on purpose: how many mails a recipient got is private.

use std::fmt::Write as _;

use authepy_engine::request::Quotas;

/// The windows that counted one request, after it. Empty if none did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// The peer's windows for the operation.
    pub(crate) peer: Quotas,
    /// The peer's window of denials.
    pub(crate) denied: Quotas,
    /// The windows of the API key.
    pub(crate) key: Quotas,
}

/// The values of both fields.
#[derive(Debug)]
pub(super) struct RateFields {
    pub(super) policy: String,
    pub(super) limit: String,
}

/// Capacity for three items, which is what most answers have.
const USUAL_BYTES: usize = 96;

impl Rates {
    /// The fields; `None` if no window counted the request.
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
