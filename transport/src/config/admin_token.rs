//! Minimum strength of an admin token chosen by the operator. Tokens from `authepy admin-token
//! create` have 256 random bits.

/// Prefix of generated tokens. It lets secret scanners recognise a token and tells an attacker
/// nothing.
const PREFIX: &str = "ath_admin_";
/// 128 bits in hexadecimal.
const HEX_LEAST: usize = 32;
/// 132 bits in base64url.
const BASE64_LEAST: usize = 22;
/// Minimum number of distinct characters. 32 random hexadecimal digits have fewer about once in 28
/// million times.
const DIFFERENT_LEAST: usize = 8;

/// Error text for a weak token.
pub(super) const ADVICE: &str = "too weak: at least 32 hexadecimal or 22 base64url characters (A-Z a-z 0-9 - _), 8 of \
                                 them different; `openssl rand -hex 32` makes one, and `authepy admin-token create` \
                                 one that stands in the store";

/// Whether a token is long and varied enough. This rejects short or monotonous tokens, not every
/// token made up by a person.
pub(super) fn is_strong(token: &str) -> bool {
    let drawn = token.strip_prefix(PREFIX).unwrap_or(token).as_bytes();
    let all = |is: fn(&u8) -> bool| drawn.iter().all(is);
    let mut different = [false; 256];
    drawn.iter().for_each(|&byte| different[usize::from(byte)] = true);
    let least = if all(u8::is_ascii_hexdigit) { HEX_LEAST } else { BASE64_LEAST };
    all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && drawn.len() >= least
        && different.iter().filter(|seen| **seen).count() >= DIFFERENT_LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_monotonous_and_foreign_texts_are_weak() {
        for (token, strong) in [
            ("", false),
            ("a", false),
            ("0123456789abcdef0123456789abcde", false), // 31 hexadecimal characters
            ("0123456789abcdef0123456789abcdef", true),
            ("0123456789ABCDEF0123456789ABCDEF", true),
            ("abcdefghijklmnopqrstu", false), // 21 of base64url
            ("abcdefghijklmnopqrstuv", true),
            ("Ab-_efghijklmnopqrstuv", true),
            ("abcdefghijklmnopqrst+/", false),
            ("correct horse battery staple", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("01234560123456012345601234560123456", false), // seven different ones
            ("01234567012345670123456701234567", true),
            ("ath_admin_", false),
            ("ath_admin_abcdefghijkl", false), // 22 with the prefix, which is not secret
            ("ath_admin_0123456789abcdef0123456789abcdef", true),
            ("äbcdefghijklmnopqrstuvwxyz", false),
        ] {
            assert_eq!(is_strong(token), strong, "{token}");
        }
    }
}
