//! The SMTP hand-over: one mail, at most once.
//!
//! ```text
//!   MAIL ─▶ RCPT ─▶ DATA ─▶ body ─┬─▶ final dot ─▶ 250  sent
//!    any fault here: not sent     │   4xx, 5xx: not sent; anything else: maybe sent
//! ```
//!
//! RFC 5321 lets a relay keep a mail only after the final dot, and only a reply says whether it did.
//! lettre's own `send` does not tell on which side of the dot an error lies (and reports a lost
//! connection as a bad response), so its connection is driven by hand: the body is given to it as an
//! iterator, and lettre writes the dot when the iterator has ended. From that moment on, silence counts as
//! "maybe sent": never sent again. (A mail is smaller than a socket's buffer, so a relay that dies while it
//! reads the body mostly has the dot on its way already, and counts as "maybe sent" too.)

#![allow(clippy::disallowed_types, reason = "of the delivery thread alone; its tasks must be Send")]

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use authepy_engine::clock::{Clock, Moment};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::message::{Mail, Spelling};
use super::{Fate, HandOverFault};
use crate::delivery::roots;

mod wire;
use wire::Wire;

/// How long an idle connection may wait for the next mail: relays hang up after half a minute or more,
/// and a connection that is gone costs a mail one round trip.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How a relay is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// In clear.
    None,
    /// STARTTLS where it is offered, and then verified.
    Opportunistic,
    /// STARTTLS or nothing.
    Required,
    /// TLS from the first byte.
    Implicit,
}

/// Where a relay is and how it proves itself.
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) login: Option<Credentials>,
    tls: TlsConnector,
    tls_name: ServerName<'static>,
}

impl Relay {
    pub(super) fn new(
        host: String,
        port: u16,
        encryption: Encryption,
        login: Option<Credentials>,
        ca_file: Option<&Path>,
    ) -> Result<Self, String> {
        let tls_name =
            ServerName::try_from(host.clone()).map_err(|_| "`url` has no valid host".to_owned())?;
        let tls = match encryption {
            Encryption::None => roots::unused()?,
            _ => roots::connector(ca_file)?,
        };
        Ok(Self { host, port, encryption, login, tls, tls_name })
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("host", &self.host).finish_non_exhaustive()
    }
}

/// A connection on which mails follow each other.
struct Session {
    connection: AsyncSmtpConnection,
    /// Whether the relay takes commands without waiting for their answers (RFC 2920).
    pipelining: bool,
}

/// A relay with its idle connections.
pub(super) struct Smtp {
    relay: Relay,
    from: Mailbox,
    hello: ClientId,
    /// Of the delivery thread alone, and never held across an await. Bounded by the sends in progress:
    /// each gives back at most the one it took or made.
    idle: Mutex<Vec<(Session, Moment)>>,
}

impl Smtp {
    pub(super) fn new(relay: Relay, from: Mailbox) -> Self {
        Self { relay, from, hello: ClientId::default(), idle: Mutex::default() }
    }

    /// Hands `mail` over within `budget`.
    pub(super) async fn hand_over(
        &self,
        mail: &Mail<'_>,
        budget: Duration,
        clock: Clock,
    ) -> Result<Fate, HandOverFault> {
        let dot = AtomicBool::new(false);
        let ended = tokio::time::timeout(budget, self.attempt(mail, &dot, clock)).await;
        match ended.unwrap_or(Err(HandOverFault::TimedOut)) {
            Err(HandOverFault::Lost | HandOverFault::Garbled | HandOverFault::TimedOut)
                if dot.load(Ordering::Relaxed) =>
            {
                Ok(Fate::MaybeSent)
            }
            other => other.map(|()| Fate::Sent),
        }
    }

    async fn attempt(&self, mail: &Mail<'_>, dot: &AtomicBool, clock: Clock) -> Result<(), HandOverFault> {
        let kept = self.take_idle(clock().at);
        let mut session = match kept {
            Some(mut kept) => match self.open_envelope(&mut kept, mail).await {
                // The relay hung up on an idle connection; nothing was sent yet.
                Err(HandOverFault::Lost | HandOverFault::Garbled | HandOverFault::HangsUp) => {
                    self.fresh(mail).await?
                }
                opened => opened.map(|()| kept)?,
            },
            None => self.fresh(mail).await?,
        };
        let spelling = if speaks_utf8(&session.connection) { Spelling::AsTyped } else { Spelling::Ascii };
        let message = mail.compose(&self.from, spelling)?;
        send_body(&mut session.connection, &message, dot).await?;
        self.keep(session, clock().at);
        Ok(())
    }

