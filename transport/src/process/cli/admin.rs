//! Requests to a running server's admin listener, with the admin token.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use super::Failure;
use super::print::say;
use crate::limits::CATALOG_DEADLINE;

/// Longest time that a command waits for the server.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which server, and the output format.
#[derive(Args)]
pub(super) struct AdminArgs {
    /// URL of the admin listener
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:9443")]
    admin: String,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl AdminArgs {
    /// Sends a request without a body.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Value, Failure> {
        self.request(method, path, Vec::new(), PATIENCE).await
    }

    /// Sends a request with a JSON body.
    pub(super) async fn ask_json(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        self.request(method, path, body.to_string().into_bytes(), PATIENCE).await
    }

    /// Sends a text, which may be large.
    pub(super) async fn send_text(
        &self,
        method: Method,
        path: &str,
        text: Vec<u8>,
    ) -> Result<Value, Failure> {
        self.request(method, path, text, PATIENCE + CATALOG_DEADLINE).await
    }

    /// Prints the answer: JSON for scripts, `text` for people.
    pub(super) fn tell(&self, told: &Value, text: &str) {
        if self.json { say(&told.to_string()) } else { text.lines().for_each(say) }
    }

    /// The token comes from `AUTHEPY_ADMIN_TOKEN` only: arguments show in `ps`.
    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Value, Failure> {
        let token = std::env::var("AUTHEPY_ADMIN_TOKEN").map(Zeroizing::new);
        let token = token.map_err(|_| Failure::Usage("AUTHEPY_ADMIN_TOKEN is not set".into()))?;
        let answered = timeout(patience, self.send(method, path, body, &token)).await;
        let (status, body) = answered.map_err(|_| silent())??;
        match status {
            200..300 => Ok(body),
            503 => Err(Failure::Unavailable(detail(&body))),
            _ => Err(Failure::Usage(detail(&body))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        token: &str,
    ) -> Result<(u16, Value), Failure> {
        let url = Url::parse(&self.admin).ok().filter(|url| url.scheme() == "http");
        let url = url.ok_or_else(|| Failure::Usage("--admin: must be http://ADDRESS:PORT".into()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = TcpStream::connect(address).await.map_err(|_| silent())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| silent())?;
        tokio::task::spawn_local(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("{host}:{port}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Failure::Usage("AUTHEPY_ADMIN_TOKEN is not a token".into()))?;
        let answer = sender.send_request(request).await.map_err(|_| silent())?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|_| silent())?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

fn silent() -> Failure {
    Failure::Unavailable("the admin listener does not answer".into())
}

fn detail(problem: &Value) -> String {
    problem["detail"].as_str().unwrap_or("the server's answer is malformed").to_owned()
}
