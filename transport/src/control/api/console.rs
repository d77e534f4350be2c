//! The console: one page for operators, made of the files beside this one. It has no right of its own: it
//! asks this API with the token that the operator types, as any other client does.
//!
//! Nothing is loaded from elsewhere, nothing runs that did not come as a file of its own, and nobody may
//! frame the page or hold on to its window.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body_util::Full;

use super::answer::{Fault, fixed};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and text of each file.
macro_rules! files {
    ($($path:literal, $kind:ident, $name:literal;)*) => {
        [$(($path, $kind, include_str!(concat!("console/", $name)))),*]
    };
}

static FILES: [(&str, &str, &str); 12] = files! {
    "/", HTML, "index.html";
    "/console/console.css", CSS, "console.css";
    "/console/main.js", SCRIPT, "main.js";
    "/console/api.js", SCRIPT, "api.js";
    "/console/dom.js", SCRIPT, "dom.js";
    "/console/status.js", SCRIPT, "status.js";
    "/console/projects.js", SCRIPT, "projects.js";
    "/console/keys.js", SCRIPT, "keys.js";
    "/console/key_deeds.js", SCRIPT, "key_deeds.js";
    "/console/dialogs.js", SCRIPT, "dialogs.js";
    "/console/bans.js", SCRIPT, "bans.js";
    "/console/catalog.js", SCRIPT, "catalog.js";
};

/// What browsers hold the page to, besides what every answer has.
const FENCES: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// A file of the console, if the path is one's. There is nothing secret in them: no token is asked for.
pub(super) fn answer(method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    let (_, kind, text) = *FILES.iter().find(|(own, ..)| *own == path)?;
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let mut answer = if is_read { fixed(kind, text) } else { Fault::Method("GET, HEAD").answer() };
    fence(answer.headers_mut());
    Some(answer)
}

fn fence(headers: &mut HeaderMap) {
    for (name, value) in FENCES {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
