//! The console: one page for operators, made of the files in the folder of the same name. It has no
//! privileges: it calls this API with the token that the operator enters, like any other client.
//!
//! Nothing is loaded from elsewhere, no inline script runs, and other pages can neither frame the
//! page nor keep a reference to its window.

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

/// Headers that restrict the page in the browser, in addition to those of every answer.
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

/// Answers with a console file if the path names one. The files are public, so no token is needed.
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
