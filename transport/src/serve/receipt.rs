//! Receipts: JWS in compact form, EdDSA (RFC 7515, RFC 8037), and the JWK sets that verify them.
//!
//! Live and test receipts are signed by two keys, and each key has a JWK set of its own: a backend
//! that fetches the live set refuses a test receipt because it does not know the key, without
//! checking any claim. The live key is drawn at start and never leaves memory, unless
//! `receipts.key_file` names one. The test key is derived from the live one by a hash, so that it
//! is as stable over restarts and reveals nothing about it.
//!
//! Ed25519 is deterministic: the same claims give the same receipt. That is how a repeated request
//! gets the same answer although no receipt is stored.

use std::time::Duration;

use authepy_engine::identity::Mode;
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::{ConfigFault, Receipts};
use crate::http::wire::Members;

#[cfg(test)]
mod tests;

/// Length of the longest receipt that is verified: ids, a purpose, a nonce and an address in
/// base64.
const RECEIPT_BYTES: usize = 4_096;

/// Capacity for claims without an address or a nonce, or with usual ones.
const USUAL_CLAIMS_BYTES: usize = 384;
/// `amr` (RFC 8176): the inbox was confirmed by a one-time code. It says nothing about a person.
const AMR: &str = r#"["otp"]"#;
/// A dot, and 64 bytes in base64.
const SIGNATURE_CHARS: usize = 1 + 86;
/// Hashed before the live key's seed to derive the test key's seed. Changing it changes every test
/// key.
const TEST_SEED_LABEL: &[u8] = b"authepy test receipts v1:";

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
    /// The address, if the check carried it; it is the one that the code was sent to. The parsed
    /// form is signed ([`Recipient::exact`](authepy_engine::recipient::Recipient::exact)), never
    /// the text as typed: the domain is its lower-case A-label, the local part is spelled as in the
    /// check. The spelling of the issue is not kept, so the two may differ in the ASCII case of the
    /// local part.
    pub email: Option<&'a str>,
    /// Whether a live or a test key checked the code. Each mode has a signing key of its own.
    pub mode: Mode,
    /// `iat`.
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
    /// `jti`: unique per verification.
    pub id: &'a str,
}

/// The signing keys: one for each mode. Shared by all lanes, immutable.
pub struct ReceiptKeys {
    live: ReceiptKey,
    test: ReceiptKey,
    issuer: String,
    lifetime: Duration,
}

/// One signing key, with what verifiers need.
pub struct ReceiptKey {
    pair: Ed25519KeyPair,
    /// `base64url(header) + "."`, the same for every receipt.
    header: String,
    key_id: String,
}

impl ReceiptKeys {
    /// The configured keys.
    pub fn configured(receipts: &Receipts) -> Result<Self, ConfigFault> {
        let read = |path: &str| {
            let pem = std::fs::read_to_string(path).map(Zeroizing::new);
            pem.map_err(|error| fault(&format!("can't be read: {}", error.kind())))
        };
        let pem = receipts.key_file.get().map(read).transpose()?;
        Self::new(&receipts.issuer, receipts.lifetime.0, pem.as_ref().map(|pem| pem.as_str()))
    }

    /// A new live key, or the one in a PKCS#8 PEM file, and the test key derived from it.
    pub fn new(issuer: &str, lifetime: Duration, pem: Option<&str>) -> Result<Self, ConfigFault> {
        let live = match pem {
            None => Ed25519KeyPair::generate().map_err(|_| fault("no signing key could be drawn"))?,
            Some(pem) => {
                use rustls::pki_types::pem::PemObject;
                let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
                    .map_err(|_| fault("not a PKCS#8 PEM file"))?;
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
                    .map_err(|_| fault("not an Ed25519 key"))?
            }
        };
        let test = test_pair(&live).ok_or_else(|| fault("no test key could be derived"))?;
        let (live, test) = (ReceiptKey::of(live), ReceiptKey::of(test));
        Ok(Self { live, test, issuer: issuer.to_owned(), lifetime })
    }

    /// The key of a mode.
    pub fn of(&self, mode: Mode) -> &ReceiptKey {
        match mode {
            Mode::Live => &self.live,
            Mode::Test => &self.test,
        }
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Lifetime of a receipt.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Signs the claims with the key of their mode.
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        self.of(claims.mode).sign(claims)
    }
}

/// The seed of the test key is SHA-256 of a label and the live key's seed.
fn test_pair(live: &Ed25519KeyPair) -> Option<Ed25519KeyPair> {
    let seed = live.seed().ok()?.as_be_bytes().ok()?;
    let hash = Sha256::new().chain_update(TEST_SEED_LABEL).chain_update(seed.as_ref()).finalize();
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(hash.into());
    Ed25519KeyPair::from_seed_unchecked(&*seed).ok()
}

fn fault(what: &str) -> ConfigFault {
    ConfigFault(format!("receipts.key_file: {what}"))
}

impl ReceiptKey {
    fn of(pair: Ed25519KeyPair) -> Self {
        let key_id = thumbprint(&encode(pair.public_key().as_ref()));
        let header = encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{key_id}"}}"#).as_bytes()) + ".";
        Self { pair, header, key_id }
    }

    /// The public key as a JWK set (RFC 7517).
    pub fn jwks(&self) -> Vec<u8> {
        let x = encode(self.pair.public_key().as_ref());
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.key_id, "x": x});
        json!({ "keys": [key] }).to_string().into_bytes()
    }

    fn sign(&self, claims: &Claims<'_>) -> String {
        let json = Members::with_room(USUAL_CLAIMS_BYTES)
            .text("iss", claims.issuer)
            .text("aud", claims.audience)
            .plain("sub", claims.subject)
            .text("purpose", claims.purpose)
            .with(claims.nonce, |members, nonce| members.text("nonce", nonce))
            .with(claims.email, |members, email| members.text("email", email).json("email_verified", "true"))
            .plain("mode", claims.mode.name())
            .json("amr", AMR)
            .number("iat", claims.issued_at)
            .number("exp", claims.expires_at)
            .plain("jti", claims.id)
            .end();
        let mut token =
            String::with_capacity(self.header.len() + json.len().div_ceil(3) * 4 + SIGNATURE_CHARS);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        token
    }

    /// The claims of a receipt that this key signed and that has not expired.
    pub fn read(&self, token: &str, unix_seconds: u64) -> Option<Value> {
        let body = token.strip_prefix(&self.header)?;
        body.contains('.').then_some(())?;
        let claims = verify(token, self.pair.public_key().as_ref())?;
        (claims.get("exp")?.as_u64()? > unix_seconds).then_some(claims)
    }
}

/// Verifies a receipt as any backend would, with only the public key. Does not check times.
pub fn verify(token: &str, public_key: &[u8]) -> Option<Value> {
    if token.len() > RECEIPT_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    (header.get("alg")? == "EdDSA").then_some(())?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ED25519, public_key).verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The public key of a JWK set with one Ed25519 key.
pub fn public_key(jwks: &Value) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwks.pointer("/keys/0/x")?.as_str()?).ok()
}

/// JWK thumbprint (RFC 7638), with the members that RFC 8037, 2 requires.
fn thumbprint(x: &str) -> String {
    encode(&Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
