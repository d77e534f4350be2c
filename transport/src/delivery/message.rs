//! Builds an RFC 5322 message from a job.
//!
//! ```text
//!   MailJob ─▶ Words (template × language, or a notice as it is) ─▶ Mail ─▶ headers + parts ─▶ bytes
//! ```
//!
//! The subject ends with the code and the first line of the text contains it, so that lock screens
//! and autofill find it. There is no link, image or tracking. A caller with a restricted key
//! controls only the address and the language (the domain of the autofill line comes from the key's
//! own list), so that a leaked key can't be used to send chosen text to strangers.
//!
//! Messages are rendered on the delivery thread. The parts and the finished bytes are wiped;
//! intermediate copies made by minijinja and lettre are freed without wiping.
//!
//! There is no `Precedence` header: with `bulk` mails are less likely to reach the inbox folder,
//! and RFC 3834 defines `Auto-Submitted` instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use authepy_engine::id::base62;
use authepy_engine::route::StartKeys;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, Date, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use zeroize::Zeroizing;

use super::HandOverFault;
use super::job::{Content, MailJob};

mod fault;
mod folder;
mod law;
mod layout;
mod locale;
mod minutes;
mod phrases;
mod preview;
mod template;
mod templates;
mod words;

pub use fault::TemplateFault;
pub use locale::Locale;
pub use preview::Preview;
pub use templates::{Templates, Wording};
use words::Words;

/// How the address is spelled in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As typed; non-ASCII needs a relay that supports SMTPUTF8.
    AsTyped,
    /// The domain as A-labels, for a relay that does not support it.
    Ascii,
}

/// A job prepared for sending. The same job makes the same message at every provider.
pub(super) struct Mail<'a> {
    job: &'a MailJob,
    to: Address,
    token: String,
    date: SystemTime,
    words: Words,
}

impl<'a> Mail<'a> {
    /// Prepares `job`. Fails if the address can't be used in an envelope.
    pub(super) fn new(job: &'a MailJob, keys: &StartKeys, unix_ms: u64) -> Result<Self, HandOverFault> {
        let to = envelope_address(job.to.as_str()).ok_or(HandOverFault::Unmailable)?;
        let token = match &job.content {
            // Keyed, so that the mail reveals nothing about the verification's id. Independent of
            // clock and provider, so that a relay can recognise a duplicate.
            Content::Code(mail) => {
                let (id, send) = (base62(mail.awaited.id.bits()), [mail.awaited.send]);
                base62(&keys.scoped("message id", &[id.as_bytes(), &send]))
            }
            Content::Notice(notice) => base62(&keys.scoped("notice id", &[&notice.token])),
        };
        let date = UNIX_EPOCH + Duration::from_millis(unix_ms);
        let words = Words::of(&job.content).map_err(|_| HandOverFault::Unmailable)?;
        Ok(Self { job, to, token, date, words })
    }

    /// What is mailed.
    pub(super) fn job(&self) -> &MailJob {
        self.job
    }

    /// The address as typed.
    pub(super) fn address(&self) -> &str {
        self.job.to.as_str()
    }

    /// The recipient, with the domain as A-labels.
    pub(super) fn to(&self) -> &Address {
        &self.to
    }

    /// Whether only a relay with SMTPUTF8 can carry it: a non-ASCII local part has no other
    /// spelling.
    pub(super) fn needs_utf8(&self) -> bool {
        !self.to.user().is_ascii()
    }

    /// Whether the address as typed has non-ASCII characters.
    pub(super) fn is_international(&self) -> bool {
        !self.address().is_ascii()
    }

    /// An identifier of this mail without personal data; the same for the same job.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The subject; ends with the code, if there is one.
    pub(super) fn subject(&self) -> &str {
        &self.words.subject
    }

    /// The plain text; its first line holds the code, if there is one.
    pub(super) fn text(&self) -> &str {
        &self.words.text
    }

    /// The HTML; a notice has none.
    pub(super) fn html(&self) -> Option<&str> {
        self.words.html.as_ref().map(|html| html.as_str())
    }

