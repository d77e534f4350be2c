//! `/admin/v1/catalog`: look up a domain, or replace the base list while serving.
//!
//! ```text
//!   POST ─▶ one at a time ─▶ receive ≤ 64 MiB ─▶ parse on a blocking thread ──┬─ valid ▶ Published<Policy>
//!                                                                             └─ else ─▶ 422, nothing changes
//! ```

use authepy_engine::recipient::disposable::{
    Catalog, CatalogFault, DomainClass, Loaded, Skipped, SkippedWhy,
};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::Api;
use super::answer::{Fault, json};
use super::routes::Answered;
use crate::control::policy::Policy;
use crate::limits::SKIPPED_LISTED;

#[derive(Serialize)]
struct Present<'a> {
    version: &'a str,
    entries: usize,
}

#[derive(Serialize)]
struct Said<'a> {
    domain: &'a str,
    class: &'static str,
    refused: bool,
    version: &'a str,
}

#[derive(Serialize)]
struct Taken {
    version: String,
    entries: usize,
    /// Some of the skipped entries.
    skipped: Vec<SkippedView>,
    /// Number of all skipped entries.
    skipped_total: usize,
    bad_lines: usize,
}

#[derive(Serialize)]
struct SkippedView {
    domain: String,
    why: &'static str,
}

pub(super) async fn answer(api: &Api, request: Request<Incoming>) -> Answered {
    match *request.method() {
        Method::GET => {
            let policy = api.figures.shared.policy.hold();
            let catalog = &policy.catalog;
            match parameter(&request, "domain")? {
                Some(domain) => look_up(&policy, &domain),
                None => Ok(json(200, &Present { version: catalog.version(), entries: catalog.entries() })),
            }
        }
        Method::POST => {
            let force = match parameter(&request, "force")?.as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(Fault::Value("force", "must be true or false".into())),
            };
            load(api, request, force).await
        }
        _ => Err(Fault::Method("GET, POST")),
    }
}

fn look_up(policy: &Policy, domain: &str) -> Answered {
    let catalog = &policy.catalog;
    let class = catalog.lookup(domain).ok_or_else(|| Fault::Value("domain", "no domain name".into()))?;
    let name = match class {
        DomainClass::Unlisted => "unlisted",
        DomainClass::Allowed => "allowed",
        DomainClass::Relay => "relay",
        DomainClass::Disposable => "disposable",
    };
    let refused = policy.refuses(class);
    Ok(json(200, &Said { domain, class: name, refused, version: catalog.version() }))
}

/// Replaces the base list, as a whole or not at all.
async fn load(api: &Api, request: Request<Incoming>, force: bool) -> Answered {
    // The semaphore is never closed.
    let place = api.loading.clone().acquire_owned().await.map_err(|_| Fault::NotRead)?;
    let text = receive(request.into_body()).await?;
    let policy = &api.figures.shared.policy;
    let present = policy.hold().catalog.clone();
    let read = spawn_blocking(move || {
        // Held until the memory is freed, even if the request was abandoned.
        let _place = place;
        present.replace_base(&text, force)
    });
    let Loaded { catalog, skipped, bad_lines } = read.await.map_err(|_| Fault::NotRead)??;
    // The operator's own entries may have changed meanwhile; use the current ones.
    let next = policy.read().with_base(&catalog);
    policy.replace(next);
    let (version, entries) = (catalog.version().to_owned(), catalog.entries());
    tracing::info!(version, entries, skipped = skipped.len(), bad_lines, "a catalog was loaded");
    let skipped_total = skipped.len();
    let skipped = skipped.into_iter().take(SKIPPED_LISTED).map(SkippedView::from).collect();
    Ok(json(200, &Taken { version, entries, skipped, skipped_total, bad_lines }))
}

/// Receives the text. A text of up to twice the limit is received and discarded, because some
/// clients read no answer before they have sent everything.
async fn receive(mut body: Incoming) -> Result<Vec<u8>, Fault> {
    let most = Catalog::MAX_BYTES;
    let too_large = || Fault::Catalog(CatalogFault::TooLarge);
    if body.size_hint().lower() > 2 * most as u64 {
        return Err(too_large());
    }
    let (mut text, mut received) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Fault::Body("incomplete"))?;
        let Ok(data) = frame.into_data() else { continue };
        received = received.saturating_add(data.len());
        if received > 2 * most {
            return Err(too_large());
        }
        if received <= most {
            text.extend_from_slice(&data);
        } else {
            text = Vec::new();
        }
    }
    if received > most { Err(too_large()) } else { Ok(text) }
}

/// The only parameter that the query may have.
fn parameter(request: &Request<Incoming>, name: &'static str) -> Result<Option<String>, Fault> {
    let mut pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    match (pairs.next(), pairs.next()) {
        (None, _) => Ok(None),
        (Some((given, value)), None) if given == name => Ok(Some(value.into_owned())),
        _ => Err(Fault::Body("the query of this route takes domain (GET) or force (POST), once")),
    }
}

impl From<Skipped> for SkippedView {
    fn from(skipped: Skipped) -> Self {
        let why = match skipped.why {
            SkippedWhy::PublicSuffix => "public-suffix",
            SkippedWhy::MailHost => "mail-host",
        };
        Self { domain: skipped.domain, why }
    }
}
