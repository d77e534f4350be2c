//! Settings of a mail relay: its URL and its login.

use lettre::transport::smtp::authentication::Credentials;
use url::Url;
use zeroize::Zeroizing;

use crate::config::ProviderConfig;
use crate::delivery::hook::is_loopback;
use crate::delivery::roots::unreadable;
use crate::delivery::smtp::{Encryption, Relay};

impl ProviderConfig {
    /// Reads the settings of a mail relay and the files that they name.
    pub(super) fn relay(&self) -> Result<Relay, String> {
        // The parser's own error may quote the URL, which may hold a password.
        let url = Url::parse(self.url.as_str()).map_err(|_| "`url` is not a URL".to_owned())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if host.is_empty()
            || host.contains('%')
            || !matches!(url.path(), "" | "/")
            || url.fragment().is_some()
        {
            return Err("`url` must look like smtp://host:587".to_owned());
        }
        let loopback = is_loopback(&host);
        let (encryption, port) = match (url.scheme(), tls_option(&url)?) {
            ("smtps", None) => (Encryption::Implicit, 465),
            ("smtps", Some(_)) => return Err("smtps:// is TLS from the first byte; drop `?tls=`".to_owned()),
            ("smtp", Some(asked)) => (asked, 587),
            ("smtp", None) if loopback => (Encryption::None, 587),
            ("smtp", None) => (Encryption::Required, 587),
            _ => return Err("`url` must begin with smtp:// or smtps://".to_owned()),
        };
        let login = self.login(&url)?;
        let in_clear = matches!(encryption, Encryption::None | Encryption::Opportunistic);
        if login.is_some() && in_clear && !loopback {
            return Err("a password is never sent to another host without TLS; use ?tls=required".to_owned());
        }
        let port = url.port().unwrap_or(port);
        Relay::new(host, port, encryption, login, self.ca_file.as_deref())
    }

    fn login(&self, url: &Url) -> Result<Option<Credentials>, String> {
        let in_url = (!url.username().is_empty(), url.password().is_some());
        let pair = match (in_url, &self.username, self.password()?) {
            ((false, false), None, None) => return Ok(None),
            ((true, true), None, None) => (
                Zeroizing::new(decoded(url.username())?),
                Zeroizing::new(decoded(url.password().unwrap_or(""))?),
            ),
            ((true, false), None, Some(password)) => (Zeroizing::new(decoded(url.username())?), password),
            ((false, false), Some(username), Some(password)) => {
                (Zeroizing::new(username.to_string()), password)
            }
            _ => return Err("give one username and one password, in the URL or beside it".to_owned()),
        };
        Ok(Some(Credentials::new(pair.0.to_string(), pair.1.to_string())))
    }

    pub(super) fn password(&self) -> Result<Option<Zeroizing<String>>, String> {
        match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => Err("give `password` or `password_file`, not both".to_owned()),
            (Some(password), None) => Ok(Some(Zeroizing::new(password.as_str().to_owned()))),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map(Zeroizing::new);
                let text = text.map_err(|error| unreadable("password_file", path, &error))?;
                Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
            }
            (None, None) => Ok(None),
        }
    }
}

fn tls_option(url: &Url) -> Result<Option<Encryption>, String> {
    let mut asked = None;
    for (key, value) in url.query_pairs() {
        let value = match (&*key, &*value) {
            ("tls", "none") => Encryption::None,
            ("tls", "opportunistic") => Encryption::Opportunistic,
            ("tls", "required") => Encryption::Required,
            ("tls", _) => return Err("`?tls=` must be none, opportunistic or required".to_owned()),
            _ => return Err("`url` has an unknown option; known: tls".to_owned()),
        };
        if asked.replace(value).is_some() {
            return Err("`?tls=` is given twice".to_owned());
        }
    }
    Ok(asked)
}

/// Decodes the percent-encoding of a URL's username or password.
fn decoded(text: &str) -> Result<String, String> {
    let broken = || "the login in `url` is not percent-encoded UTF-8".to_owned();
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (high, low) = digit().zip(digit()).ok_or_else(broken)?;
                u8::try_from(high << 4 | low).map_err(|_| broken())?
            }
            other => other,
        };
        out.push(byte);
    }
    String::from_utf8(out).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::super::tests::provider;
    use super::*;

    fn relay(url: &str) -> Result<(Encryption, String, u16), String> {
        let relay = provider(&format!("kind = 'smtp'\nurl = '{url}'")).relay()?;
        Ok((relay.encryption, relay.host, relay.port))
    }

    #[test]
    fn a_url_says_how_much_tls() {
        for (url, encryption, host, port) in [
            ("smtp://mail.example:25", Encryption::Required, "mail.example", 25),
            ("smtp://mail.example", Encryption::Required, "mail.example", 587),
            ("smtp://localhost:2525", Encryption::None, "localhost", 2525),
            ("smtp://127.0.0.1:2525", Encryption::None, "127.0.0.1", 2525),
            ("smtp://[::1]:2525", Encryption::None, "::1", 2525),
            ("smtp://localhost:2525?tls=required", Encryption::Required, "localhost", 2525),
            ("smtp://mail.example?tls=none", Encryption::None, "mail.example", 587),
            ("smtp://mail.example?tls=opportunistic", Encryption::Opportunistic, "mail.example", 587),
            ("smtps://mail.example", Encryption::Implicit, "mail.example", 465),
        ] {
            assert_eq!(relay(url), Ok((encryption, host.to_owned(), port)), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_quoted() {
        for url in [
            "mail.example:587",
            "http://mail.example",
            "smtp://",
            "smtp://mail.example/path",
            "smtp://mail.example?tls=maybe",
            "smtp://mail.example?tls=none&tls=required",
            "smtp://mail.example?verify=no",
            "smtps://mail.example?tls=none",
            "smtp://ada:s3cret@mail.example?tls=none",
            "smtp://ada:s3cret@mail.example?tls=opportunistic",
            "smtp://ada:s3cret@mail.example:99999",
            "smtp://ada@mail.example",
        ] {
            let reason = relay(url).unwrap_err();
            assert!(!reason.contains("s3cret"), "{reason}");
        }
    }

    #[test]
    fn a_login_comes_from_one_place() {
        let login =
            |toml: &str| provider(&format!("kind = 'smtp'\n{toml}")).relay().map(|r| r.login.is_some());
        assert_eq!(login("url = 'smtps://a%40b:p%3aw@mail.example'"), Ok(true));
        assert_eq!(login("url = 'smtps://mail.example'\nusername = 'a'\npassword = 'b'"), Ok(true));
        assert_eq!(login("url = 'smtps://mail.example'"), Ok(false));
        assert!(login("url = 'smtps://mail.example'\nusername = 'a'").is_err());
        assert!(login("url = 'smtps://x:y@mail.example'\nusername = 'a'\npassword = 'b'").is_err());
        assert!(login("url = 'smtps://mail.example'\nusername = 'a'\npassword_file = '/nowhere'").is_err());
        assert_eq!(decoded("a%40b").as_deref(), Ok("a@b"));
        assert!(decoded("a%4").is_err());
    }
}
