//! Secret keys that were sent by what looks like a browser: what a lane remembers of them, and how
//! it reports one.
//!
//! ```text
//!   request with a valid key ─▶ counted ─┬─ event and log line, once a minute for each key
//!                                        └─ keys.revoke_exposed ─▶ Exposed ─▶ control/exposure.rs
//! ```

use std::cell::RefCell;

use authepy_engine::clock::Moment;

use crate::limits::{EXPOSURE_REPORTED_EVERY, EXPOSURE_TOLD_EVERY, EXPOSURES_REMEMBERED};

/// What one lane has told people and reported to the control plane. Lives on the lane's thread.
#[derive(Default)]
pub(crate) struct Exposures {
    told: Recent,
    reported: Recent,
}

impl Exposures {
    /// Whether to log this key and send an event now. True once in [`EXPOSURE_TOLD_EVERY`].
    pub(crate) fn is_to_be_told(&self, id: &str, now: Moment) -> bool {
        // Without room it is not told, so that many keys can't cause a log line for each request.
        self.told.admits(id, now, EXPOSURE_TOLD_EVERY) == Some(true)
    }

    /// Whether to report it to the control plane now. True once in [`EXPOSURE_REPORTED_EVERY`], or
    /// without room.
    pub(crate) fn is_to_be_reported(&self, id: &str, now: Moment) -> bool {
        self.reported.admits(id, now, EXPOSURE_REPORTED_EVERY) != Some(false)
    }
}

/// Keys and when they were last noted; bounded.
#[derive(Default)]
struct Recent(RefCell<Vec<(Box<str>, Moment)>>);

impl Recent {
    /// Notes a key unless it was noted within `span`. `None` if there is no room for it.
    fn admits(&self, id: &str, now: Moment, span: std::time::Duration) -> Option<bool> {
        let mut noted = self.0.borrow_mut();
        noted.retain(|(_, at)| now.since(*at) < span);
        if noted.iter().any(|(known, _)| **known == *id) {
            return Some(false);
        }
        if noted.len() >= EXPOSURES_REMEMBERED {
            return None;
        }
        noted.push((id.into(), now));
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn each_key_is_told_once_a_minute_and_reported_once_a_second() {
        let exposures = Exposures::default();
        assert!(exposures.is_to_be_told("key_a", at(0)) && exposures.is_to_be_reported("key_a", at(0)));
        assert!(
            !exposures.is_to_be_told("key_a", at(59_999)) && !exposures.is_to_be_reported("key_a", at(999))
        );
        assert!(exposures.is_to_be_told("key_b", at(1)), "another key is other news");
        assert!(
            exposures.is_to_be_told("key_a", at(60_000)) && exposures.is_to_be_reported("key_a", at(1_000))
        );
    }

    #[test]
    fn more_keys_than_are_remembered_fill_no_log_and_are_reported_all_the_same() {
        let exposures = Exposures::default();
        for n in 0..EXPOSURES_REMEMBERED {
            let id = format!("key_{n}");
            assert!(exposures.is_to_be_told(&id, at(0)) && exposures.is_to_be_reported(&id, at(0)));
        }
        assert!(!exposures.is_to_be_told("key_more", at(0)));
        assert!(exposures.is_to_be_reported("key_more", at(0)));
        assert!(exposures.is_to_be_told("key_more", at(60_000)), "a minute later there is room");
    }
}
