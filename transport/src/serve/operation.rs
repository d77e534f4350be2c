//! One operation: its body becomes a command, the shard's outcome an answer.

use std::net::IpAddr;

use authepy_engine::actor::Answer;
use authepy_engine::code::Code;
use authepy_engine::id::{IdSecret, VerificationId, base62};
use authepy_engine::perimeter::Admitted;
use authepy_engine::perimeter::api_key::{KeyClass, Mode};
use authepy_engine::perimeter::permission::Route;
use authepy_engine::receipt::Claims;
use authepy_engine::recipient::Recipient;
use authepy_engine::request::{
    Approved, Check, Command, First, Issue, Issued, Outcome, Owner, Refusal, Resend, Slot, Spend,
};
use authepy_engine::route::Route as ShardRoute;

use super::batch;
use crate::delivery::MailJob;
use crate::delivery::Permit;
use crate::desk::Desk;
use crate::reply::{Problem, Reply};
use crate::target::Call;
use crate::wire::{self, CheckBody, IntrospectBody, IssueBody, ResendBody};

/// A request that was admitted and read.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) admitted: &'a Admitted,
    pub(super) call: &'a Call,
    /// The request's id, for answers that name it within.
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
    #[allow(dead_code, reason = "the peer's windows come with the shield")]
    pub(super) peer: IpAddr,
}

/// An answer, and what an idempotency record has to remember to make it again.
pub(super) struct Done {
    pub(super) reply: Reply,
    pub(super) first: Option<First>,
}

impl From<Reply> for Done {
    fn from(reply: Reply) -> Self {
        Self { reply, first: None }
    }
}

impl Request<'_> {
    pub(super) fn owner(&self) -> Owner {
        Owner { project: self.admitted.key().project, mode: self.admitted.key().mode }
    }

    /// Puts a question to an inbox's shard.
    pub(super) fn ask(&self, desk: &Desk, route: ShardRoute, command: Command) -> Answer {
        desk.counters().shard_message(self.owner().mode);
        desk.ask(route, command)
    }

    fn slot(&self, desk: &Desk) -> Result<Slot, Problem> {
        let id = self.call.id.clone().ok_or(Refusal::VerificationNotFound)?;
        Ok(Slot::locate(desk.start_keys(), id, self.owner()))
    }
}

/// Performs the operation. `secret` is the id to be, where an idempotency key decides it.
pub(super) async fn perform(
    desk: &Desk,
    request: &Request<'_>,
    secret: Option<IdSecret>,
) -> Result<Done, Problem> {
    match request.call.route {
        Route::Issue => issue(desk, request, secret).await,
        Route::Check => check(desk, request).await,
        Route::Resend => resend(desk, request).await,
        Route::Cancel => cancel(desk, request).await,
        Route::Status => status(desk, request).await,
        Route::Introspect => introspect(desk, request).await,
        Route::Batch => batch::perform(desk, request).await,
        Route::Alerts => Err(Problem::NotFound),
    }
}

pub(super) async fn issue(
    desk: &Desk,
    request: &Request<'_>,
    secret: Option<IdSecret>,
) -> Result<Done, Problem> {
    let body: IssueBody<'_> = wire::read(request.body)?;
    if body.configures() && request.admitted.key().class == KeyClass::Restricted {
        return Err(Problem::KeyClassForbidden);
    }
    body.template()?;
    let nonce = wire::nonce(body.nonce.as_ref())?;
    let (purpose, locale) = (body.purpose()?, body.locale()?);
    let (code_length, lifetime) = (body.code_length()?, body.lifetime()?);
    let recipient = desk.recipient(body.recipient()?)?;
    let keys = desk.start_keys();
    let permit = desk.reserve_mail(request.owner().mode)?;
    let inbox = keys.fingerprint(recipient.canonical(), request.owner().mode);
    let command = Command::Issue(Issue {
        inbox,
        address: keys.exact_address(recipient.exact()),
        owner: request.owner(),
        peer: None,
        secret: secret.unwrap_or_else(|| desk.draw_secret()),
        code_length,
        lifetime,
        nonce: nonce.map(|nonce| keys.scoped("nonce", &[nonce.as_bytes()])),
        purpose: purpose.into(),
        metadata: body.metadata.as_ref().map(wire::Metadata::canonical),
    });
    match request.ask(desk, inbox.route(), command).await {
        Outcome::Issued(issued) => Ok(sent(desk, request, permit, issued, &recipient, locale)),
        other => Err(unexpected(other)),
    }
}

