//! One entry of the `delivery` list, as configured.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A mail provider, as configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// Its kind.
    pub kind: ProviderKind,
    /// `smtp://host:587`, `smtps://host:465`, `https://host/path`, or the outbox's folder.
    pub url: Confidential,
    /// Sender of every mail, with or without a display name.
    pub from: Box<str>,
    /// PEM file of a private CA, trusted in addition to the system's roots.
    pub ca_file: Option<PathBuf>,
    /// Login, unless the URL has one.
    pub username: Option<Box<str>>,
    /// Its password.
    pub password: Option<Confidential>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Secret that signs the posts of a webhook.
    pub secret: Option<Confidential>,
    /// A file that holds the secret.
    pub secret_file: Option<PathBuf>,
}

/// Kinds of providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// A mail relay.
    Smtp,
    /// A Maildir.
    Outbox,
    /// An HTTP endpoint.
    Webhook,
}

/// Text that may hold a password: wiped when dropped, hidden from `Debug`.
#[derive(Clone)]
pub struct Confidential(Zeroizing<String>);

impl Confidential {
    /// The text itself; must never be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Confidential {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Confidential {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(..)")
    }
}
