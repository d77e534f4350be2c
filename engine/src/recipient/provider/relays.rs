//! Privacy relays: aliases that forward to a permanent inbox. They are not disposable: the person
//! stays reachable there. `icloud.com` and `duckduckgo.com` are not relay domains.
//!
//! Data only, like [`families`](super::families). Aliases directly at a relay's domain are created
//! one by one by their owner, so each is an inbox. Below a customer's own label, anybody can make
//! them up: all mail to `anything@ada.relay.example` goes to Ada.

use super::families::{PLUS, family};
use super::{Family, Rule};

/// Everything below `NAME.` belongs to NAME.
const CATCH_ALL: Rule = Rule { users_below: true, ..PLUS };

/// The built-in relays.
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
        // A name may belong to different people below different domains.
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
