//! Limits as the contract writes them, and those that the server under load keeps to.
use std::collections::BTreeMap;
use std::time::Duration;

/// Never more than `count` in any span of `window`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) count: u64,
    pub(crate) window: Duration,
}

/// What the oracle holds the server to. An empty list is a limit that is off.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) peer_issue: Vec<Limit>,
    pub(crate) peer_check: Vec<Limit>,
    pub(crate) peer_denied: Vec<Limit>,
    pub(crate) peer_handshake: Vec<Limit>,
    pub(crate) recipient_issue: Vec<Limit>,
    /// One peer's share of an inbox.
    pub(crate) recipient_peer_issue: Vec<Limit>,
    pub(crate) guess: Vec<Limit>,
    pub(crate) strikes: Vec<Limit>,
    pub(crate) first_ban: Duration,
    /// Tries of one verification.
    pub(crate) attempts: u64,
    /// Longest a request may take to arrive.
    pub(crate) deadline: Duration,
}

/// The contract's defaults (section 2), for whatever the profile's `[server]` does not set.
const DEFAULTS: [(&str, &str); 11] = [
    ("limits.peer.issue", r#"["20/1m","100/1h"]"#),
    ("limits.peer.check", "60/1m"),
    ("limits.peer.denied", "30/1m"),
    ("limits.peer.handshake", "100/1m"),
    ("limits.recipient.issue", r#"["5/10m","10/1d"]"#),
    ("limits.recipient_peer.issue", r#"["3/10m","5/1d"]"#),
    ("limits.recipient.guess", "20/1d"),
    ("bans.strikes", "5/10m"),
    ("bans.first", "3h"),
    ("codes.attempts", "5"),
    ("connections.deadline", "10s"),
];

impl Rules {
    /// The defaults under what the server was started with.
    pub(crate) fn new(server: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = |key: &str| {
            let default = DEFAULTS.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| *value);
            server.get(key).map_or(default, String::as_str).to_owned()
        };
        let blame = |key: &str| format!("server setting {key}: can't be read");
        let limit = |key: &str| limits(&text(key)).ok_or_else(|| blame(key));
        let time = |key: &str| duration(text(key).trim_matches('"')).ok_or_else(|| blame(key));
        Ok(Self {
            peer_issue: limit("limits.peer.issue")?,
            peer_check: limit("limits.peer.check")?,
            peer_denied: limit("limits.peer.denied")?,
            peer_handshake: limit("limits.peer.handshake")?,
            recipient_issue: limit("limits.recipient.issue")?,
            recipient_peer_issue: limit("limits.recipient_peer.issue")?,
            guess: limit("limits.recipient.guess")?,
            strikes: limit("bans.strikes")?,
            first_ban: time("bans.first")?,
            attempts: text("codes.attempts").parse().map_err(|_| blame("codes.attempts"))?,
            deadline: time("connections.deadline")?,
        })
    }
}

/// `off`, `"5/10m"` or `["5/10m","10/1d"]`, as TOML or bare.
fn limits(text: &str) -> Option<Vec<Limit>> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']').replace(['"', '\''], "");
    if bare == "off" {
        return Some(Vec::new());
    }
    let one = |limit: &str| {
        let (count, window) = limit.trim().split_once('/')?;
        Some(Limit { count: count.parse().ok()?, window: duration(window)? })
    };
    bare.split(',').map(one).collect()
}

/// One number and one unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number.parse().ok()?)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_contract_writes_them() {
        let limit = |count, seconds| Limit { count, window: Duration::from_secs(seconds) };
        assert_eq!(limits(r#"["5/10m", "10/1d"]"#), Some(vec![limit(5, 600), limit(10, 86_400)]));
        assert_eq!(limits("60/1m"), Some(vec![limit(60, 60)]));
        assert_eq!(limits("\"off\""), Some(vec![]));
        assert_eq!(limits("sixty"), None);
    }

    #[test]
    fn what_the_server_was_told_goes_before_the_defaults() {
        let told = [("bans.strikes", "3/10m"), ("bans.first", "\"5s\"")];
        let told = told.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let rules = Rules::new(&told).unwrap();
        assert_eq!((rules.strikes[0].count, rules.first_ban), (3, Duration::from_secs(5)));
        assert_eq!((rules.peer_issue.len(), rules.attempts), (2, 5));
        assert!(Rules::new(&[("bans.strikes".to_owned(), "many".to_owned())].into()).is_err());
    }
}
