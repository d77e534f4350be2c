//! The perimeter: decides which requests are admitted, cheapest check first.
//!
//! ```text
//!   Authorization ──▶ form, checksum ──▶ look-up ──▶ class
//!                                                     ├─ secret:      admitted (an Origin is noted)
//!                                                     └─ restricted:  Origin on its list, or native without one
//! ```
//!
//! [`admit`] is the only way to an [`Admitted`], which everything behind the perimeter requires. It
//! reads no body, touches no shard, and decides from an immutable [`KeyBook`]. A well-formed key
//! that is not in the book is [`Denial::UnlistedKey`]: the store may know a newer key.

use std::sync::Arc;

use ahash::HashMap;

use crate::clock::Now;
use crate::identity::{KeyDigest, KeyTag, Mode, Owner, ProjectId};

pub mod api_key;
pub mod ban;
pub mod blocks;
pub mod forwarded;
pub mod life;
pub mod origin;
pub mod permission;

use api_key::{KeyClass, KeyText, bearer};
use life::KeyLife;
use origin::{Origin, OriginRules};

/// What is known about one API key. The key itself is not.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Its id in the store, `key_…`.
    pub id: Box<str>,
    /// SHA-256 of the key.
    pub digest: KeyDigest,
    /// Its project.
    pub project: ProjectId,
    /// The project's name: the audience of its receipts.
    pub project_name: Arc<str>,
    /// Where the project's alerts are sent.
    pub alert_to: Arc<[Box<str>]>,
    /// What it may do.
    pub class: KeyClass,
    /// Whether mail is sent.
    pub mode: Mode,
    /// Whether a restricted key may come without an `Origin` (a native app).
    pub native: bool,
    /// Where a restricted key may be used.
    pub origins: OriginRules,
    /// When it is valid.
    pub life: KeyLife,
}

/// All keys at one moment, including ended ones: a known revoked key is refused without a look-up.
/// Immutable; a change makes a new book.
#[derive(Debug, Default)]
pub struct KeyBook {
    keys: HashMap<[u8; 32], Arc<KeyRecord>>,
    /// The union of all restricted keys' rules, used for preflights, which carry no key.
    listed: OriginRules,
    /// Names of the projects that have keys.
    projects: HashMap<u32, Arc<str>>,
}

impl KeyBook {
    /// A book of these keys.
    pub fn new(keys: impl IntoIterator<Item = KeyRecord>) -> Self {
        Self::of(keys.into_iter().map(Arc::new))
    }

    /// This book with the key that the store calls `id` revoked; `None` if there is no such key.
    #[must_use]
    pub fn revoking(&self, id: &str, now: Now) -> Option<Self> {
        let mut revoked = KeyRecord::clone(self.keys.values().find(|key| *key.id == *id)?);
        revoked.life.revoke(now.unix_ms / 1_000);
        let others = self.keys.values().filter(|key| *key.id != *id).cloned();
        Some(Self::of(others.chain([Arc::new(revoked)])))
    }

    fn of(keys: impl Iterator<Item = Arc<KeyRecord>>) -> Self {
        let keys: HashMap<_, _> = keys.map(|key| (*key.digest.as_bytes(), key)).collect();
        let restricted = keys.values().filter(|key| key.class == KeyClass::Restricted);
        let kept = restricted.filter(|key| key.life.revoked.is_none());
        let listed = OriginRules::union(kept.map(|key| &key.origins));
        let projects = keys.values().map(|key| (key.project.0, key.project_name.clone())).collect();
        Self { keys, listed, projects }
    }

    /// The name of a project; `None` if it has no key.
    pub fn project_name(&self, project: ProjectId) -> Option<&Arc<str>> {
        self.projects.get(&project.0)
    }

    /// A key of this project with this tag; if two keys share the tag, either.
    pub fn tagged(&self, project: ProjectId, tag: KeyTag) -> Option<&Arc<KeyRecord>> {
        self.keys.values().find(|key| key.project == project && KeyTag::from(&key.digest) == tag)
    }

