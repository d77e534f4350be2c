//! A phone that does what RFC 9114 (5.2) says of GOAWAY, to the letter: it reads the id off the wire, sends
//! requests from that id on again, to the next server, and never those below.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, ReadToEndError, RecvStream, VarInt};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use authepy_testkit::DevServer;
use authepy_testkit::phone::client_config;
use authepy_testkit::raw::{frame, headers, section, take_frame, take_varint, varint};

const CONTROL: u64 = 0;
const DATA: u64 = 0;
const SETTINGS: u64 = 4;
const GOAWAY: u64 = 7;

/// Where a server is and how to believe it.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    trust: quinn::ClientConfig,
    key: String,
}

impl Target {
    pub(crate) fn of(server: &DevServer, key: &str) -> Self {
        Self { address: server.h3(), trust: client_config(server), key: key.to_owned() }
    }
}

/// One connection, and what the server said of its end.
pub(crate) struct Line {
    connection: Connection,
    key: String,
    /// The newest GOAWAY.
    goaway: watch::Receiver<Option<u64>>,
    _endpoint: Endpoint,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) enum Fate {
    Answered(Value),
    /// It may be sent again elsewhere: at or above the GOAWAY, or never on its way.
    Unserved,
    /// Nobody can say whether it was served. With a server that keeps its word this never happens.
    Unknown(String),
}

impl Line {
    /// Connects, and listens for GOAWAY from the first byte on. `None`: refused, nothing was sent.
    pub(crate) async fn open(target: &Target) -> Option<Self> {
        let mut endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        endpoint.set_default_client_config(target.trust.clone());
        let connecting = endpoint.connect(target.address, "localhost").unwrap();
        let connection = timeout(Duration::from_secs(3), connecting).await.ok()?.ok()?;
        let mut control = connection.open_uni().await.ok()?;
        control.write_all(&[varint(CONTROL), frame(SETTINGS, 0, &[])].concat()).await.ok()?;
        let (tell, goaway) = watch::channel(None);
        let heard = connection.clone();
        tokio::spawn(async move {
            while let Ok(stream) = heard.accept_uni().await {
                listen(stream, &tell).await;
            }
            // Held to the end: a control stream that is closed is an error of the connection.
            drop(control);
        });
        Some(Self { connection, key: target.key.clone(), goaway, _endpoint: endpoint })
    }

    /// The newest GOAWAY, if one came.
    pub(crate) fn goaway(&self) -> Option<u64> {
        *self.goaway.borrow()
    }

    /// Whether no new request belongs on it.
    pub(crate) fn is_over(&self) -> bool {
        self.goaway().is_some() || self.connection.close_reason().is_some()
    }

    /// Waits until it is closed and everything the server said is read.
    pub(crate) async fn closed(&self) {
        self.connection.closed().await;
        let mut goaway = self.goaway.clone();
        // An error means that the reader has come to the end.
        while goaway.changed().await.is_ok() {}
    }

    /// Issues a code for this address; the body comes that much later than the head.
    pub(crate) async fn issue(&self, address: &str, pause: Duration) -> Fate {
        let Ok((mut send, recv)) = self.connection.open_bi().await else { return Fate::Unserved };
        let id = u64::from(VarInt::from(send.id()));
        let key = format!("Bearer {}", self.key);
        let head = section(&[
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/v1/verifications"),
            ("authorization", &key),
            ("content-type", "application/json"),
        ]);
        let body = format!(r#"{{"recipient":"{address}"}}"#);
        let sending = async {
            let _cut_off = send.write_all(&headers(&head)).await;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let _cut_off = send.write_all(&frame(DATA, body.len() as u64, body.as_bytes())).await;
            let _cut_off = send.finish();
            answer(recv).await
        };
        let mut goaway = self.goaway.clone();
        let named = async {
            // Never, if the connection ends without: then the answer's side says so.
            if goaway.wait_for(|first| first.is_some_and(|first| id >= first)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = sending => match ended {
                Ok(body) => Fate::Answered(body),
                Err(why) => self.judge(id, &why).await,
            },
            // At once, as the RFC lets it: should the server serve it after all, there will be two mails.
            () = named => Fate::Unserved,
        }
    }

    /// Without an answer, what the server said last counts.
    async fn judge(&self, id: u64, why: &str) -> Fate {
        self.closed().await;
        match self.goaway() {
            Some(first) if id >= first => Fate::Unserved,
            goaway => Fate::Unknown(format!("request {id}, GOAWAY {goaway:?}: {why}")),
        }
    }
}

async fn answer(mut recv: RecvStream) -> Result<Value, String> {
    let bytes = recv.read_to_end(64 << 10).await.map_err(|fault: ReadToEndError| format!("{fault:?}"))?;
    let mut rest = &bytes[..];
    while let Some((kind, payload)) = take_frame(&mut rest) {
        if kind == DATA {
            return serde_json::from_slice(payload).map_err(|fault| fault.to_string());
        }
    }
    Err(format!("an answer of {} bytes without a body", bytes.len()))
}

/// Reads a unidirectional stream; if it is the server's control stream, tells each GOAWAY.
async fn listen(mut stream: RecvStream, tell: &watch::Sender<Option<u64>>) {
    let mut bytes = Vec::new();
    let mut kind = None;
    while let Ok(Some(chunk)) = stream.read_chunk(4096, true).await {
        bytes.extend_from_slice(&chunk.bytes);
        let mut rest = &bytes[..];
        if kind.is_none() {
            kind = take_varint(&mut rest);
        }
        while kind == Some(CONTROL)
            && let Some((frame, mut payload)) = take_frame(&mut rest)
        {
            if frame == GOAWAY {
                let first = take_varint(&mut payload).unwrap();
                let before = tell.send_replace(Some(first));
                assert!(
                    before.is_none_or(|before| first <= before),
                    "a GOAWAY may only go down (RFC 9114, 5.2)"
                );
            }
        }
        let read = bytes.len() - rest.len();
        bytes.drain(..read);
    }
}

/// Shared by all tasks that use it.
pub(crate) type SharedLine = Arc<Line>;