    /// The bytes of the message, with CRLF line ends.
    pub(super) fn compose(
        &self,
        from: &Mailbox,
        spelling: Spelling,
    ) -> Result<Zeroizing<Vec<u8>>, HandOverFault> {
        let to = match spelling {
            Spelling::AsTyped => self.address().to_owned(),
            Spelling::Ascii => self.to.to_string(),
        };
        let envelope = Envelope::new(Some(from.email.clone()), vec![self.to.clone()])
            .map_err(|_| HandOverFault::Unmailable)?;
        let mut headers = Message::builder()
            .from(from.clone())
            // lettre would fold or encode it; `envelope_address` has refused every character that
            // could end the line.
            .raw_header(HeaderValue::dangerous_new_pre_encoded(
                HeaderName::new_from_ascii_str("To"),
                to.clone(),
                to,
            ))
            .subject(self.subject().to_owned())
            .header(Date::new(self.date))
            .message_id(Some(format!("<{}.send@{}>", self.token, from.email.domain())))
            .raw_header(fixed("Auto-Submitted", "auto-generated"))
            .raw_header(fixed("X-Auto-Response-Suppress", "All"))
            .envelope(envelope);
        if let Some(language) = self.words.language {
            headers = headers.raw_header(fixed("Content-Language", language));
        }
        let text = part(ContentType::TEXT_PLAIN, self.text())?;
        let message = match self.html() {
            None => headers.singlepart(text),
            Some(html) => headers.multipart(
                MultiPart::alternative()
                    .boundary(format!("={}", self.token))
                    .singlepart(text)
                    .singlepart(part(ContentType::TEXT_HTML, html)?),
            ),
        }
        .map_err(|_| HandOverFault::Unmailable)?;
        Ok(Zeroizing::new(message.formatted()))
    }
}

