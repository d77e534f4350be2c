//! Privacy relays: aliases that forward to an inbox their owner keeps. Not disposable: the person
//! stays reachable there. `icloud.com` and `duckduckgo.com` are no relay domains.
//!
//! Data only, like [`families`](super::families). Aliases at a relay's own domain are made by their
//! owner one by one, so each is an inbox. Below it, where a customer has a name, anybody makes them
//! up: whatever is mailed to `anything@ada.relay.example` comes to Ada.

use super::families::{PLUS, family};
use super::{Family, Rule};

/// Everything below `NAME.` is NAME's.
const CATCH_ALL: Rule = Rule { users_below: true, ..PLUS };

/// The services this crate knows.
#[rustfmt::skip]
pub static RELAYS: &[Family] = &[
    family("Apple Hide My Email", PLUS, "https://support.apple.com/102548",
        &["privaterelay.appleid.com"]),
    family("Firefox Relay", CATCH_ALL,
        "https://support.mozilla.org/kb/general-questions-about-relay-email-domains (a domain of one's own)",
        &["mozmail.com", "relay.firefox.com"]),
    family("DuckDuckGo Email Protection", PLUS,
        "https://duckduckgo.com/duckduckgo-help-pages/email-protection",
        &["duck.com"]),
    family("SimpleLogin", CATCH_ALL,
        // A name may be one person's below one of the domains and another's below the next.
        "https://simplelogin.io/docs/getting-started/restore-alias/ (subdomains) and the app's domain list",
        &["simplelogin.com", "simplelogin.co", "simplelogin.fr", "simplelogin.io", "aleeas.com",
          "slmail.me", "slmails.com", "silomails.com", "8alias.com", "8shield.net", "dralias.com"]),
    family("Proton Pass", CATCH_ALL, // runs on SimpleLogin
        "https://proton.me/support/pass-hide-my-email",
        &["passmail.net", "passmail.com", "passinbox.com", "passfwd.com"]),
    family("addy.io",
        // `anything@ada.anonaddy.com` and `…@ada.anonaddy.me` are both Ada's.
        Rule { one_account: true, ..CATCH_ALL },
        "https://addy.io/help/what-are-the-different-kinds-of-aliases/ and https://github.com/anonaddy/anonaddy",
        &["anonaddy.com", "anonaddy.me", "addy.io", "addymail.com", "mailer.me"]),
];

/// All relay domains.
pub(crate) fn domains() -> impl Iterator<Item = &'static str> {
    RELAYS.iter().flat_map(|family| family.domains.iter().copied())
}
