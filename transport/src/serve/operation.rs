//! Performs one operation: turns a request into a command, and the shard's outcome into an answer.

use authepy_engine::actor::Answer;
use authepy_engine::id::{IdSecret, VerificationId, base62};
use authepy_engine::identity::{Mode, Owner};
use authepy_engine::perimeter::Admitted;
use authepy_engine::perimeter::permission::Operation;
use authepy_engine::recipient::Recipient;
use authepy_engine::request::{Approved, Check, Command, First, Outcome, Paid, Proven, Refusal, Slot, Spend};
use authepy_engine::route::{ReceiptDigest, Route as ShardRoute};
use authepy_http3::json;
use authepy_http3::json::bodies::IntrospectBody;

use super::asked::{CheckAsked, Ready, Statement};
use super::issue::{self, Placed};
use super::{RateAccount, alerts, batch, places};
use crate::delivery::events::End;
use crate::http::reply::{Problem, Reply};
use crate::http::target::Call;
use crate::http::wire;
use crate::serve::lane_context::LaneContext;
use crate::serve::receipt::Claims;

/// A request that was admitted and read.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) admitted: &'a Admitted,
    pub(super) call: &'a Call,
    /// The request's id, for answers that contain it.
    pub(super) id: &'a str,
    /// In canonical form.
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    /// What it costs, and whom it is charged to.
    pub(super) account: &'a RateAccount,
}

/// An answer, and what an idempotency record must keep to make it again.
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
        self.admitted.owner()
    }

    /// Sends a command to the shard of an inbox.
    pub(super) fn ask(&self, context: &LaneContext, route: ShardRoute, command: Command) -> Answer {
        context.counters().shard_message(self.owner().mode);
        context.ask(route, command)
    }

    pub(super) fn slot(&self, context: &LaneContext) -> Result<Proven<Slot>, Problem> {
        let id = self.call.id.clone().ok_or(Refusal::VerificationNotFound)?;
        Ok(Proven::<Slot>::new(self.admitted, id, context.start_keys()))
    }
}

/// Performs the operation. `secret` makes the verification's id, if an idempotency key determines
/// it.
pub(super) async fn perform(
    context: &LaneContext,
    request: &Request<'_>,
    asked: Ready<'_>,
    secret: Option<IdSecret>,
) -> Result<Done, Problem> {
    let route = match asked {
        Ready::Issue(asked, paid) => {
            return Placed::take(context, request, asked, paid).await?.open(context, request, secret).await;
        }
        Ready::Check(asked, paid) => return check(context, request, asked, paid).await,
        Ready::Resend(recipient, paid) => {
            return Box::pin(issue::resend(context, request, &recipient, paid)).await;
        }
        Ready::Other(route) => route,
    };
    Box::pin(other(context, request, route)).await
}

/// The less frequent operations.
async fn other(context: &LaneContext, request: &Request<'_>, route: Operation) -> Result<Done, Problem> {
    match route {
        Operation::Cancel => cancel(context, request).await,
        Operation::Status => status(context, request).await,
        Operation::Introspect => introspect(context, request).await,
        Operation::Batch => batch::perform(context, request).await,
        Operation::Alerts => alerts::perform(context, request).await,
        Operation::Issue | Operation::Check | Operation::Resend => Err(Problem::NotFound),
    }
}

/// The answer to an issue or resend; also used to repeat it.
pub(super) fn standing_reply(
    id: &VerificationId,
    standing: &authepy_engine::request::Standing,
    recipient: &Recipient,
) -> Reply {
    let text = id.text();
    let body = wire::standing(text.as_str(), standing, Some(&recipient.hint()), None);
    Reply::accepted(body).located(text)
}

async fn check(
    context: &LaneContext,
    request: &Request<'_>,
    asked: CheckAsked<'_>,
    paid: Paid,
) -> Result<Done, Problem> {
    let CheckAsked { code, nonce, statement } = asked;
    let slot = request.slot(context)?;
    let (route, digest) = (slot.route, slot.id.digest());
    let recipient = statement.recipient.as_ref();
    let check = Proven::<Check>::new(slot, code, recipient, nonce, paid, context.start_keys());
    let first = match request.ask(context, route, Command::Check(check)).await {
        Outcome::Approved(approved) => First::Approved(approved),
        Outcome::Incorrect { attempts_remaining, expires } => {
            First::Incorrect { attempts_remaining, expires }
        }
        Outcome::Exhausted { expires } => First::Exhausted { expires },
        other => return Err(unexpected(other)),
    };
    match first {
        First::Approved(ref approved) => {
            context.ended(request.admitted.key(), digest, End::Approved);
            if let Some(mail) = approved.answered.as_ref().filter(|_| request.owner().mode == Mode::Live) {
                places::answered(context, request.owner(), mail);
            }
        }
        First::Exhausted { .. } => context.ended(request.admitted.key(), digest, End::Failed),
        First::Incorrect { .. } | First::Issued(..) => {}
    }
    let reply = verdict_reply(context, request, &statement, &first)?;
    Ok(Done { reply, first: Some(first) })
}