    /// A new connection with an open envelope.
    async fn fresh(&self, mail: &Mail<'_>) -> Result<Session, HandOverFault> {
        let wire = Wire::open(&self.relay, &self.hello).await?;
        let opened = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &self.hello).await;
        let mut connection = opened.map_err(fault)?;
        // lettre keeps of the first EHLO answer only what it knows of; asked again, the relay says all.
        let extensions = connection.command(Ehlo::new(self.hello.clone())).await.map_err(fault)?;
        let pipelining = extensions.message().any(|word| word.trim_end().eq_ignore_ascii_case("PIPELINING"));
        if let Some(login) = &self.relay.login {
            let answer = connection.auth(&[Mechanism::Plain, Mechanism::Login], login).await;
            let answer = answer.map_err(|error| match fault(error) {
                HandOverFault::Refused | HandOverFault::Garbled => HandOverFault::LoginRefused,
                other => other,
            })?;
            completed(&answer)?;
        }
        let mut session = Session { connection, pipelining };
        self.open_envelope(&mut session, mail).await?;
        Ok(session)
    }

    /// MAIL, RCPT and DATA, in one go where the relay takes that. After a refusal the connection is dropped,
    /// so no state is left on it.
    async fn open_envelope(&self, session: &mut Session, mail: &Mail<'_>) -> Result<(), HandOverFault> {
        let Session { connection, pipelining } = session;
        let parameters = match speaks_utf8(connection) && mail.is_international() {
            true => vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)],
            false if mail.needs_utf8() => return Err(HandOverFault::NeedsUtf8),
            false => Vec::new(),
        };
        let from = MailFrom::new(Some(self.from.email.clone()), parameters);
        let to = Rcpt::new(mail.to().clone(), Vec::new());
        let ready = if *pipelining {
            // Three commands in one segment.
            let commands = Zeroizing::new(format!("{from}{to}{Data}"));
            let sender = connection.command(&**commands).await;
            completed(&sender.map_err(fault)?)?;
            let recipient = connection.read_response().await;
            completed(&recipient.map_err(recipient_fault)?)?;
            connection.read_response().await
        } else {
            completed(&connection.command(from).await.map_err(fault)?)?;
            completed(&connection.command(to).await.map_err(recipient_fault)?)?;
            connection.command(Data).await
        };
        match ready.map_err(fault)?.code().severity {
            Severity::PositiveIntermediate => Ok(()),
            _ => Err(HandOverFault::Garbled),
        }
    }

    fn take_idle(&self, now: Moment) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| now.since(*since) < IDLE_MAX);
        idle.pop().map(|(session, _)| session)
    }

    fn keep(&self, session: Session, now: Moment) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((session, now));
    }
}

/// SMTPUTF8 implies 8BITMIME (RFC 6531, 3.1); a relay that forgets one has neither.
fn speaks_utf8(connection: &AsyncSmtpConnection) -> bool {
    let relay = connection.server_info();
    relay.supports_feature(Extension::SmtpUtfEight) && relay.supports_feature(Extension::EightBitMime)
}

/// The body, the final dot, the answer. Sets `dot` before the first byte of the dot is written.
async fn send_body(
    connection: &mut AsyncSmtpConnection,
    message: &[u8],
    dot: &AtomicBool,
) -> Result<(), HandOverFault> {
    // The line end before the dot is lettre's.
    let mut body = Some(message.strip_suffix(b"\r\n").unwrap_or(message));
    let parts = std::iter::from_fn(|| {
        let part = body.take();
        dot.store(part.is_none(), Ordering::Relaxed);
        part
    });
    completed(&connection.message_iter(parts).await.map_err(fault)?)
}

fn completed(answer: &Response) -> Result<(), HandOverFault> {
    match answer.code().severity {
        Severity::PositiveCompletion => Ok(()),
        _ => Err(HandOverFault::Garbled),
    }
}

/// A refusal of the address itself.
fn recipient_fault(error: lettre::transport::smtp::Error) -> HandOverFault {
    // 554 and the rest also stand for policies, which the operator may be about to change.
    match error.status().map(u16::from) {
        Some(550 | 551 | 553 | 556) => HandOverFault::NoSuchRecipient,
        _ => fault(error),
    }
}

/// lettre's error by its kind alone: its text may quote the relay, and the relay the recipient.
fn fault(error: lettre::transport::smtp::Error) -> HandOverFault {
    if error.status().is_some_and(|code| u16::from(code) == 421) {
        HandOverFault::HangsUp
    } else if error.is_permanent() {
        HandOverFault::Refused
    } else if error.is_transient() {
        HandOverFault::RefusedForNow
    } else if error.is_response() || error.is_client() {
        HandOverFault::Garbled
    } else {
        HandOverFault::Lost
    }
}
