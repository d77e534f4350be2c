//! A throw-away server that speaks the contract just well enough for a sign-up, with faults to order.
//! It must stay ignorant of the product: if both shared a mistake, the canaries below would not sing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq)]
#[allow(dead_code, reason = "each test file orders its own faults")]
pub(crate) enum Fault {
    None,
    /// A used code works again.
    ReplayWorks,
    /// A wrong code costs no try.
    FreeGuesses,
    /// Every third issue is refused as the contract allows.
    Refuses,
    /// The same, without saying until when.
    RefusesForGood,
    /// Every tenth stream is reset instead of answered.
    Resets,
    /// Every answer takes half a second.
    Slow,
    /// Every other request of a restricted key finds no place.
    Sheds,
    /// A restricted key may not issue at all, and hears so in a way no contract allows.
    Scolds,
}

pub(crate) struct StandIn {
    address: SocketAddr,
    ca: PathBuf,
    dir: tempfile::TempDir,
}

impl StandIn {
    /// Serves from a thread of its own until the test process ends.
    pub(crate) fn start(fault: Fault) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let certificate = made.cert.der().clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let endpoint = endpoint(certificate, key);
                sender.send(endpoint.local_addr().unwrap()).unwrap();
                let state = Arc::new(State { fault, live: Mutex::default(), counter: AtomicU64::new(0) });
                while let Some(incoming) = endpoint.accept().await {
                    tokio::spawn(connection(incoming, state.clone()));
                }
            });
        });
        let server = Self { address: receiver.recv().unwrap(), ca, dir };
        std::fs::write(server.ready_file(), server.ready()).unwrap();
        server
    }

    /// What such a server says when it is ready: two test keys, so no mail.
    pub(crate) fn ready(&self) -> String {
        json!({"h3": self.address, "ca": self.ca, "secret_test_key": "ath_sec_test_x",
            "restricted_test_key": "rk_test_ath_x"})
        .to_string()
    }

    /// The file that holds it, in a folder of its own.
    pub(crate) fn ready_file(&self) -> PathBuf {
        self.dir.path().join("ready.json")
    }
}

struct State {
    fault: Fault,
    live: Mutex<HashMap<String, u64>>,
    counter: AtomicU64,
}

fn endpoint(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> quinn::Endpoint {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

async fn connection(incoming: quinn::Incoming, state: Arc<State>) {
    let Ok(quic) = incoming.await else { return };
    let mut http = h3::server::Connection::<_, Bytes>::new(h3_quinn::Connection::new(quic)).await.unwrap();
    while let Ok(Some(resolver)) = http.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let Ok((request, mut stream)) = resolver.resolve_request().await else { return };
            let mut body = Vec::new();
            while let Ok(Some(mut chunk)) = stream.recv_data().await {
                body.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
            }
            let n = state.counter.fetch_add(1, Relaxed);
            if state.fault == Fault::Resets && n % 10 == 9 {
                return stream.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
            }
            if state.fault == Fault::Slow {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let (head, body) = state.answer(n, &request, &serde_json::from_slice(&body).unwrap());
            let _ = stream.send_response(head).await;
            let _ = stream.send_data(body).await;
            let _ = stream.finish().await;
        });
    }
}

impl State {
    fn answer(&self, n: u64, request: &Request<()>, body: &Value) -> (Response<()>, Bytes) {
        let key = request.headers().get("authorization").map_or(&b""[..], |value| value.as_bytes());
        let restricted = key.starts_with(b"Bearer rk_");
        if restricted && self.fault == Fault::Sheds && n.is_multiple_of(2) {
            return reply(n, 503, Some(("retry-after", "1".to_owned())), &problem(n, 503, "overloaded"));
        }
        if restricted && self.fault == Fault::Scolds {
            return reply(n, 403, None, &problem(n, 403, "origin-not-allowed"));
        }
        let path = request.uri().path();
        match path.strip_prefix("/v1/verifications/").and_then(|rest| rest.strip_suffix("/check")) {
            None => {
                let (mut head, body) = self.issue(n, body);
                // Any page may read it: this server knows no origin rules.
                if let Some(origin) = request.headers().get("origin") {
                    head.headers_mut().insert("access-control-allow-origin", origin.clone());
                    head.headers_mut().insert("vary", "Origin".parse().unwrap());
                }
                (head, body)
            }
            Some(id) => self.check(n, id, body),
        }
    }

    fn issue(&self, n: u64, body: &Value) -> (Response<()>, Bytes) {
        if matches!(self.fault, Fault::Refuses | Fault::RefusesForGood) && n.is_multiple_of(3) {
            let wait = (self.fault == Fault::Refuses).then_some(("retry-after", "1".to_owned()));
            return reply(n, 503, wait, &problem(n, 503, "overloaded"));
        }
        let id = format!("vrf_{n:026}");
        self.live.lock().unwrap().insert(id.clone(), 5);
        let recipient = body["recipient"].as_str().unwrap();
        let hint = format!("{}***@{}", &recipient[..1], recipient.split_once('@').unwrap().1);
        let body = json!({"id": id, "status": "pending", "channel": "email", "purpose": body["purpose"],
            "recipient_hint": hint, "code_length": 6, "expires_in": 300, "expires_at": "2026-11-23T10:05:00Z",
            "resend_in": 30, "sends_remaining": 4, "attempts_remaining": 5});
        reply(n, 202, Some(("location", format!("/v1/verifications/{id}"))), &body)
    }

    fn check(&self, n: u64, id: &str, asked: &Value) -> (Response<()>, Bytes) {
        let mut live = self.live.lock().unwrap();
        let Some(attempts) = live.get_mut(id) else {
            return reply(n, 404, None, &problem(n, 404, "verification-not-found"));
        };
        if asked["code"] != "000000" {
            *attempts = attempts.saturating_sub(u64::from(self.fault != Fault::FreeGuesses)).max(1);
            let body = json!({"id": id, "status": "pending", "valid": false, "reason": "incorrect",
                "attempts_remaining": *attempts});
            return reply(n, 200, None, &body);
        }
        if self.fault != Fault::ReplayWorks {
            live.remove(id);
        }
        let claims = json!({"iss": "authepy", "aud": "dev", "sub": id, "purpose": "login", "amr": ["otp"],
            "email": asked["recipient"], "email_verified": true, "mode": "test", "iat": 1, "exp": 121, "jti": "x"});
        let claims = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, claims.to_string());
        let body = json!({"id": id, "status": "approved", "valid": true,
            "verified_at": "2026-11-23T10:00:01Z", "receipt": format!("eyJ9.{claims}.sig")});
        reply(n, 200, None, &body)
    }
}

fn problem(n: u64, status: u16, code: &str) -> Value {
    json!({"type": format!("/problems/{code}"), "title": code, "status": status, "detail": "as ordered",
        "code": code, "request_id": format!("req_{n}")})
}

fn reply(n: u64, status: u16, extra: Option<(&str, String)>, body: &Value) -> (Response<()>, Bytes) {
    let kind = if status >= 400 { "application/problem+json" } else { "application/json" };
    let mut head = Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("x-request-id", format!("req_{n}"))
        .header("date", "Mon, 23 Nov 2026 10:00:00 GMT");
    if let Some((name, value)) = extra {
        head = head.header(name, value);
    }
    (head.body(()).unwrap(), body.to_string().into())
}