/// The answer to a check; also used to repeat it, for a request with the same body.
pub(super) fn verdict_reply(
    context: &LaneContext,
    request: &Request<'_>,
    statement: &Statement<'_>,
    first: &First,
) -> Result<Reply, Problem> {
    let id = request.call.id.as_ref().ok_or(Refusal::VerificationNotFound)?;
    let text = id.text();
    Ok(Reply::ok(match first {
        First::Approved(approved) => {
            let receipt =
                statement.wanted.then(|| receipt(context, request, (id, text.as_str()), approved, statement));
            wire::approved(text.as_str(), approved.unix_ms, receipt.as_deref())
        }
        First::Incorrect { attempts_remaining, .. } => wire::incorrect(text.as_str(), *attempts_remaining),
        First::Exhausted { .. } | First::Issued(..) => wire::exhausted(text.as_str()),
    }))
}

fn receipt(
    context: &LaneContext,
    request: &Request<'_>,
    (id, text): (&VerificationId, &str),
    approved: &Approved,
    statement: &Statement<'_>,
) -> String {
    let keys = context.receipts();
    let issued_at = approved.unix_ms / 1_000;
    keys.sign(&Claims {
        issuer: keys.issuer(),
        audience: &request.admitted.key().project_name,
        subject: text,
        purpose: &approved.purpose,
        nonce: statement.nonce.as_deref(),
        email: statement.recipient.as_ref().map(Recipient::exact),
        mode: request.owner().mode,
        issued_at,
        expires_at: issued_at + keys.lifetime().as_secs(),
        id: &base62(&id.receipt_id(context.start_keys())),
    })
}

async fn cancel(context: &LaneContext, request: &Request<'_>) -> Result<Done, Problem> {
    if let Ok(slot) = request.slot(context) {
        let digest = slot.id.digest();
        match request.ask(context, slot.route, Command::Cancel(slot)).await {
            Outcome::Cancelled { was_live: true } => {
                context.ended(request.admitted.key(), digest, End::Cancelled);
            }
            Outcome::Cancelled { was_live: false } => {}
            other => return Err(unexpected(other)),
        }
    }
    Ok(Reply::empty().into())
}

async fn status(context: &LaneContext, request: &Request<'_>) -> Result<Done, Problem> {
    let slot = request.slot(context)?;
    let text = slot.id.text();
    match request.ask(context, slot.route, Command::Status(slot)).await {
        Outcome::Status(standing, metadata) => {
            Ok(Reply::ok(wire::standing(text.as_str(), &standing, None, metadata.as_deref())).into())
        }
        other => Err(unexpected(other)),
    }
}

async fn introspect(context: &LaneContext, request: &Request<'_>) -> Result<Done, Problem> {
    let body: IntrospectBody<'_> = json::read(request.body)?;
    // A receipt of the other mode is signed by another key, so this key treats it like any invalid
    // text.
    let key = context.receipts().of(request.owner().mode);
    let claims =
        key.read(wire::required(body.receipt.as_ref(), "receipt is missing")?, context.now().unix_ms / 1_000);
    let own = claims.filter(|claims| claims["aud"] == *request.admitted.key().project_name);
    let Some(mut claims) = own else { return Ok(inactive()) };
    let jti = claims["jti"].as_str().unwrap_or_default();
    let receipt: ReceiptDigest = context.start_keys().scoped("receipt", &[jti.as_bytes()]);
    let spend = Proven::<Spend>::new(request.admitted, receipt, context.receipts().lifetime());
    match request.ask(context, receipt.route(), Command::Spend(spend)).await {
        Outcome::Spent { first: true } => {
            claims["active"] = true.into();
            Ok(Reply::ok(claims.to_string().into_bytes()).into())
        }
        Outcome::Spent { first: false } => Ok(inactive()),
        other => Err(unexpected(other)),
    }
}

/// An inactive receipt; RFC 7662, 2.2 reveals nothing else.
fn inactive() -> Done {
    Reply::ok(br#"{"active":false}"#.to_vec()).into()
}

/// Turns an outcome that the operation did not expect into a problem. A shard may refuse any
/// command; every other outcome belongs to another command, and is a bug that must not look like
/// success.
pub(super) fn unexpected(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Refused(refusal) => refusal.into(),
        _ => Refusal::NotReady { retry_after: authepy_engine::limits::OVERLOADED_RETRY_AFTER }.into(),
    }
}
