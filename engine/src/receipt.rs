//! What a receipt says: a statement that a backend can check offline (RFC 7519 names).

use crate::identity::Mode;

/// The claims of one receipt. Times are whole seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// `iss`: this service, as configured.
    pub issuer: &'a str,
    /// `aud`: the project whose key checked the code.
    pub audience: &'a str,
    /// `sub`: the verification's id.
    pub subject: &'a str,
    /// What the code was for.
    pub purpose: &'a str,
    /// The nonce given at issue and repeated at the check.
    pub nonce: Option<&'a str>,
    /// The address, if the check carried it; it is the one the code was sent to. Signed is what the parser made of
    /// it ([`Recipient::exact`](crate::recipient::Recipient::exact)), never the text that was typed: the domain is
    /// its lower-case A-label, the local part is as the check spelled it. The spelling of the issue is not kept, so
    /// the two may differ in the ASCII case of the local part.
    pub email: Option<&'a str>,
    /// Whether a live or a test key checked the code. Each mode has a signing key of its own.
    pub mode: Mode,
    /// `iat`.
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
    /// `jti`: one for each verification.
    pub id: &'a str,
}

/// `amr`: how the inbox was confirmed (RFC 8176). It is no statement about a person.
pub const METHOD: &str = "otp";
