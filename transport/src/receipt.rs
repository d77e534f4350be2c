//! Receipts: JWS in compact form, EdDSA (RFC 7515, RFC 8037), and the JWKS that checks them.
//!
//! The signing key is made at start and never leaves memory, unless `receipts.key_file` names one.
//! Ed25519 is deterministic: the same claims give the same receipt, which is how a repeated request gets
//! the same answer without any receipt being stored.

use std::time::Duration;

use authepy_engine::receipt::Claims;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::{ConfigFault, Receipts};
use crate::wire::Members;

/// Bytes of the longest receipt that is looked at: ids, a purpose, a nonce and an address in base64.
const RECEIPT_BYTES: usize = 4_096;

/// Room for claims without an address or a nonce, and with a usual one.
const USUAL_CLAIMS_BYTES: usize = 384;
/// How the person was recognised: [`authepy_engine::receipt::METHOD`] alone.
const AMR: &str = r#"["otp"]"#;
/// A dot, and 64 bytes in base64.
const SIGNATURE_CHARS: usize = 1 + 86;

/// The key that signs, and what others need to check. Shared by all lanes, immutable.
pub struct ReceiptKey {
    pair: Ed25519KeyPair,
    /// `base64url(header) + "."`, the same for every receipt.
    header: String,
    key_id: String,
    issuer: String,
    lifetime: Duration,
}

impl ReceiptKey {
    /// The key that the settings ask for.
    pub fn configured(receipts: &Receipts) -> Result<Self, ConfigFault> {
        let read = |path: &str| {
            let pem = std::fs::read_to_string(path).map(zeroize::Zeroizing::new);
            pem.map_err(|fault| ConfigFault(format!("receipts.key_file: can't be read: {}", fault.kind())))
        };
        let pem = receipts.key_file.get().map(read).transpose()?;
        Self::new(&receipts.issuer, receipts.lifetime.0, pem.as_ref().map(|pem| pem.as_str()))
    }

    /// A fresh key, or the one in a PKCS#8 PEM file.
    pub fn new(issuer: &str, lifetime: Duration, pem: Option<&str>) -> Result<Self, ConfigFault> {
        let fault = |what: &str| ConfigFault(format!("receipts.key_file: {what}"));
        let pair = match pem {
            None => Ed25519KeyPair::generate().map_err(|_| fault("no key could be made"))?,
            Some(pem) => {
                use rustls::pki_types::pem::PemObject;
                let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
                    .map_err(|_| fault("not a PKCS#8 PEM file"))?;
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
                    .map_err(|_| fault("not an Ed25519 key"))?
            }
        };
        let key_id = thumbprint(&encode(pair.public_key().as_ref()));
        let header = encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{key_id}"}}"#).as_bytes()) + ".";
        Ok(Self { pair, header, key_id, issuer: issuer.to_owned(), lifetime })
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Life of a receipt.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The public key as a JWK set (RFC 7517).
    pub fn jwks(&self) -> Vec<u8> {
        let x = encode(self.pair.public_key().as_ref());
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.key_id, "x": x});
        json!({ "keys": [key] }).to_string().into_bytes()
    }

    /// Signs the claims.
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        let json = Members::with_room(USUAL_CLAIMS_BYTES)
            .text("iss", claims.issuer)
            .text("aud", claims.audience)
            .plain("sub", claims.subject)
            .text("purpose", claims.purpose)
            .with(claims.nonce, |members, nonce| members.text("nonce", nonce))
            .with(claims.email, |members, email| members.text("email", email))
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

    /// The claims of a receipt this key signed and that has not expired.
    pub fn read(&self, token: &str, unix_seconds: u64) -> Option<Value> {
        let body = token.strip_prefix(&self.header)?;
        body.contains('.').then_some(())?;
        let claims = verify(token, self.pair.public_key().as_ref())?;
        (claims.get("exp")?.as_u64()? > unix_seconds).then_some(claims)
    }
}

/// Checks a receipt as any backend would, with nothing but the public key. Does not look at times.
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

/// RFC 7638, with the members RFC 8037, 2 requires.
fn thumbprint(x: &str) -> String {
    encode(&Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims<'static> {
        Claims {
            issuer: "authepy",
            audience: "shop",
            subject: "vrf_1",
            purpose: "login",
            nonce: None,
            email: Some("ada@example.com"),
            issued_at: 100,
            expires_at: 220,
            id: "j",
        }
    }

    #[test]
    fn a_receipt_is_checked_with_the_published_key_alone() {
        let key = ReceiptKey::new("authepy", Duration::from_secs(120), None).unwrap();
        let token = key.sign(&claims());
        let jwks: Value = serde_json::from_slice(&key.jwks()).unwrap();
        let read = verify(&token, &public_key(&jwks).unwrap()).unwrap();
        assert_eq!(read["email"], "ada@example.com");
        assert_eq!(read["amr"], json!([authepy_engine::receipt::METHOD]));
        assert!(read.get("nonce").is_none());
        assert_eq!(token, key.sign(&claims()), "the same claims give the same receipt");
    }

    #[test]
    fn a_changed_foreign_or_expired_receipt_is_none() {
        let (key, other) = (
            ReceiptKey::new("authepy", Duration::from_secs(120), None).unwrap(),
            ReceiptKey::new("authepy", Duration::from_secs(120), None).unwrap(),
        );
        let token = key.sign(&claims());
        assert!(key.read(&token, 219).is_some());
        assert!(key.read(&token, 220).is_none());
        assert!(other.read(&token, 150).is_none());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.read(&changed, 150).is_none() || changed == token, "byte {at}");
        }
    }
}
