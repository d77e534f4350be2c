//! The SMTP hand-over: one mail, at most once.
//!
//! ```text
//!   MAIL ─▶ RCPT ─▶ DATA ─▶ body ─┬─▶ final dot ─▶ 250  sent
//!    any fault here: not sent     │   4xx, 5xx: not sent; anything else: maybe sent
//! ```
//!
//! RFC 5321 lets a relay keep a mail only after the final dot, and only its reply says whether it
//! did. lettre's own `send` does not say on which side of the dot an error occurred (and reports a
//! lost connection as a bad response), so its connection is driven step by step: the body is passed
//! as an iterator, and lettre writes the dot when the iterator ends. From then on, silence counts
//! as "maybe sent", and the mail is never sent again. (A mail is smaller than a socket's buffer, so
//! if a relay dies while it reads the body, the dot has usually been written already, and the mail
//! counts as "maybe sent" too.)

#![allow(clippy::disallowed_types, reason = "used by the delivery thread alone; its tasks must be Send")]

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

/// How long an idle connection is kept: relays close one after half a minute or more, and a closed
/// connection costs the next mail one round trip.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// Encryption of the connection to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Plain text.
    None,
    /// STARTTLS if offered; the certificate is then verified.
    Opportunistic,
    /// STARTTLS; fails if not offered.
    Required,
    /// TLS from the first byte.
    Implicit,
}

/// Address of a relay, our login, and how its certificate is verified.
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

/// How far one attempt has come.
#[derive(Default)]
struct Reached {
    /// The relay was given the recipient, whose host it may ask before it answers.
    recipient: AtomicBool,
    /// The final dot was written: the relay may have the mail.
    dot: AtomicBool,
}

/// A connection that is reused for several mails.
struct Session {
    connection: AsyncSmtpConnection,
    /// Whether the relay supports pipelining (RFC 2920).
    pipelining: bool,
}

/// A relay with its idle connections.
pub(super) struct Smtp {
    relay: Relay,
    from: Mailbox,
    hello: ClientId,
    /// Used by the delivery thread alone and never locked across an await. Bounded by the sends in
    /// progress: each returns at most the connection that it took or opened.
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
        let reached = Reached::default();
        let ended = tokio::time::timeout(budget, self.attempt(mail, &reached, clock)).await;
        match ended.unwrap_or(Err(HandOverFault::TimedOut)) {
            Err(HandOverFault::Lost | HandOverFault::Garbled | HandOverFault::TimedOut)
                if reached.dot.load(Ordering::Relaxed) =>
            {
                Ok(Fate::MaybeSent)
            }
            Err(HandOverFault::TimedOut) if reached.recipient.load(Ordering::Relaxed) => {
                Err(HandOverFault::Stalled)
            }
            other => other.map(|()| Fate::Sent),
        }
    }

    async fn attempt(&self, mail: &Mail<'_>, reached: &Reached, clock: Clock) -> Result<(), HandOverFault> {
        let kept = self.take_idle(clock().at);
        let mut session = match kept {
            Some(mut kept) => match self.open_envelope(&mut kept, mail, reached).await {
                // The relay closed the idle connection; nothing was sent yet.
                Err(HandOverFault::Lost | HandOverFault::Garbled | HandOverFault::HangsUp) => {
                    self.fresh(mail, reached).await?
                }
                opened => opened.map(|()| kept)?,
            },
            None => self.fresh(mail, reached).await?,
        };
        let spelling = if speaks_utf8(&session.connection) { Spelling::AsTyped } else { Spelling::Ascii };
        let message = mail.compose(&self.from, spelling)?;
        send_body(&mut session.connection, &message, &reached.dot).await?;
        self.keep(session, clock().at);
        Ok(())
    }

    /// A new connection with an open envelope.
    async fn fresh(&self, mail: &Mail<'_>, reached: &Reached) -> Result<Session, HandOverFault> {
        let wire = Wire::open(&self.relay, &self.hello).await?;
        let opened = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &self.hello).await;
        let mut connection = opened.map_err(fault)?;
        // lettre drops the EHLO extensions it does not know, so EHLO is sent again to see all of
        // them.
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
        self.open_envelope(&mut session, mail, reached).await?;
        Ok(session)
    }

    /// Sends MAIL, RCPT and DATA, pipelined if the relay supports it. After a refusal the
    /// connection is dropped, so no state is left on it.
    async fn open_envelope(
        &self,
        session: &mut Session,
        mail: &Mail<'_>,
        reached: &Reached,
    ) -> Result<(), HandOverFault> {
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
            reached.recipient.store(true, Ordering::Relaxed);
            let recipient = connection.read_response().await;
            completed(&recipient.map_err(recipient_fault)?)?;
            connection.read_response().await
        } else {
            completed(&connection.command(from).await.map_err(fault)?)?;
            reached.recipient.store(true, Ordering::Relaxed);
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

/// SMTPUTF8 requires 8BITMIME (RFC 6531, 3.1); a relay that offers only one counts as supporting
/// neither.
fn speaks_utf8(connection: &AsyncSmtpConnection) -> bool {
    let relay = connection.server_info();
    relay.supports_feature(Extension::SmtpUtfEight) && relay.supports_feature(Extension::EightBitMime)
}

/// Sends the body and the final dot and reads the answer. Sets `dot` before the first byte of the
/// dot is written.
async fn send_body(
    connection: &mut AsyncSmtpConnection,
    message: &[u8],
    dot: &AtomicBool,
) -> Result<(), HandOverFault> {
    // lettre writes the line end before the dot.
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
    // 554 and other codes may also mean a policy, which can change.
    match error.status().map(u16::from) {
        Some(550 | 551 | 553 | 556) => HandOverFault::NoSuchRecipient,
        _ => fault(error),
    }
}

/// Maps lettre's error by its kind alone: its text may quote the relay, and the relay may quote the
/// recipient.
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