async fn resend(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let body: ResendBody<'_> = wire::read(request.body)?;
    let recipient = desk.recipient(body.recipient()?)?;
    let slot = request.slot(desk)?;
    let permit = desk.reserve_mail(request.owner().mode)?;
    let (route, address) = (slot.route, desk.start_keys().exact_address(recipient.exact()));
    match request.ask(desk, route, Command::Resend(Resend { slot, address, peer: None })).await {
        Outcome::Resent(issued) => Ok(sent(desk, request, permit, issued, &recipient, None)),
        other => Err(unexpected(other)),
    }
}

/// The shard has made a code: hand it to the mail, tell the caller.
fn sent(
    desk: &Desk,
    request: &Request<'_>,
    permit: Option<Permit>,
    issued: Issued,
    recipient: &Recipient,
    locale: Option<&str>,
) -> Done {
    let (digest, route) = issued.id.locate(desk.start_keys());
    let reply = standing_reply(&issued.id, &issued.standing, recipient);
    let first = First::Issued(issued.standing.clone(), route);
    if let Some(permit) = permit {
        permit.submit(MailJob {
            to: recipient.delivery().into(),
            code: issued.code,
            project: request.admitted.key().project_name.clone(),
            locale: locale.map(Into::into),
            lifetime: issued.standing.expires.since(issued.standing.at),
            expires: issued.standing.expires,
            id: digest,
            route,
            send: issued.send,
        });
    }
    Done { reply, first: Some(first) }
}

/// The answer to an issue or resend; also made again for a repeated request.
pub(super) fn standing_reply(
    id: &VerificationId,
    standing: &authepy_engine::request::Standing,
    recipient: &Recipient,
) -> Reply {
    let text = id.text();
    let body = wire::standing(text.as_str(), standing, Some(&recipient.hint()), None);
    Reply::accepted(body).located(text)
}

async fn check(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let body: CheckBody<'_> = wire::read(request.body)?;
    let nonce = wire::nonce(body.nonce.as_ref())?;
    let typed = body.code()?;
    let recipient = body.recipient.as_ref().map(|text| desk.recipient(&text.0)).transpose()?;
    let code = Code::read(typed).ok_or(Problem::MalformedCode)?;
    let slot = request.slot(desk)?;
    let keys = desk.start_keys();
    let route = slot.route;
    let command = Command::Check(Check {
        slot,
        code,
        address: recipient.as_ref().map(|recipient| keys.exact_address(recipient.exact())),
        nonce: nonce.map(|nonce| keys.scoped("nonce", &[nonce.as_bytes()])),
    });
    let first = match request.ask(desk, route, command).await {
        Outcome::Approved(approved) => First::Approved(approved),
        Outcome::Incorrect { attempts_remaining } => First::Incorrect { attempts_remaining },
        Outcome::Exhausted => First::Exhausted,
        other => return Err(unexpected(other)),
    };
    let reply = verdict_reply(desk, request, &first)?;
    Ok(Done { reply, first: Some(first) })
}