fn fixed(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Encodes as 7bit if possible (ASCII in short lines), else as quoted-printable. Never base64, so
/// that the code stays readable in the raw mail.
fn part(kind: ContentType, text: &str) -> Result<SinglePart, HandOverFault> {
    let encoded = |encoding| Body::new_with_encoding(text.to_owned(), encoding);
    let body = encoded(ContentTransferEncoding::SevenBit)
        .or_else(|_| encoded(ContentTransferEncoding::QuotedPrintable))
        .map_err(|_| HandOverFault::Unmailable)?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// Parses the single mailbox of an address, with its domain as A-labels. The engine has already
/// checked the address; this last check before the wire relies on nothing: no character passes that
/// could end a header line, a command or a mailbox.
fn envelope_address(typed: &str) -> Option<Address> {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c);
    let (local, domain) = typed.split_once('@')?;
    if local.is_empty() || domain.is_empty() || domain.contains('@') || typed.contains(forbidden) {
        return None;
    }
    let domain = idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty())?;
    let plain = domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    // lettre's own parser refuses addresses that the engine accepts; the checks above suffice.
    plain.then(|| Address::new_dangerous(local, domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use authepy_engine::clock::Moment;
    use authepy_engine::code::Code;
    use authepy_engine::identity::Mode;
    use authepy_engine::request::MailForm;
    use authepy_engine::route::IdDigest;
    use authepy_engine::testing::Seeded;

    use crate::delivery::job::{Awaited, CodeMail, Notice};

    fn keys() -> StartKeys {
        StartKeys::draw(&mut Seeded::new(3))
    }

    fn job(to: &str) -> MailJob {
        let id = keys().fingerprint("ada", Mode::Live);
        MailJob {
            to: to.into(),
            content: Content::Code(CodeMail {
                code: Code::read("482913").unwrap(),
                project: "Acme <b> & Söhne".into(),
                wording: wording("en"),
                domain: None,
                lifetime: Duration::from_secs(299),
                awaited: Awaited { id: IdDigest::from_bytes(*id.as_bytes()), route: id.route(), send: 1 },
            }),
            expires: Moment::from_millis(1_000),
        }
    }

    fn wording(tag: &str) -> Wording {
        let form = MailForm { locale: Locale::number(Locale::lookup(tag)), template: 0 };
        Templates::load(None, None).unwrap().wording("Acme", form)
    }

    fn changed(mut job: MailJob, change: impl FnOnce(&mut CodeMail)) -> MailJob {
        let Content::Code(mail) = &mut job.content else { panic!() };
        change(mail);
        job
    }

    fn compose(job: &MailJob, unix_ms: u64) -> String {
        let mail = Mail::new(job, &keys(), unix_ms).unwrap();
        let from: Mailbox = "Acme <codes@mail.example>".parse().unwrap();
        String::from_utf8(mail.compose(&from, Spelling::AsTyped).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_mail_says_what_it_must() {
        let raw = compose(&job("Ada.Lovelace+x@example.org"), 1_700_000_000_000);
        for line in [
            "To: Ada.Lovelace+x@example.org\r\n",
            "Subject: Your code is 482913\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "\r\n\r\n482913 is your code for Acme <b> & S=C3=B6hne.\r\n",
            "It works once and expires in 4 minutes.",
            "Content-Language: en\r\n",
            "Acme &lt;b&gt; &amp; S=C3=B6hne",
        ] {
            assert!(raw.contains(line), "{line:?} missing in\n{raw}");
        }
        for absent in ["http:", "https:", "<img", "<a ", "base64", "@mybrand"] {
            assert!(!raw.contains(absent), "{absent}");
        }
        assert!(raw.lines().all(|line| line.len() <= 78), "short lines only:\n{raw}");
    }

    #[test]
    fn an_ascii_mail_is_not_encoded_at_all() {
        let job = changed(job("ada@example.org"), |mail| mail.project = "Acme".into());
        let raw = compose(&job, 0);
        assert_eq!(raw.matches("Content-Transfer-Encoding: 7bit").count(), 2, "{raw}");
    }

    #[test]
    fn the_same_job_keeps_its_message_id_and_another_send_gets_another() {
        let id = |job: &MailJob, unix_ms| {
            let raw = compose(job, unix_ms);
            raw.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned()
        };
        let first = job("ada@example.org");
        let second = changed(job("ada@example.org"), |mail| mail.awaited.send = 2);
        assert_eq!(id(&first, 0), id(&first, 5_000));
        assert_ne!(id(&first, 0), id(&second, 0));
        assert!(id(&first, 0).ends_with(".send@mail.example>"));
        assert!(
            !id(&first, 0).contains(&base62(first.awaited().unwrap().id.bits())),
            "the id's digest stays inside"
        );
    }

    #[test]
    fn a_notice_is_plain_text_and_its_subject_stays_one_line() {
        let notice = Notice {
            subject: "Bans: 40 in a minute\r\nBcc: eve@x.org".to_owned().into(),
            text: format!("All is well.\r\n.\r\n{}\u{7}\n", "long ".repeat(300)).into(),
            token: [7; 16],
        };
        let shown = format!("{notice:?}");
        let content = Content::Notice(notice);
        let job = MailJob { to: "ops@example.org".into(), content, expires: Moment::from_millis(1_000) };
        let raw = compose(&job, 0);
        assert!(raw.contains("Subject: Bans: 40 in a minute  Bcc: eve@x.org\r\n"), "{raw}");
        assert!(
            !raw.contains("\r\nBcc") && raw.contains("Content-Type: text/plain; charset=utf-8\r\n"),
            "{raw}"
        );
        assert!(raw.contains("\r\n\r\nAll is well.\r\n.\r\nlong ") && !raw.contains('\u{7}'), "{raw}");
        assert!(raw.lines().all(|line| line.len() <= 78) && !raw.contains("multipart"), "{raw}");
        let token = base62(&keys().scoped("notice id", &[&[7; 16]]));
        assert!(raw.contains(&format!("Message-ID: <{token}.send@mail.example>")), "{raw}");
        assert!(job.awaited().is_none() && shown == "Notice(..)");
    }

    #[test]
    fn nothing_but_one_mailbox_reaches_the_wire() {
        for hostile in [
            "ada@x.org\r\nBcc: eve@x.org",
            "ada@x.org>\r\nDATA",
            "<ada@x.org>",
            "ada@x.org,eve@x.org",
            "\"a b\"@x.org",
            "a(c)@x.org",
            "ada@[127.0.0.1]",
            "@r1,@r2:a@x.org",
            "a@b@x.org",
            "ada @x.org",
            "ada@x\u{2028}.org",
            "ada",
            "@x.org",
            "ada@",
        ] {
            assert!(envelope_address(hostile).is_none(), "{hostile:?}");
        }
    }

    #[test]
    fn a_domain_beyond_ascii_goes_as_a_labels_in_the_envelope() {
        let job = job("ada@bücher.example");
        let mail = Mail::new(&job, &keys(), 0).unwrap();
        assert_eq!(mail.to().to_string(), "ada@xn--bcher-kva.example");
        assert!(mail.is_international() && !mail.needs_utf8());
        assert!(compose(&job, 0).contains("To: ada@bücher.example\r\n"), "as typed where it may be");
        assert!(Mail::new(&self::job("jürgen@x.org"), &keys(), 0).unwrap().needs_utf8());
    }
}
