//! The admin listener: probes and metrics for this host. The admin API comes with the key store.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::desk::Shared;
use crate::limits;
use crate::observe::{self, Counters};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Admin {
    shared: Shared,
    counters: Arc<[Arc<Counters>]>,
}

/// Starts the listener on this runtime; returns where it listens.
pub async fn start(
    address: SocketAddr,
    shared: Shared,
    counters: Vec<Arc<Counters>>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let admin = Admin { shared, counters: counters.into() };
    tokio::task::spawn_local(accept(listener, admin));
    Ok(bound)
}

async fn accept(listener: TcpListener, admin: Admin) {
    let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            continue;
        };
        let admin = admin.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                std::future::ready(Ok::<_, std::convert::Infallible>(admin.answer(&request)))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service);
            // How a probe's connection ends does not matter.
            let _ended = connection.await;
            drop(place);
        });
    }
}

impl Admin {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "method not allowed\n".into());
        }
        let ready = self.shared.readiness.is_ready() && !self.shared.drain.has_begun();
        match request.uri().path() {
            "/healthz" => plain(StatusCode::OK, "application/json", r#"{"status":"ok"}"#.into()),
            "/readyz" if ready => plain(StatusCode::OK, "application/json", r#"{"status":"ready"}"#.into()),
            "/readyz" => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "application/json", r#"{"status":"not ready"}"#.into())
            }
            "/metrics" => {
                let text = observe::render(
                    &self.counters,
                    &self.shared.mail.counters().outcomes(),
                    self.shared.mail.bytes(),
                );
                plain(StatusCode::OK, OPENMETRICS, text)
            }
            _ => plain(StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
        }
    }
}

fn plain(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
