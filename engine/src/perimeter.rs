//! The border: who is let in, cheapest refusal first.
//!
//! ```text
//!   Authorization ──▶ form, checksum ──▶ look-up ──▶ class
//!                                                     ├─ secret:      in (an Origin beside it is noted)
//!                                                     └─ restricted:  Origin on its list, or native without one
//! ```
//!
//! [`admit`] is the only way to an [`Admitted`], and everything behind the border asks for one. It reads
//! no body, touches no shard, and answers from an immutable [`KeyBook`].

use std::sync::Arc;

use ahash::HashMap;

use crate::request::ProjectId;

pub mod api_key;
pub mod ban;
pub mod origin;
pub mod peer;
pub mod permission;

use api_key::{KeyClass, KeyDigest, KeyText, Mode, bearer};
use origin::{Origin, OriginRules};

/// What is known of one API key. The key itself is not.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// SHA-256 of the key.
    pub digest: KeyDigest,
    /// Whose it is.
    pub project: ProjectId,
    /// The project's name: the audience of its receipts.
    pub project_name: Arc<str>,
    /// What it may do.
    pub class: KeyClass,
    /// Whether mail is sent.
    pub mode: Mode,
    /// Whether a restricted key may come without an `Origin` (a native app).
    pub native: bool,
    /// Where a restricted key may be used.
    pub origins: OriginRules,
}

/// All keys at one moment. Immutable; a change is a new book.
#[derive(Debug, Default)]
pub struct KeyBook {
    keys: HashMap<[u8; 32], Arc<KeyRecord>>,
}

impl KeyBook {
    /// A book of these keys.
    pub fn new(keys: impl IntoIterator<Item = KeyRecord>) -> Self {
        Self { keys: keys.into_iter().map(|key| (*key.digest.as_bytes(), Arc::new(key))).collect() }
    }

    /// Whether some restricted key lists this origin: what a preflight may be told.
    pub fn lists_origin(&self, origin: &[u8]) -> bool {
        let Ok(origin) = Origin::parse(origin) else { return false };
        self.keys.values().any(|key| key.class == KeyClass::Restricted && key.origins.allows(&origin))
    }

    fn find(&self, authorization: Seen<'_>) -> Option<&Arc<KeyRecord>> {
        let Seen::One(value) = authorization else { return None };
        let text = KeyText::parse(bearer(value)?).ok()?;
        let record = self.keys.get(text.digest().as_bytes())?;
        (record.class == text.class() && record.mode == text.mode()).then_some(record)
    }
}

/// What a request says of one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing.
    Absent,
    /// This.
    One(&'a [u8]),
    /// It repeats itself; nobody should choose among the values.
    Many,
}

/// What a request shows at the border.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `Authorization`.
    pub authorization: Seen<'a>,
    /// `Origin`.
    pub origin: Seen<'a>,
    /// Whether anything about the request says that a browser sent it.
    pub from_browser: bool,
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Missing, malformed or unknown key; nobody is told which.
    InvalidKey,
    /// A restricted key without `Origin` that is not native.
    OriginMissing,
    /// Two `Origin` headers.
    OriginRepeated,
    /// An `Origin` no browser would send, or one that is nobody's (`null`).
    OriginMalformed,
    /// A proper origin that the key does not list.
    OriginNotListed,
    /// A secret key in a browser, where the operator refuses that.
    SecretKeyInBrowser,
}

/// Proof that a request passed the border. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct Admitted {
    key: Arc<KeyRecord>,
    origin: Option<Box<[u8]>>,
    exposed: bool,
}

impl Admitted {
    /// The key that opened the border.
    pub fn key(&self) -> &KeyRecord {
        &self.key
    }

    /// The accepted origin of a restricted key, as it was sent: what the answer lets read itself.
    pub fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    /// Whether a secret key showed up in what looks like a browser.
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }
}

/// Key, then origin.
pub fn admit(
    book: &KeyBook,
    shown: &Credentials<'_>,
    refuse_secret_in_browser: bool,
) -> Result<Admitted, Denial> {
    let key = book.find(shown.authorization).ok_or(Denial::InvalidKey)?.clone();
    match key.class {
        KeyClass::Secret if shown.from_browser && refuse_secret_in_browser => Err(Denial::SecretKeyInBrowser),
        KeyClass::Secret => Ok(Admitted { key, origin: None, exposed: shown.from_browser }),
        KeyClass::Restricted => {
            let origin = listed_origin(&key, shown.origin)?;
            Ok(Admitted { key, origin, exposed: false })
        }
    }
}

fn listed_origin(key: &KeyRecord, shown: Seen<'_>) -> Result<Option<Box<[u8]>>, Denial> {
    match shown {
        Seen::Absent if key.native => Ok(None),
        Seen::Absent => Err(Denial::OriginMissing),
        Seen::Many => Err(Denial::OriginRepeated),
        Seen::One(value) => {
            let origin = Origin::parse(value).map_err(|_| Denial::OriginMalformed)?;
            if key.origins.allows(&origin) { Ok(Some(value.into())) } else { Err(Denial::OriginNotListed) }
        }
    }
}
