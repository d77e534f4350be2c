//! Builds a provider from its entry in the `delivery` list; errors in the entry are reported at
//! start, before the first mail.

use std::fmt;
use std::path::PathBuf;

use lettre::message::Mailbox;

use super::hook::{Hook, HookConfig};
use super::outbox::{Outbox, Show};
use super::smtp::{Relay, Smtp};
use super::webhook::Webhook;
use crate::config::{ProviderConfig, ProviderKind};

mod relay;

/// Why a provider can't be used. Holds nothing confidential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFault {
    provider: Box<str>,
    reason: String,
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery provider `{}`: {}", self.provider, self.reason)
    }
}

impl std::error::Error for ProviderFault {}

/// A provider that can be handed mails.
pub(super) enum Provider {
    Smtp(Smtp),
    Outbox(Outbox),
    Webhook(Webhook),
}

impl ProviderConfig {
    /// Runs all checks of a start. Reads the files that the entry names, changes nothing, opens no
    /// connection.
    pub fn check(&self) -> Result<(), ProviderFault> {
        self.ready().map(drop).map_err(|reason| self.fault(reason))
    }

    /// Builds the provider; an outbox creates its folders now.
    pub(super) fn open(&self, show: Option<Show>) -> Result<Provider, ProviderFault> {
        match self.ready().map_err(|reason| self.fault(reason))? {
            Ready::Smtp(relay, from) => Ok(Provider::Smtp(Smtp::new(relay, from))),
            Ready::Outbox(dir, from) => Outbox::open(dir, from, show)
                .map(Provider::Outbox)
                .map_err(|error| self.fault(format!("can't create the outbox folder: {}", error.kind()))),
            Ready::Webhook(hook, from) => Ok(Provider::Webhook(Webhook::new(hook, &from))),
        }
    }

    fn fault(&self, reason: String) -> ProviderFault {
        ProviderFault { provider: self.name.clone(), reason }
    }

    fn ready(&self) -> Result<Ready, String> {
        if self.name.is_empty() {
            return Err("`name` is empty".to_owned());
        }
        let from = self.sender()?;
        let has_login = self.username.is_some() || self.password.is_some() || self.password_file.is_some();
        let has_secret = self.secret.is_some() || self.secret_file.is_some();
        match self.kind {
            ProviderKind::Smtp if has_secret => Err("only a webhook takes a `secret`".to_owned()),
            ProviderKind::Outbox if has_login || has_secret || self.ca_file.is_some() => {
                Err("an outbox takes no `ca_file`, login or `secret`".to_owned())
            }
            ProviderKind::Webhook if has_login => Err("a webhook takes a `secret`, no login".to_owned()),
            ProviderKind::Smtp => self.relay().map(|relay| Ready::Smtp(relay, from)),
            ProviderKind::Outbox => self.folder().map(|dir| Ready::Outbox(dir, from)),
            ProviderKind::Webhook => self.hook().map(|hook| Ready::Webhook(hook, from)),
        }
    }

    fn sender(&self) -> Result<Mailbox, String> {
        let from: Mailbox =
            self.from.parse().map_err(|_| format!("`from` is not a mail address: {}", self.from))?;
        if !AsRef::<str>::as_ref(&from.email).is_ascii() {
            return Err("`from` must be ASCII; write its domain as A-labels (xn--…)".to_owned());
        }
        match self.from.contains(char::is_control) {
            true => Err("`from` holds a control character".to_owned()),
            false => Ok(from),
        }
    }

    fn folder(&self) -> Result<PathBuf, String> {
        let path: &str = self.url.as_str();
        match path.strip_prefix("file://").unwrap_or(path) {
            "" => Err("`url` must name a folder".to_owned()),
            path if path.contains("://") => Err("`url` of an outbox must be a folder".to_owned()),
            path => Ok(path.into()),
        }
    }

    fn hook(&self) -> Result<Hook, String> {
        Hook::new(HookConfig {
            url: self.url.as_str(),
            secret: self.secret.as_ref().map(|secret| secret.as_str()),
            secret_file: self.secret_file.as_deref(),
            ca_file: self.ca_file.as_deref(),
        })
    }
}

enum Ready {
    Smtp(Relay, Mailbox),
    Outbox(PathBuf, Mailbox),
    Webhook(Hook, Mailbox),
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn provider(toml: &str) -> ProviderConfig {
        let base = "name = 'one'\nfrom = 'Acme <codes@mail.example>'\n";
        toml::from_str(&format!("{base}{toml}")).unwrap()
    }

    #[test]
    fn what_can_not_work_is_said_before_the_start() {
        let check = |toml: &str| provider(toml).check().unwrap_err().to_string();
        assert!(check("kind = 'webhook'\nurl = 'https://x.example'").contains("secret"));
        let secret = format!("kind = 'webhook'\nsecret = '{}'", "x".repeat(32));
        assert!(check(&format!("{secret}\nurl = 'http://x.example'")).contains("https"));
        assert!(check(&format!("{secret}\nurl = 'https://a:b@x.example'")).contains("login"));
        assert!(check(&format!("{secret}\nurl = 'https://x.example'\nusername = 'a'")).contains("no login"));
        assert_eq!(provider(&format!("{secret}\nurl = 'http://127.0.0.1:1/a'")).check(), Ok(()));
        assert!(check("kind = 'smtp'\nurl = 'smtps://x.example'\nsecret = 'x'").contains("only a webhook"));
        assert!(check("kind = 'smtp'\nurl = 'smtps://x.example'\nca_file = '/nowhere'").contains("ca_file"));
        assert!(check("kind = 'outbox'\nurl = ''").contains("must name a folder"));
        let mut from = provider("kind = 'outbox'\nurl = '/tmp/x'");
        assert_eq!(from.check(), Ok(()));
        for wrong in ["", "nobody", "a@b@c", "codes@bücher.example", "A\r\nBcc: x <codes@mail.example>"] {
            from.from = wrong.into();
            assert!(from.check().is_err(), "{wrong:?}");
        }
        let unknown = "name = 'a'\nkind = 'smtp'\nurl = 'smtps://x'\nfrom = 'a@b.c'\nretries = 3";
        assert!(toml::from_str::<ProviderConfig>(unknown).is_err());
    }
}
