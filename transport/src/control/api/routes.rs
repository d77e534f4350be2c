//! Routes of the admin API. Registry operations are here; bans and catalog have files of their own.

use std::time::Duration;

use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::KeyClass;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::answer::{Fault, empty, json};
use super::{Api, bans, body, catalog};
use crate::control::changes::Revoked;
use crate::control::keys::class_named;
use crate::control::registry::{NewKeyRequest, RegistryFault};
use crate::limits::{ADMIN_DEADLINE, CATALOG_DEADLINE};

pub(super) type Answered = Result<Response<Full<Bytes>>, Fault>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectBody {
    name: String,
    #[serde(default)]
    alert_to: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    project: String,
    class: String,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    native: bool,
    #[serde(default)]
    origins: Vec<String>,
    /// A duration such as `30d`.
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// A duration such as `24h`.
    grace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    rule: String,
}

/// Answer to a revocation that the store could not record yet.
#[derive(Serialize)]
struct Unwritten {
    status: &'static str,
    detail: &'static str,
}

/// Deadline of the request: only a catalog is large.
pub(super) fn patience(request: &Request<Incoming>) -> Duration {
    let is_catalog = request.method() == Method::POST && request.uri().path() == "/admin/v1/catalog";
    if is_catalog { CATALOG_DEADLINE } else { ADMIN_DEADLINE }
}

/// Dispatches the request to its route.
pub(super) async fn answer(api: &Api, request: Request<Incoming>) -> Answered {
    let path = request.uri().path().to_owned();
    let rest = path.strip_prefix("/admin/v1/").ok_or(Fault::Route)?;
    let segments: Vec<&str> = rest.split('/').collect();
    let method = request.method().clone();
    match (&*segments, &method) {
        (["projects"], &Method::GET) => Ok(json(200, &api.registry.projects().await?)),
        (["projects"], &Method::POST) => create_project(api, body(request).await?).await,
        (["projects"], _) => Err(Fault::Method("GET, POST")),
        (["keys"], &Method::GET) => list_keys(api, request.uri().query().unwrap_or_default()).await,
        (["keys"], &Method::POST) => create_key(api, body(request).await?).await,
        (["keys"], _) => Err(Fault::Method("GET, POST")),
        (["keys", id], &Method::DELETE) => revoke(api, id).await,
        (["keys", _], _) => Err(Fault::Method("DELETE")),
        (["keys", id, "rotate"], &Method::POST) => rotate(api, id, body(request).await?).await,
        (["keys", _, "rotate"], _) => Err(Fault::Method("POST")),
        (["keys", id, "origins"], &Method::GET) => Ok(json(200, &api.registry.origins(id).await?)),
        (["keys", id, "origins"], &Method::POST) => {
            let RuleBody { rule } = body(request).await?;
            let origins = api.registry.add_origin(id, &rule).await?;
            api.changes.publish().await;
            Ok(json(200, &origins))
        }
        (["keys", id, "origins"], &Method::DELETE) => {
            let RuleBody { rule } = body(request).await?;
            let origins = api.registry.remove_origin(id, &rule).await?;
            api.changes.publish().await;
            Ok(json(200, &origins))
        }
        (["keys", _, "origins"], _) => Err(Fault::Method("GET, POST, DELETE")),
        (["bans"], _) => bans::answer(api, request).await,
        // An unescaped network contains a slash.
        (["bans", ..], &Method::DELETE) => bans::remove_named(api, rest).await,
        (["bans", ..], _) => Err(Fault::Method("DELETE")),
        (["catalog"], _) => catalog::answer(api, request).await,
        (["status"], &Method::GET) => Ok(api.figures.status()),
        (["status"], _) => Err(Fault::Method("GET")),
        _ => Err(Fault::Route),
    }
}

async fn create_project(api: &Api, asked: ProjectBody) -> Answered {
    let made = api.registry.create_project(&asked.name, &asked.alert_to).await?;
    Ok(json(201, &made))
}

async fn list_keys(api: &Api, query: &str) -> Answered {
    let (mut project, mut after) = (None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "project" => project = Some(value),
            "after" => after = Some(value),
            _ => return Err(Fault::Body("the query may have only project and after")),
        }
    }
    Ok(json(200, &api.registry.keys(project.as_deref(), after.as_deref()).await?))
}

async fn create_key(api: &Api, asked: KeyBody) -> Answered {
    let class: KeyClass = class_named(&asked.class)
        .ok_or_else(|| RegistryFault::Invalid("class", "must be secret or restricted".into()))?;
    let made = api
        .registry
        .create_key(&NewKeyRequest {
            project: asked.project,
            class,
            mode: if asked.test { Mode::Test } else { Mode::Live },
            native: asked.native,
            origins: asked.origins,
            expires: asked.expires.as_deref().map(|text| span("expires", text)).transpose()?,
        })
        .await?;
    api.changes.publish().await;
    Ok(json(201, &made))
}

async fn rotate(api: &Api, id: &str, asked: RotateBody) -> Answered {
    let made = api.registry.rotate_key(id, span("grace", &asked.grace)?).await?;
    api.changes.publish().await;
    Ok(json(201, &made))
}

async fn revoke(api: &Api, id: &str) -> Answered {
    match api.changes.revoke(id).await? {
        Revoked::Written => Ok(empty()),
        Revoked::InMemory => Ok(json(
            202,
            &Unwritten {
                status: "revoked-in-memory",
                detail: "the key is refused here from now on; the store does not answer, and the revocation is \
                         written once it does, if this process still runs then",
            },
        )),
    }
}

pub(super) fn span(what: &'static str, text: &str) -> Result<Duration, RegistryFault> {
    let why = || RegistryFault::Invalid(what, "must be a duration such as 24h or 30d".into());
    humantime::parse_duration(text).map_err(|_| why())
}
