//! Says that nobody believes the certificate, and in time that nobody will any more.
//!
//! ```text
//!   days left   not begun │ … 15 │ 14 │ 13 │ … │ 0 │ over     (another certificate: from the start)
//!   warns       once      │   no │ once in each    │ once
//! ```
//!
//! It is shown all the same: phones decide, by clocks of their own, and a wrong one is no worse than none.

use std::ops::RangeInclusive;

use authepy_engine::clock::Now;
use rustls::pki_types::UnixTime;

use crate::ground::certificate::Certificate;
use crate::limits::CERTIFICATE_ENDS_SOON_DAYS;

const DAY_SECONDS: u64 = 86_400;

/// What is left of a certificate's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    NotBegun,
    Days(u64),
    Nothing,
}

/// The time of one certificate. Owned by whoever watches its files.
pub(super) struct Expiry {
    /// `None` where the certificate does not say in a way that is understood.
    good: Option<RangeInclusive<UnixTime>>,
    told: Option<Left>,
}

impl Expiry {
    pub(super) fn of(certificate: &Certificate) -> Self {
        Self { good: certificate.good(), told: None }
    }

    /// Warns, if it is time to.
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
