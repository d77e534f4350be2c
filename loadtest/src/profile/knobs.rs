//! How much one role acts, and how.
use serde::{Deserialize, Serialize};

/// One role's knobs. What a scenario does not use is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Knobs {
    /// Stories a second, on average.
    pub(crate) rate: f64,
    /// Source addresses.
    pub(crate) peers: usize,
    /// Inboxes that an attack is about.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) inboxes: usize,
    /// Guesses at one code at once.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) burst: usize,
    /// Share of sign-ups that try a wrong code first.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) wrong_share: f64,
    /// Share of sign-ups that try the right code again afterwards.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) replay_share: f64,
    /// Times the rate in the middle third of the run; 0 for no spike.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) spike: f64,
    /// Every sign-up on a connection of its own, instead of one kept by each peer.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) fresh: bool,
    /// With the secret key, instead of the restricted one.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) backend: bool,
}

impl Knobs {
    /// What people do.
    pub(crate) fn honest() -> Self {
        Self { wrong_share: 0.2, replay_share: 0.1, ..Self::default() }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
