//! Privacy relays: aliases that forward to an inbox their owner keeps. Not disposable: the person
//! stays reachable there. `icloud.com` and `duckduckgo.com` are no relay domains.
//!
//! Data only, like [`families`](super::families).

use super::Family;
use super::families::{PLUS, family};

/// The services this crate knows.
#[rustfmt::skip]
pub static RELAYS: &[Family] = &[
    family("Apple Hide My Email", PLUS, "https://support.apple.com/102548",
        &["privaterelay.appleid.com"]),
    family("Firefox Relay", PLUS, "https://support.mozilla.org/kb/how-do-i-use-firefox-relay",
        &["mozmail.com", "relay.firefox.com"]),
    family("DuckDuckGo Email Protection", PLUS,
        "https://duckduckgo.com/duckduckgo-help-pages/email-protection",
        &["duck.com"]),
    family("SimpleLogin", PLUS,
        "https://simplelogin.io/docs/custom-domain/add-domain/ and the app's domain list",
        &["simplelogin.com", "simplelogin.co", "simplelogin.fr", "simplelogin.io", "aleeas.com",
          "slmail.me", "slmails.com", "silomails.com", "8alias.com", "8shield.net", "dralias.com"]),
    family("Proton Pass", PLUS, "https://proton.me/support/pass-hide-my-email",
        &["passmail.net", "passmail.com", "passinbox.com", "passfwd.com"]),
    family("addy.io", PLUS, "https://addy.io/help/ and https://github.com/anonaddy/anonaddy",
        &["addy.io", "anonaddy.com", "anonaddy.me", "addymail.com", "mailer.me"]),
];

/// All relay domains.
pub(crate) fn domains() -> impl Iterator<Item = &'static str> {
    RELAYS.iter().flat_map(|family| family.domains.iter().copied())
}
