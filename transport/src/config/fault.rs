//! Errors in settings. They never quote a value, because it may be a secret.

use serde_path_to_error::Error;

/// Why the settings can't be used. The text is for the operator and contains keys, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault(pub String);

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigFault {}

/// Formats an error as `codes.attempts: expected a whole number from 0 to 255`.
pub(super) fn naming_the_key(fault: &Error<toml::de::Error>) -> ConfigFault {
    let (path, reason) = (fault.path().to_string(), reason(fault.inner().message()));
    ConfigFault(match path.as_str() {
        "." => reason,
        path => format!("{path}: {reason}"),
    })
}

/// The deserializer's message without the value. serde's messages begin with the value found and
/// end with what was expected.
fn reason(message: &str) -> String {
    if message.starts_with("unknown field") {
        let mut names = message.split('`').skip(1).step_by(2).map(str::to_owned);
        let seen = names.next().unwrap_or_default();
        let hint = nearest(names, &seen).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        return format!("unknown setting {seen}{hint}");
    }
    match message.rsplit_once(", expected ") {
        None => message.to_owned(),
        Some((_, "u8")) => "expected a whole number from 0 to 255".to_owned(),
        Some((_, "u16")) => "expected a whole number from 0 to 65535".to_owned(),
        Some((_, "u32")) => "expected a whole number from 0 to 4294967295".to_owned(),
        Some((_, "a sequence")) => "expected a list".to_owned(),
        Some((_, expected)) => format!("expected {expected}"),
    }
}

/// The known name that is most similar to the typed one.
pub(super) fn nearest(known: impl Iterator<Item = String>, typed: &str) -> Option<String> {
    let alike = |name: &String| strsim::jaro_winkler(name, typed);
    known.max_by(|a, b| alike(a).total_cmp(&alike(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_not_repeated() {
        for message in [
            "invalid type: string \"s3cret\", expected u8",
            "invalid type: string \"s3cret, expected u16\", expected u8",
            "invalid value: integer `53`, expected u8",
            "unknown variant `s3cret`, expected one of `smtp`, `outbox`",
        ] {
            let said = reason(message);
            assert!(!said.contains("s3cret") && !said.contains("53"), "{said}");
            assert!(said.starts_with("expected "), "{said}");
        }
        let unknown = reason("unknown field `passwrd`, expected one of `name`, `password`, `password_file`");
        assert_eq!(unknown, "unknown setting passwrd; did you mean password?");
    }
}
