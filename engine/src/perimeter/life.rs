//! The life cycle of an API key, derived from its dates alone.
//!
//! ```text
//!   create ──▶ Active ──rotate──▶ Rotating ──grace over──▶ Expired
//!                │  └──its expiry date───────────────────────▲
//!                └──revoke── (from Active and Rotating) ──▶ Revoked
//! ```
//!
//! Dates are wall-clock time in Unix seconds: they are stored and outlive the process. No other
//! decision of the engine uses the wall clock.

use std::fmt;

/// The dates of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLife {
    /// When it was created.
    pub created: u64,
    /// From when it is invalid; `None`: never.
    pub expires: Option<u64>,
    /// When it was revoked.
    pub revoked: Option<u64>,
    /// Whether it has a successor.
    pub rotated: bool,
}

/// The state of a key in its life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Valid.
    Active,
    /// Valid until its grace period ends; a successor is valid already.
    Rotating,
    /// Its expiry date has passed.
    Expired,
    /// Revoked by an operator.
    Revoked,
}

impl KeyState {
    /// Whether a key in this state is accepted.
    #[must_use]
    pub const fn works(self) -> bool {
        match self {
            Self::Active | Self::Rotating => true,
            Self::Expired | Self::Revoked => false,
        }
    }

    /// The state's name, as operators see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a key can't be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeFault {
    /// It is no longer valid.
    Ended,
    /// It has a successor already.
    AlreadyRotated,
}

impl fmt::Display for LifeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the key has expired or was revoked",
            Self::AlreadyRotated => "the key has a successor already",
        })
    }
}

impl std::error::Error for LifeFault {}

impl KeyLife {
    /// A key created at `now` that is valid for `span` seconds, or without end.
    #[must_use]
    pub fn begin(now: u64, span: Option<u64>) -> Self {
        Self {
            created: now,
            expires: span.map(|span| now.saturating_add(span)),
            revoked: None,
            rotated: false,
        }
    }

    /// The state at `now`.
    #[must_use]
    pub fn state(&self, now: u64) -> KeyState {
        match self {
            Self { revoked: Some(_), .. } => KeyState::Revoked,
            Self { expires: Some(end), .. } if *end <= now => KeyState::Expired,
            Self { rotated: true, .. } => KeyState::Rotating,
            _ => KeyState::Active,
        }
    }

    /// Gives the key a successor. This key ends with the grace period, or at its own expiry date if
    /// that is earlier; the successor gets the same lifetime as this key had. Returns the
    /// successor's life.
    ///
    /// # Errors
    /// The key has ended, or has a successor already.
    pub fn rotate(&mut self, now: u64, grace: u64) -> Result<Self, LifeFault> {
        match self.state(now) {
            KeyState::Active => {}
            KeyState::Rotating => return Err(LifeFault::AlreadyRotated),
            KeyState::Expired | KeyState::Revoked => return Err(LifeFault::Ended),
        }
        let span = self.expires.map(|end| end.saturating_sub(self.created));
        let grace_ends = now.saturating_add(grace);
        self.expires = Some(self.expires.map_or(grace_ends, |end| end.min(grace_ends)));
        self.rotated = true;
        Ok(Self::begin(now, span))
    }

    /// Revokes the key. A key revoked before keeps its date.
    pub fn revoke(&mut self, now: u64) {
        self.revoked.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_step_leads_where_the_drawing_says() {
        let mut key = KeyLife::begin(100, None);
        assert_eq!(key.state(u64::MAX), KeyState::Active);
        let successor = key.rotate(200, 50).unwrap();
        assert_eq!(successor, KeyLife::begin(200, None));
        assert_eq!((key.state(249), key.state(250)), (KeyState::Rotating, KeyState::Expired));
        assert_eq!(key.rotate(210, 50), Err(LifeFault::AlreadyRotated));
        assert_eq!(key.rotate(250, 50), Err(LifeFault::Ended));
        key.revoke(240);
        key.revoke(245);
        assert_eq!((key.revoked, key.state(241)), (Some(240), KeyState::Revoked));
        assert_eq!(key.rotate(241, 1), Err(LifeFault::Ended));
    }

    #[test]
    fn a_key_ends_at_its_date_even_in_its_grace_and_its_successor_lives_as_long() {
        let mut key = KeyLife::begin(100, Some(1_000));
        let successor = key.rotate(1_050, 500).unwrap();
        assert_eq!(key.expires, Some(1_100), "the grace does not lengthen a life");
        assert_eq!(successor.expires, Some(2_050));
    }

    proptest! {
        /// Steps at any moments: once ended, a key stays ended, whatever happens to it.
        #[test]
        fn no_step_revives_a_key(
            span in prop::option::of(0..5_000_u64),
            steps in prop::collection::vec((0..3_u8, 0..1_000_u64, 0..2_000_u64), 0..20),
        ) {
            let (mut key, mut now, mut ended) = (KeyLife::begin(0, span), 0, false);
            for (step, pause, grace) in steps {
                now += pause;
                ended |= !key.state(now).works();
                match step {
                    0 => drop(key.rotate(now, grace)),
                    1 => key.revoke(now),
                    _ => {}
                }
                prop_assert!(!(ended && key.state(now).works()), "{:?} at {}", key, now);
            }
        }
    }
}
