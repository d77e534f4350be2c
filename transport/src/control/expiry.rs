//! Warns that the certificate is not valid, or will soon expire.
//!
//! ```text
//!   days left   not begun │ … 15 │ 14 │ 13 │ … │ 0 │ over     (a new certificate starts over)
//!   warns       once      │   no │ once per day    │ once
//! ```
//!
//! The certificate is served anyway: clients judge it by their own clocks, and an invalid one is no
//! worse than none.

use std::ops::RangeInclusive;

use authepy_engine::clock::Now;
use rustls::pki_types::UnixTime;

use crate::ground::certificate::Certificate;
use crate::limits::CERTIFICATE_ENDS_SOON_DAYS;

const DAY_SECONDS: u64 = 86_400;

/// What remains of the certificate's validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    NotBegun,
    Days(u64),
    Nothing,
}

/// Validity of one certificate. Owned by the task that watches its files.
pub(super) struct Expiry {
    /// `None` if the validity can't be parsed.
    good: Option<RangeInclusive<UnixTime>>,
    told: Option<Left>,
}

impl Expiry {
    pub(super) fn of(certificate: &Certificate) -> Self {
        Self { good: certificate.good(), told: None }
    }

    /// Warns if a warning is due.
    pub(super) fn warn(&mut self, now: Now) {
        match self.news(now.unix_ms / 1_000) {
            None => {}
            Some(Left::NotBegun) => {
                tracing::warn!("the certificate is not valid yet; phones and browsers will not connect");
            }
            Some(Left::Days(days)) => tracing::warn!(days, "the certificate ends soon"),
            Some(Left::Nothing) => {
                tracing::warn!("the certificate has expired; phones and browsers will not connect");
            }
        }
    }

    fn news(&mut self, unix_seconds: u64) -> Option<Left> {
        let good = self.good.as_ref()?;
        let left = match good.end().as_secs().checked_sub(unix_seconds) {
            _ if unix_seconds < good.start().as_secs() => Left::NotBegun,
            None => Left::Nothing,
            Some(seconds) if seconds / DAY_SECONDS <= CERTIFICATE_ENDS_SOON_DAYS => {
                Left::Days(seconds / DAY_SECONDS)
            }
            Some(_) => return None,
        };
        (self.told.replace(left) != Some(left)).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_of_the_last_days_is_told_once_and_so_are_begin_and_end() {
        let day = |day: u64| day * DAY_SECONDS;
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let mut expiry = Expiry { good: Some(at(day(10))..=at(day(100))), told: None };
        assert_eq!(expiry.news(day(10) - 1), Some(Left::NotBegun));
        assert_eq!(expiry.news(day(10) - 1), None);
        assert_eq!(expiry.news(day(10)), None, "its first second");
        assert_eq!(expiry.news(day(85)), None);
        assert_eq!(expiry.news(day(86)), Some(Left::Days(14)));
        assert_eq!(expiry.news(day(86)), None);
        assert_eq!(expiry.news(day(86) + 1), Some(Left::Days(13)));
        assert_eq!(expiry.news(day(99) + 1), Some(Left::Days(0)));
        assert_eq!(expiry.news(day(100)), None, "its last second");
        assert_eq!(expiry.news(day(100) + 1), Some(Left::Nothing));
        assert_eq!(expiry.news(day(200)), None);
    }

    #[test]
    fn who_does_not_say_when_he_ends_is_not_warned_of() {
        assert_eq!(Expiry { good: None, told: None }.news(u64::MAX), None);
    }
}
