//! What a request asks for: its body parsed and its recipient checked, nothing counted yet.

use authepy_engine::code::Code;
use authepy_engine::perimeter::api_key::KeyClass;
use authepy_engine::perimeter::permission::Operation;
use authepy_engine::recipient::Recipient;
use authepy_engine::request::{Activity, MailForm, Paid, Terms};
use authepy_engine::route::NonceDigest;
use authepy_http3::json;
use authepy_http3::json::bodies::{CheckBody, IssueBody, ResendBody, Text};

use super::entry::check_ban;
use super::operation::Request;
use crate::delivery::Locale;
use crate::http::reply::Problem;
use crate::http::wire;
use crate::serve::lane_context::LaneContext;

/// One operation, ready to be charged.
pub(super) enum Asked<'a> {
    Issue(IssueAsked),
    Check(CheckAsked<'a>),
    /// The recipient of the code.
    Resend(Recipient),
    /// The less frequent operations.
    Other(Operation),
}

/// One operation whose peer was charged, ready to be performed.
pub(super) enum Ready<'a> {
    Issue(IssueAsked, Paid),
    Check(CheckAsked<'a>, Paid),
    Resend(Recipient, Paid),
    Other(Operation),
}

/// An issue: a mail with a code.
pub(super) struct IssueAsked {
    pub(super) recipient: Recipient,
    pub(super) terms: Terms,
}

/// A check: a code to be compared.
pub(super) struct CheckAsked<'a> {
    pub(super) code: Code,
    pub(super) nonce: Option<NonceDigest>,
    pub(super) statement: Statement<'a>,
}

/// The parts of a check that its receipt states.
pub(super) struct Statement<'a> {
    /// Whether a receipt is requested.
    pub(super) wanted: bool,
    pub(super) recipient: Option<Recipient>,
    pub(super) nonce: Option<Text<'a>>,
}

impl<'a> Asked<'a> {
    /// Body → recipient → disposable.
    pub(super) fn read(context: &LaneContext, request: &Request<'a>) -> Result<Self, Problem> {
        match request.call.route {
            Operation::Issue => IssueAsked::read(context, request).map(Self::Issue),
            Operation::Check => CheckAsked::read(context, request).map(Self::Check),
            Operation::Resend => {
                let body: ResendBody<'_> = json::read(request.body)?;
                context
                    .recipient(wire::recipient(body.recipient.as_ref())?, request.owner().mode)
                    .map(Self::Resend)
            }
            route => Ok(Self::Other(route)),
        }
    }

    /// Charges the peer. A resend costs a mail, like an issue.
    pub(super) async fn charge(
        self,
        context: &LaneContext,
        request: &Request<'_>,
    ) -> Result<Ready<'a>, Problem> {
        let pay = |activity| request.account.pay(context, request.admitted, activity);
        Ok(match self {
            Self::Issue(asked) => Ready::Issue(asked, pay(Activity::Issue).await?),
            Self::Check(asked) => Ready::Check(asked, pay(Activity::Check).await?),
            Self::Resend(recipient) => Ready::Resend(recipient, pay(Activity::Issue).await?),
            Self::Other(route) => {
                if route == Operation::Cancel {
                    pay(Activity::Any).await?;
                }
                Ready::Other(route)
            }
        })
    }
}

impl IssueAsked {
    /// Reads an issue. With a secret key, it is charged to the `client.ip` that it names.
    pub(super) fn read(context: &LaneContext, request: &Request<'_>) -> Result<Self, Problem> {
        let body: IssueBody<'_> = json::read(request.body)?;
        if body.needs_secret_key() && request.admitted.key().class == KeyClass::Restricted {
            return Err(Problem::KeyClassForbidden);
        }
        if let Some(address) = body.client_ip() {
            request.account.claim(request.owner(), address);
            check_ban(context, address)?;
        }
        let locale = Locale::number(wire::locale(&body)?.and_then(Locale::lookup));
        let terms = Terms {
            nonce: nonce(context, body.nonce.as_ref())?,
            purpose: wire::purpose(&body)?.into(),
            form: MailForm { locale, template: template(context, request, body.template.as_deref())? },
            code_length: wire::code_length(&body)?,
            lifetime: wire::lifetime(&body)?,
            metadata: wire::metadata(&body)?,
        };
        let recipient = wire::recipient(body.recipient.as_ref())?;
        Ok(Self { terms, recipient: context.recipient(recipient, request.owner().mode)? })
    }
}

impl<'a> CheckAsked<'a> {
    /// Reads a check. With a restricted key it must name the recipient, whether or not it requests
    /// a receipt: a backend will believe that the person at the page owns an address, and must not
    /// learn that address from the page.
    fn read(context: &LaneContext, request: &Request<'a>) -> Result<Self, Problem> {
        let (class, mode) = (request.admitted.key().class, request.owner().mode);
        let body: CheckBody<'a> = json::read(request.body)?;
        let digest = nonce(context, body.nonce.as_ref())?;
        let typed = wire::required(body.code.as_ref(), "code is missing")?;
        let recipient = body.recipient.as_ref().map(|text| context.recipient(text, mode)).transpose()?;
        if class == KeyClass::Restricted && recipient.is_none() {
            return Err(Problem::RecipientRequired);
        }
        let code = Code::read(typed).ok_or(Problem::MalformedCode)?;
        // A caller with a secret key gets the verdict itself; a page has to carry it to its
        // backend.
        let wanted = body.receipt.unwrap_or(class == KeyClass::Restricted);
        Ok(Self { code, nonce: digest, statement: Statement { wanted, recipient, nonce: body.nonce } })
    }
}

/// The number of the named template, if the project has it.
fn template(context: &LaneContext, request: &Request<'_>, name: Option<&str>) -> Result<u8, Problem> {
    let Some(name) = name else { return Ok(0) };
    let number = context.policy().templates.number(&request.admitted.key().project_name, name);
    number.ok_or(Problem::MalformedRequest("there is no such template"))
}

fn nonce(context: &LaneContext, text: Option<&Text<'_>>) -> Result<Option<NonceDigest>, Problem> {
    let nonce = wire::nonce(text)?;
    Ok(nonce.map(|nonce| context.start_keys().scoped("nonce", &[nonce.as_bytes()])))
}
