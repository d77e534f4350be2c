//! An issue: it takes its places, then the inbox decides.
//!
//! ```text
//!   IssueAsked ─ place in the mail queue ─ places in windows ─▶ Placed ─▶ inbox ─┬─▶ mail, 202
//!                                                                                └─▶ places given back
//! ```

use authepy_engine::id::IdSecret;
use authepy_engine::identity::{Mode, Owner};
use authepy_engine::recipient::Recipient;
use authepy_engine::request::{
    Addressee, Command, First, Issue, Issued, Outcome, Paid, Proven, Refusal, Resend,
};
use authepy_engine::route::Route;

use super::asked::IssueAsked;
use super::operation::{Done, Request, standing_reply, unexpected};
use super::places::{MailFor, Places};
use crate::delivery::{Awaited, CodeMail, Content, MailJob, Permit};
use crate::http::reply::Problem;
use crate::serve::lane_context::LaneContext;

/// An issue that only its inbox can still refuse.
pub(super) struct Placed {
    asked: IssueAsked,
    paid: Paid,
    addressee: Addressee,
    permit: Option<Permit>,
    places: Places,
}

impl Placed {
    /// Takes the places before anything is promised.
    pub(super) async fn take(
        context: &LaneContext,
        request: &Request<'_>,
        asked: IssueAsked,
        paid: Paid,
    ) -> Result<Self, Problem> {
        let permit = reserve_mail(context, request.owner())?;
        let addressee = Addressee::of(&asked.recipient, request.admitted, context.start_keys());
        let places = Places::take(context, request, MailFor::Issue, addressee.inbox().domain()).await?;
        Ok(Self { asked, paid, addressee, permit, places })
    }

    /// Opens the verification. `secret` makes its id, if an idempotency key determines it.
    pub(super) async fn open(
        self,
        context: &LaneContext,
        request: &Request<'_>,
        secret: Option<IdSecret>,
    ) -> Result<Done, Problem> {
        let Self { asked, paid, addressee, permit, places } = self;
        let IssueAsked { recipient, terms } = asked;
        let (keys, inbox) = (context.start_keys(), addressee.inbox());
        let secret = secret.unwrap_or_else(|| context.draw_secret());
        let issue = Proven::<Issue>::new(request.admitted, addressee, paid, terms, keys, secret);
        match request.ask(context, inbox.route(), Command::Issue(issue)).await {
            Outcome::Issued(issued) => {
                Ok(sent(context, request, (permit, inbox.route()), issued, &recipient))
            }
            other => {
                places.give_back(context, request);
                Err(unexpected(other))
            }
        }
    }
}

/// A further code for an existing verification. It counts in the windows of its inbox and as an
/// unanswered mail, but not as an issue of its key or project.
pub(super) async fn resend(
    context: &LaneContext,
    request: &Request<'_>,
    recipient: &Recipient,
    paid: Paid,
) -> Result<Done, Problem> {
    let slot = request.slot(context)?;
    let keys = context.start_keys();
    let permit = reserve_mail(context, request.owner())?;
    let addressee = Addressee::of(recipient, request.admitted, keys);
    let places = Places::take(context, request, MailFor::Resend, addressee.inbox().domain()).await?;
    let route = slot.route;
    let resend = Proven::<Resend>::new(request.admitted, slot, addressee, paid, keys);
    match request.ask(context, route, Command::Resend(resend)).await {
        Outcome::Resent(issued) => Ok(sent(context, request, (permit, route), issued, recipient)),
        other => {
            places.give_back(context, request);
            Err(unexpected(other))
        }
    }
}

/// Reserves a place in the mail queue. Test keys send no mail.
fn reserve_mail(context: &LaneContext, owner: Owner) -> Result<Option<Permit>, Problem> {
    match owner.mode {
        Mode::Test => Ok(None),
        Mode::Live => context
            .mail()
            .reserve(context.now().at, owner.project)
            .map(Some)
            .map_err(|retry_after| Refusal::DeliveryUnavailable { retry_after }.into()),
    }
}

/// The shard has made a code: queues the mail and answers the caller.
fn sent(
    context: &LaneContext,
    request: &Request<'_>,
    (permit, route): (Option<Permit>, Route),
    issued: Issued,
    recipient: &Recipient,
) -> Done {
    let reply = standing_reply(&issued.id, &issued.standing, recipient);
    let (expires, lifetime) = (issued.standing.expires, issued.standing.expires.since(issued.standing.at));
    let first = First::Issued(issued.standing, route);
    if let Some(permit) = permit {
        let project = request.admitted.key().project_name.clone();
        permit.submit(MailJob {
            to: recipient.delivery().into(),
            content: Content::Code(CodeMail {
                code: issued.code,
                wording: context.policy().templates.wording(&project, issued.form),
                project,
                domain: request.admitted.origin_domain().map(Into::into),
                lifetime,
                awaited: Awaited { id: issued.id.digest(), route, send: issued.send },
            }),
            expires,
        });
    }
    Done { reply, first: Some(first) }
}
