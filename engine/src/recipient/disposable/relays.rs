//! Privacy relays: aliases that forward to an inbox their owner keeps. Not disposable: the person
//! stays reachable there. `icloud.com` and `duckduckgo.com` are no relay domains.

/// A relay service, the page that names its domains, and the domains.
pub type Relay = (&'static str, &'static str, &'static [&'static str]);

/// The services this crate knows.
#[rustfmt::skip]
pub static RELAYS: &[Relay] = &[
    ("Apple Hide My Email", "https://support.apple.com/102548",
        &["privaterelay.appleid.com"]),
    ("Firefox Relay", "https://support.mozilla.org/kb/how-do-i-use-firefox-relay",
        &["mozmail.com", "relay.firefox.com"]),
    ("DuckDuckGo Email Protection", "https://duckduckgo.com/duckduckgo-help-pages/email-protection",
        &["duck.com"]),
    ("SimpleLogin", "https://simplelogin.io/docs/custom-domain/add-domain/ and the app's domain list",
        &["simplelogin.com", "simplelogin.co", "simplelogin.fr", "simplelogin.io", "aleeas.com",
          "slmail.me", "slmails.com", "silomails.com", "8alias.com", "8shield.net", "dralias.com"]),
    ("Proton Pass", "https://proton.me/support/pass-hide-my-email",
        &["passmail.net", "passmail.com", "passinbox.com", "passfwd.com"]),
    ("addy.io", "https://addy.io/help/ and https://github.com/anonaddy/anonaddy",
        &["addy.io", "anonaddy.com", "anonaddy.me", "addymail.com", "mailer.me"]),
];

/// All relay domains.
pub(super) fn domains() -> impl Iterator<Item = &'static str> {
    RELAYS.iter().flat_map(|(_, _, domains)| domains.iter().copied())
}
