//! The admin API. Probes, metrics and the console's files are open to everyone on this host;
//! everything else needs the admin token.
//!
//! ```text
//!   Host is this host? ─▶ probe, metrics or console ─▶ answer
//!            └─▶ token ─ wrong ─▶ wait ─▶ answer
//!                  └───▶ route ─▶ body ─┬─▶ registry ─▶ nudge the keeper ─▶ answer
//!                                        ├─▶ bans ─▶ the owning shard ─────▶ answer
//!                                        └─▶ catalog ─▶ published policy ──▶ answer
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use authepy_engine::actor::Operator;
use authepy_engine::peer::Peer;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::changes::Changes;
use super::registry::{Registry, token_digest};
use crate::ground::clock;
use crate::ground::published::Published;
use crate::limits::ADMIN_BODY_BYTES;

mod answer;
mod bans;
mod catalog;
mod console;
mod figures;
mod routes;
mod wrong_tokens;

use answer::{Fault, plain};
pub(super) use figures::Figures;
pub(super) use wrong_tokens::WrongTokens;

/// The digests of the admin tokens that open this API.
pub(super) struct Tokens {
    /// From the settings.
    pub(super) configured: Option<[u8; 32]>,
    /// From the store; updated by the keeper.
    pub(super) stored: Published<Option<[u8; 32]>>,
}

impl Tokens {
    fn open(&self, token: &[u8]) -> bool {
        let digest = token_digest(token);
        let is_it = |known: Option<[u8; 32]>| known.is_some_and(|known| known.ct_eq(&digest).into());
        is_it(self.configured) | is_it(**self.stored.read())
    }
}

/// State that requests need. Lives on the control thread.
pub(super) struct Api {
    pub(super) registry: Registry,
    pub(super) changes: Changes,
    pub(super) tokens: Tokens,
    pub(super) wrong_tokens: WrongTokens,
    pub(super) figures: Figures,
    pub(super) operator: Operator,
    /// Catalogs are loaded one at a time: each may take 64 MiB.
    pub(super) loading: Arc<Semaphore>,
}

impl Api {
    /// Answers one request from `network`.
    pub(super) async fn answer(&self, request: Request<Incoming>, network: IpAddr) -> Response<Full<Bytes>> {
        if !is_this_host(&request) {
            return Fault::ForeignHost.answer();
        }
        if let Some(answer) = self.open_to_all(&request) {
            return answer;
        }
        let answered = match self.admitted(&request) {
            Ok(()) => timeout(routes::patience(&request), routes::answer(self, request)).await,
            Err(Fault::WrongToken) => return self.punish(network).await.answer(),
            Err(fault) => return fault.answer(),
        };
        answered.unwrap_or(Err(Fault::TooSlow)).unwrap_or_else(Fault::answer)
    }

    /// Answers requests that need no token.
    fn open_to_all(&self, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        let page = match request.uri().path() {
            "/healthz" => Figures::health(),
            "/readyz" => self.figures.readiness(),
            "/metrics" => plain(figures::OPENMETRICS, self.figures.metrics()),
            path => return console::answer(request.method(), path),
        };
        Some(if request.method() == Method::GET { page } else { Fault::Method("GET").answer() })
    }

    fn admitted(&self, request: &Request<Incoming>) -> Result<(), Fault> {
        use authepy_engine::perimeter::api_key::{KeyText, bearer};
        let mut values = request.headers().get_all(http::header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Fault::NoToken) };
        let token = bearer(value.as_bytes()).ok_or(Fault::NoToken)?;
        if KeyText::parse(token).is_ok() {
            return Err(Fault::ApiKey);
        }
        if self.tokens.open(token) { Ok(()) } else { Err(Fault::WrongToken) }
    }

    /// Delays the answer to a wrong token, and logs it.
    async fn punish(&self, network: IpAddr) -> Fault {
        let (peer, now) = (Peer::from(network).unit(), clock::now().at);
        if self.wrong_tokens.is_to_be_told(now) {
            tracing::warn!(peer = %self.operator.name(&peer), "a request had a wrong admin token");
        }
        self.wrong_tokens.punish(peer, now).await
    }
}

/// Rejects a foreign `Host`, so that a page of another site whose name resolves to this host (DNS
/// rebinding) can't read what needs no token.
fn is_this_host(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|digit| digit.is_ascii_digit()) { name } else { host }
    });
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Parses a JSON body: bounded, unknown or duplicate members are errors.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Fault> {
    let body = Limited::new(request.into_body(), ADMIN_BODY_BYTES).collect().await;
    let bytes = body.map_err(|_| Fault::Body("too long or incomplete"))?.to_bytes();
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let parsed = is_object.then(|| serde_json::from_slice(&bytes).ok()).flatten();
    parsed.ok_or(Fault::Body("not a JSON object with the members of this route, each of its type"))
}
