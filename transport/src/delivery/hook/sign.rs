//! Signatures as in Standard Webhooks 1.0.0 (standardwebhooks.com), symmetric scheme `v1`:
//! HMAC-SHA256 over `id.timestamp.body`. The receiver refuses old timestamps and known ids, which
//! prevents replay.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Allowed length of a secret, as the specification asks for.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs posts. Never exposes the secret. Boxed because the key and its two hash states take a
/// kilobyte.
pub(super) struct Signer(Box<hmac::Key>);

impl Signer {
    /// Parses a secret: base64 after `whsec_`, or the raw text.
    pub(super) fn new(secret: &str) -> Result<Self, String> {
        let bytes = match secret.strip_prefix("whsec_") {
            Some(encoded) => {
                let decoded = STANDARD.decode(encoded).map(Zeroizing::new);
                decoded.map_err(|_| "`secret` is not base64 after whsec_".to_owned())?
            }
            None => Zeroizing::new(secret.as_bytes().to_vec()),
        };
        match SECRET_BYTES.contains(&bytes.len()) {
            true => Ok(Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))),
            false => Err("`secret` must have 24 to 64 bytes; try: openssl rand -base64 32".to_owned()),
        }
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, unix_seconds: u64, body: &[u8]) -> String {
        let seconds = unix_seconds.to_string();
        let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
        format!("v1,{}", STANDARD.encode(self.keyed(&parts)))
    }

    /// HMAC-SHA256 over the concatenated `parts`.
    pub(super) fn keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_what_the_specification_says() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused_without_being_quoted() {
        for secret in ["", "s3cret", "whsec_", "whsec_s3cret!", &"s3cret".repeat(11)] {
            let reason = Signer::new(secret).err().unwrap();
            assert!(!reason.contains("s3cret"), "{reason}");
        }
        assert!(Signer::new(&"x".repeat(24)).is_ok());
    }
}
