//! Masks secrets in settings that are shown to people.

use toml::{Table, Value};

/// Replacement for a secret.
const MASK: &str = "***";
/// Names of settings that are secrets, in any section.
const SECRET_NAMES: [&str; 4] = ["token", "password", "secret", "api_key"];
/// URL options that are not secret. Any other may be a driver's password.
const HARMLESS_OPTIONS: [&str; 5] = ["tls", "mode", "cache", "sslmode", "application_name"];

/// Returns the table with every secret masked.
pub(super) fn table(plain: &Table) -> Table {
    plain.iter().map(|(name, value)| (name.clone(), setting(name, value))).collect()
}

fn setting(name: &str, plain: &Value) -> Value {
    let is_secret = SECRET_NAMES.contains(&name);
    match plain {
        Value::String(text) if text.is_empty() => plain.clone(),
        _ if is_secret => Value::String(MASK.to_owned()),
        Value::String(text) if name == "url" => Value::String(url(text)),
        Value::Table(inner) => Value::Table(table(inner)),
        Value::Array(list) => Value::Array(list.iter().map(|value| setting(name, value)).collect()),
        other => other.clone(),
    }
}

/// Masks the login and the options. The URL is not parsed, because an invalid one may hold a
/// password, too. The path of an HTTP URL is masked, because a webhook's path may be a secret.
fn url(plain: &str) -> String {
    let Some((scheme, rest)) = plain.split_once("://") else { return options(plain) };
    let host = match rest.rsplit_once('@') {
        // Ambiguous: a password with a question mark, or an option with an at sign.
        Some((before, _)) if before.contains('?') => return format!("{scheme}://{MASK}"),
        Some((_, host)) => format!("{MASK}@{host}"),
        None => rest.to_owned(),
    };
    let shown = match (scheme, host.split_once('/')) {
        ("http" | "https", Some((host, path))) if !path.is_empty() => format!("{host}/{MASK}"),
        _ => options(&host),
    };
    format!("{scheme}://{shown}")
}

fn options(plain: &str) -> String {
    let Some((path, query)) = plain.split_once('?') else { return plain.to_owned() };
    let shown = query.split('&').map(|option| match option.split_once('=') {
        Some((name, _)) if !HARMLESS_OPTIONS.contains(&name) => format!("{name}={MASK}"),
        _ => option.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_it_leads_and_not_who_goes_there() {
        for (plain, shown) in [
            ("sqlite://authepy.db", "sqlite://authepy.db"),
            ("sqlite:authepy.db?mode=rwc&password=s3cret", "sqlite:authepy.db?mode=rwc&password=***"),
            ("postgres://ada:s3cret@db.example/authepy", "postgres://***@db.example/authepy"),
            (
                "postgres://ada:s3/cr@et@db.example/a?sslmode=require",
                "postgres://***@db.example/a?sslmode=require",
            ),
            (
                "postgres://db.example/a?user=ada&password=s3cret",
                "postgres://db.example/a?user=***&password=***",
            ),
            ("postgres://db.example/a?password=s3cr@et", "postgres://***"),
            ("postgres://ada:s3?cr@db.example/a", "postgres://***"),
            ("redis+cluster://:s3cret@10.0.0.1:6379", "redis+cluster://***@10.0.0.1:6379"),
            ("smtp://mail.example:587?tls=required", "smtp://mail.example:587?tls=required"),
            ("https://hooks.example/services/s3cret?x=s3cret", "https://hooks.example/***"),
            ("memory:", "memory:"),
            ("/var/mail/outbox", "/var/mail/outbox"),
        ] {
            assert_eq!(url(plain), shown);
        }
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_nothing_else() {
        let plain = "[admin]\ntoken = 's3cret'\ntoken_file = '/etc/t'\n[[delivery]]\nname = 'a'\n\
                     url = 'smtps://ada:s3cret@mail.example'\npassword = 's3cret'\n[tls]\nkey = '/etc/k'";
        let shown = table(&plain.parse().unwrap()).to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
        for kept in ["/etc/t", "/etc/k", "mail.example", "name = \"a\""] {
            assert!(shown.contains(kept), "{shown}");
        }
        let unset: Table = "[admin]\ntoken = ''".parse().unwrap();
        assert_eq!(table(&unset), unset, "what is not set is no secret");
    }
}