    /// Keys in the book.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the book holds the key with this digest.
    pub fn holds(&self, digest: &KeyDigest) -> bool {
        self.keys.contains_key(digest.as_bytes())
    }

    /// The key with this digest, whether it is valid or has ended.
    pub fn record(&self, digest: &KeyDigest) -> Option<&Arc<KeyRecord>> {
        self.keys.get(digest.as_bytes())
    }

    /// Whether any restricted key lists this origin; used to answer preflights.
    pub fn lists_origin(&self, origin: &[u8]) -> bool {
        Origin::parse(origin).is_ok_and(|origin| self.listed.allows(&origin))
    }

    fn find(&self, authorization: Seen<'_>, now: Now) -> Result<&Arc<KeyRecord>, Denial> {
        let Seen::One(value) = authorization else { return Err(Denial::InvalidKey) };
        let credential = bearer(value).ok_or(Denial::InvalidKey)?;
        let text = KeyText::parse(credential).map_err(|_| Denial::InvalidKey)?;
        let digest = text.digest();
        let Some(record) = self.keys.get(digest.as_bytes()) else { return Err(Denial::UnlistedKey(digest)) };
        let is_itself = record.class == text.class() && record.mode == text.mode();
        match record.life.state(now.unix_ms / 1_000).works() {
            _ if !is_itself => Err(Denial::InvalidKey),
            false => Err(Denial::EndedKey),
            true => Ok(record),
        }
    }
}

/// What a request has in one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing.
    Absent,
    /// One value.
    One(&'a [u8]),
    /// Several values; choosing among them would be unsafe.
    Many,
}

/// What a request presents to the perimeter.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `Authorization`.
    pub authorization: Seen<'a>,
    /// `Origin`.
    pub origin: Seen<'a>,
    /// Whether any part of the request suggests that a browser sent it.
    pub from_browser: bool,
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The key is missing, malformed, or was never issued.
    InvalidKey,
    /// Expired or revoked. The caller gets the same answer as for an invalid key, but using an
    /// ended key a little longer is not treated as an attack.
    EndedKey,
    /// A well-formed key that is not in the book; the caller gets the same answer as for an invalid
    /// key.
    UnlistedKey(KeyDigest),
    /// A restricted key without `Origin` that is not native.
    OriginMissing,
    /// More than one `Origin` header.
    OriginRepeated,
    /// An `Origin` that no browser would send, or the opaque origin `null`.
    OriginMalformed,
    /// A valid origin that the key does not list.
    OriginNotListed,
    /// A valid secret key used in a browser, where the operator refuses that.
    SecretKeyInBrowser(KeyDigest),
}

/// Proof that a request was admitted. Only [`admit`] makes one.
#[derive(Clone, Debug)]
pub struct Admitted {
    key: Arc<KeyRecord>,
    origin: Option<Box<[u8]>>,
    exposed: bool,
}

impl Admitted {
    /// The key that was presented.
    pub fn key(&self) -> &KeyRecord {
        &self.key
    }

    /// The project and mode it may act for.
    pub fn owner(&self) -> Owner {
        Owner { project: self.key.project, mode: self.key.mode }
    }

    /// The accepted origin of a restricted key, as it was sent; used for the CORS answer.
    pub fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    /// The domain of the accepted origin, as spelled in the key's list; `None` for an extension.
    pub fn origin_domain(&self) -> Option<&str> {
        let origin = Origin::parse(self.origin.as_deref()?).ok()?;
        self.key.origins.domain_of(&origin)
    }

    /// Whether a secret key was used in what looks like a browser.
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }
}

/// Checks the key, then the origin.
pub fn admit(
    book: &KeyBook,
    shown: &Credentials<'_>,
    now: Now,
    refuse_secret_in_browser: bool,
) -> Result<Admitted, Denial> {
    let key = book.find(shown.authorization, now)?.clone();
    match key.class {
        KeyClass::Secret if shown.from_browser && refuse_secret_in_browser => {
            Err(Denial::SecretKeyInBrowser(key.digest.clone()))
        }
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
