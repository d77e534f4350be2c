//! Posts signed JSON to an endpoint of the operator: mails for [`crate::delivery`], events for
//! [`crate::delivery::events`].
//!
//! ```text
//!   post ─▶ idle connection, else a new one ─▶ request written ─▶ status
//!              │ nothing was sent                 │ no answer: outcome unknown
//!              └─▶ Unreachable, Insecure          └─▶ Unknown
//! ```
//!
//! Callers must know whether any of the request was sent, because a mail must not be posted twice.

#![allow(clippy::disallowed_types, reason = "used by the delivery thread alone; its tasks must be Send")]

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;
use zeroize::Zeroizing;

mod sign;
use sign::Signer;

use crate::delivery::roots;

/// Longest time to open a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. Only the status matters; reading a short body lets the
/// connection be reused.
const ANSWER_BYTES: usize = 4 << 10;
/// Connections kept for the next post, about 20 KiB each.
const IDLE_CONNECTIONS: usize = 16;

/// Endpoint and secret, as configured.
#[derive(Clone, Copy)]
pub(crate) struct HookConfig<'a> {
    pub(crate) url: &'a str,
    pub(crate) secret: Option<&'a str>,
    pub(crate) secret_file: Option<&'a Path>,
    pub(crate) ca_file: Option<&'a Path>,
}

/// How a post ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The endpoint answered with this status.
    Answered(u16),
    /// No connection.
    Unreachable,
    /// The TLS handshake failed, for example because the certificate is not trusted.
    Insecure,
    /// Some of the request was sent; the outcome is unknown.
    Unknown,
}

/// See the module documentation.
pub(crate) struct Hook {
    host: String,
    port: u16,
    authority: String,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    signer: Signer,
    /// Never locked across an await.
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(..)") // the path may be a secret
    }
}

impl Hook {
    /// Reads the settings and the files that they name; opens no connection. The error names the
    /// setting and holds nothing confidential.
    pub(crate) fn new(config: HookConfig<'_>) -> Result<Self, String> {
        let url = Url::parse(config.url).map_err(|_| "`url` is not a URL".to_owned())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
            return Err("`url` must look like https://host/path, without a login".to_owned());
        }
        let tls = match url.scheme() {
            "https" => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| "`url` has no valid host".to_owned())?;
                Some((roots::connector(config.ca_file)?, name))
            }
            "http" if is_loopback(&host) => None,
            "http" => return Err("`url`: plain http only to this host; use https".to_owned()),
            _ => return Err("`url` must begin with https://".to_owned()),
        };
        let default_port = if tls.is_some() { 443 } else { 80 };
        let port = url.port().unwrap_or(default_port);
        let authority = url.host_str().unwrap_or_default().to_owned();
        let authority = if port == default_port { authority } else { format!("{authority}:{port}") };
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        let signer = Signer::new(&secret(&config)?)?;
        Ok(Self { host, port, authority, path, tls, signer, idle: Mutex::default() })
    }

    /// Posts `body` under `id`, by which the receiver recognises a retry. Returns within `budget`.
    pub(crate) async fn post(&self, id: &str, unix_seconds: u64, body: Bytes, budget: Duration) -> Posted {
        let Some(request) = self.request(id, unix_seconds, body) else { return Posted::Unreachable };
        let kept = self.take_idle();
        let mut written = false;
        let posting = async {
            let mut request = request;
            if let Some(connection) = kept {
                // It may have been closed meanwhile; hyper returns a request that it has not begun
                // to write.
                match self.send(connection, request, &mut written).await {
                    Ok(posted) => return posted,
                    Err(unsent) => request = unsent,
                }
            }
            match self.connect().await {
                Ok(connection) => {
                    self.send(connection, request, &mut written).await.unwrap_or(Posted::Unreachable)
                }
                Err(fault) => fault,
            }
        };
        let ended = timeout(budget, posting).await;
        ended.unwrap_or(if written { Posted::Unknown } else { Posted::Unreachable })
    }

    /// HMAC-SHA256 over `parts`, keyed with the secret that signs posts.
    pub(crate) fn keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.signer.keyed(parts)
    }

    fn request(&self, id: &str, unix_seconds: u64, body: Bytes) -> Option<Request<Full<Bytes>>> {
        Request::post(&self.path)
            .header("host", &self.authority)
            .header("content-type", "application/json")
            .header("user-agent", concat!("authepy/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", unix_seconds)
            .header("webhook-signature", self.signer.sign(id, unix_seconds, &body))
            .body(Full::new(body))
            .ok()
    }

    /// Returns the request if none of it was written.
    async fn send(
        &self,
        mut connection: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
        written: &mut bool,
    ) -> Result<Posted, Request<Full<Bytes>>> {
        *written = true;
        let answer = match connection.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut error) => {
                let unsent = error.take_message();
                *written = unsent.is_none();
                return unsent.map_or(Ok(Posted::Unknown), Err);
            }
        };
        let status = answer.status().as_u16();
        if Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.is_ok()
            && connection.ready().await.is_ok()
        {
            self.keep(connection);
        }
        Ok(Posted::Answered(status))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Posted> {
        timeout(CONNECT_TIMEOUT, self.open()).await.unwrap_or(Err(Posted::Unreachable))
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, Posted> {
        let stream = TcpStream::connect((&*self.host, self.port)).await;
        let stream = stream.map_err(|_| Posted::Unreachable)?;
        let _slower_at_worst = stream.set_nodelay(true);
        match &self.tls {
            None => speak_http(stream).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await.map_err(|_| Posted::Insecure)?;
                speak_http(stream).await
            }
        }
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    fn keep(&self, connection: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(connection);
        }
    }
}

/// Starts HTTP/1.1 on a stream. The connection task ends when its sender is dropped.
async fn speak_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Full<Bytes>>, Posted> {
    let begun = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = begun.map_err(|_| Posted::Unreachable)?;
    tokio::spawn(connection);
    Ok(sender)
}

fn secret(config: &HookConfig<'_>) -> Result<Zeroizing<String>, String> {
    match (config.secret, config.secret_file) {
        (Some(_), Some(_)) => Err("give `secret` or `secret_file`, not both".to_owned()),
        (Some(secret), None) => Ok(Zeroizing::new(secret.to_owned())),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|error| roots::unreadable("secret_file", path, &error))?;
            Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => Err("`secret` or `secret_file` is missing: posts are signed".to_owned()),
    }
}

/// Whether the host of a URL is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
