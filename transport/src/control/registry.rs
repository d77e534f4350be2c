//! Operators' operations on the store: projects, keys, origins, the admin token. The command line
//! and the admin API are two front ends of these operations, with the same terms and the same
//! errors.

use std::fmt;

use authepy_engine::clock::Clock;
use authepy_engine::perimeter::life::LifeFault;
use authepy_engine::perimeter::origin::RuleFault;

use super::store::{Store, StoreFault, StoreUrl};

mod key;
mod origin;
mod project;
mod token;

pub use key::{KeyPage, KeyView, NewKey, NewKeyRequest};
pub use origin::Origins;
pub use project::{ProjectView, Projects};
pub use token::{draw_token, token_digest};

/// The operations. Bound to one runtime, as its store is.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    clock: Clock,
}

/// Why an operation was refused. The text is for the operator; it may contain names, never keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryFault {
    /// The project or key does not exist.
    Unknown(&'static str),
    /// A project of that name exists.
    Taken,
    /// An invalid value, and why.
    Invalid(&'static str, String),
    /// The maximum number is reached.
    Full(&'static str),
    /// The key's state does not allow it.
    Life(LifeFault),
    /// The store does not answer.
    Store(&'static str),
}

impl RegistryFault {
    fn rule(fault: RuleFault) -> Self {
        Self::Invalid("origin", fault.to_string())
    }
}

impl From<StoreFault> for RegistryFault {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Taken => Self::Taken,
            StoreFault::Down(doing) => Self::Store(doing),
            StoreFault::Silent => Self::Store("it does not answer"),
        }
    }
}

impl From<sqlx::Error> for RegistryFault {
    fn from(fault: sqlx::Error) -> Self {
        StoreFault::from(fault).into()
    }
}

impl From<LifeFault> for RegistryFault {
    fn from(fault: LifeFault) -> Self {
        Self::Life(fault)
    }
}

impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(what) => write!(f, "there is no such {what}"),
            Self::Taken => f.write_str("the name is already in use"),
            Self::Invalid(what, why) => write!(f, "{what}: {why}"),
            Self::Full(what) => write!(f, "the maximum number of {what} is reached"),
            Self::Life(fault) => write!(f, "{fault}"),
            Self::Store(doing) => write!(f, "the store can't be used: {doing}"),
        }
    }
}

impl std::error::Error for RegistryFault {}

impl Registry {
    /// Creates the operations on an open store.
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Opens a store for an operator's command, on this runtime.
    ///
    /// The store can't be opened.
    pub async fn open(url: &StoreUrl) -> Result<Self, RegistryFault> {
        Ok(Self::new(Store::open(url).await?, crate::ground::clock::now))
    }

    fn now(&self) -> i64 {
        i64::try_from((self.clock)().unix_ms / 1_000).unwrap_or(i64::MAX)
    }
}

/// Formats seconds from the store as RFC 3339.
pub(super) fn date(unix_seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    let time = std::time::UNIX_EPOCH.checked_add(since).unwrap_or(std::time::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}