/// The answer to a check; also made again for a repeated request, whose body is the same.
pub(super) fn verdict_reply(desk: &Desk, request: &Request<'_>, first: &First) -> Result<Reply, Problem> {
    let id = request.call.id.as_ref().ok_or(Refusal::VerificationNotFound)?;
    let text = id.text();
    Ok(Reply::ok(match first {
        First::Approved(approved) => {
            let body: CheckBody<'_> = wire::read(request.body)?;
            let receipt = receipt(desk, request, id, approved, &body);
            wire::approved(text.as_str(), approved.unix_ms, receipt)
        }
        First::Incorrect { attempts_remaining } => wire::incorrect(text.as_str(), *attempts_remaining),
        First::Exhausted | First::Issued(..) => wire::exhausted(text.as_str()),
    }))
}

fn receipt(
    desk: &Desk,
    request: &Request<'_>,
    id: &VerificationId,
    approved: &Approved,
    body: &CheckBody<'_>,
) -> String {
    let key = desk.receipts();
    let issued_at = approved.unix_ms / 1_000;
    key.sign(&Claims {
        issuer: key.issuer(),
        audience: &request.admitted.key().project_name,
        subject: id.text().as_str(),
        purpose: &approved.purpose,
        nonce: body.nonce.as_ref().map(|text| &*text.0),
        email: body.recipient.as_ref().map(|text| &*text.0),
        issued_at,
        expires_at: issued_at + key.lifetime().as_secs(),
        id: &base62(&id.receipt_id(desk.start_keys())),
    })
}

async fn cancel(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    if let Ok(slot) = request.slot(desk) {
        match request.ask(desk, slot.route, Command::Cancel(slot)).await {
            Outcome::Cancelled => {}
            other => return Err(unexpected(other)),
        }
    }
    Ok(Reply::empty().into())
}

async fn status(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let slot = request.slot(desk)?;
    let text = slot.id.text();
    match request.ask(desk, slot.route, Command::Status(slot)).await {
        Outcome::Status(standing, metadata) => {
            Ok(Reply::ok(wire::standing(text.as_str(), &standing, None, metadata.as_deref())).into())
        }
        other => Err(unexpected(other)),
    }
}

async fn introspect(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let body: IntrospectBody<'_> = wire::read(request.body)?;
    let claims = desk.receipts().read(body.receipt()?, desk.now().unix_ms / 1_000);
    let own = claims.filter(|claims| claims["aud"] == *request.admitted.key().project_name);
    let Some(mut claims) = own else { return Ok(inactive()) };
    let jti = claims["jti"].as_str().unwrap_or_default();
    let receipt = desk.start_keys().scoped("receipt", &[jti.as_bytes()]);
    let spend = Command::Spend(Spend { receipt, lifetime: desk.receipts().lifetime() });
    match request.ask(desk, receipt.route(), spend).await {
        Outcome::Spent { first: true } => {
            claims["active"] = true.into();
            Ok(Reply::ok(claims.to_string().into_bytes()).into())
        }
        Outcome::Spent { first: false } => Ok(inactive()),
        other => Err(unexpected(other)),
    }
}

/// RFC 7662, 2.2: nothing but the fact.
fn inactive() -> Done {
    Reply::ok(br#"{"active":false}"#.to_vec()).into()
}

/// A refusal is the shard's answer to anything; every other outcome belongs to another command, and
/// being there is a bug that must not look like success.
pub(super) fn unexpected(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Refused(refusal) => refusal.into(),
        _ => Refusal::NotReady { retry_after: authepy_engine::limits::OVERLOADED_RETRY_AFTER }.into(),
    }
}

impl Desk {
    /// A place in the mail queue, before anything is promised. Test keys send no mail.
    fn reserve_mail(&self, mode: Mode) -> Result<Option<Permit>, Problem> {
        match mode {
            Mode::Test => Ok(None),
            Mode::Live => self.mail().reserve().map(Some).ok_or_else(|| {
                let retry_after = authepy_engine::limits::DELIVERY_RETRY_AFTER;
                Refusal::DeliveryUnavailable { retry_after }.into()
            }),
        }
    }
}
