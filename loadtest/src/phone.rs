//! One caller's connection: QUIC by quinn, HTTP/3 by the `h3` crate.
use std::cell::Cell;
use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use h3::client::SendRequest;
use h3_quinn::OpenStreams;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::target::Target;
use crate::wire::{Answer, Question};

/// Longer than the server's own deadline for a request: past it nobody is coming back.
const PATIENCE: Duration = Duration::from_secs(15);
/// For a handshake: two lost packets and their pauses. A banned peer waits for all of it.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Far above any answer of the contract; a larger one is cut off and judged wrong.
const BODY_MAX: usize = 64 * 1024;

/// Why there was no answer to judge. Texts carry no header value: the `h3` crate's own errors can.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Silence {
    NoConnection,
    StreamFailed,
    TooLate,
    BodyTooLarge,
    Unaskable,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnection => "no connection",
            Self::StreamFailed => "stream failed",
            Self::TooLate => "no answer in 15 s",
            Self::BodyTooLarge => "body over 64 KiB",
            Self::Unaskable => "not a valid request",
        })
    }
}

/// A caller that keeps its connection, and opens a new one when it is gone.
pub(crate) struct Phone {
    endpoint: quinn::Endpoint,
    link: Mutex<Option<Link>>,
    /// Connections opened so far.
    opened: Cell<u64>,
}

struct Link {
    quic: quinn::Connection,
    send: SendRequest<OpenStreams, Bytes>,
}

/// What all phones of a run share.
pub(crate) struct Trust(quinn::ClientConfig);

impl Trust {
    pub(crate) fn new(target: &Target) -> Result<Self, String> {
        let mut tls = rustls::ClientConfig::builder()
            .with_root_certificates(target.roots.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = quinn::TransportConfig::default();
        // A phone in use is not idle to its network; without it, one that asks every minute is closed on.
        transport.keep_alive_interval(Some(Duration::from_secs(10)));
        config.transport_config(Arc::new(transport));
        Ok(Self(config))
    }
}

impl Phone {
    /// With a socket of its own on `source`.
    pub(crate) fn new(source: Ipv4Addr, trust: &Trust) -> Result<Self, String> {
        let mut endpoint = quinn::Endpoint::client((source, 0).into())
            .map_err(|error| format!("no socket on {source}: {error}"))?;
        endpoint.set_default_client_config(trust.0.clone());
        Ok(Self { endpoint, link: Mutex::new(None), opened: Cell::new(0) })
    }

    /// Opens the connection if there is none.
    pub(crate) async fn connect(&self, target: &Target) -> Result<(), Silence> {
        self.sender(target).await.map(drop)
    }

    /// Whether anybody answers a new connection within `patience`.
    pub(crate) async fn is_answered(&self, target: &Target, patience: Duration) -> bool {
        *self.link.lock().await = None;
        timeout(patience, self.sender(target)).await.is_ok_and(|sender| sender.is_ok())
    }

    /// Asks once; never retries, so that a refusal is seen as one.
    pub(crate) async fn ask(&self, target: &Target, question: &Question) -> Result<Answer, Silence> {
        let exchange = async {
            let send = self.sender(target).await?;
            exchange(send, target, question).await
        };
        timeout(PATIENCE, exchange).await.map_err(|_| Silence::TooLate)?
    }

    /// Moves to another port, or another address, in the middle of everything.
    pub(crate) fn move_to(&self, source: Ipv4Addr) -> Result<(), Silence> {
        let socket = UdpSocket::bind((source, 0)).map_err(|_| Silence::Unaskable)?;
        self.endpoint.rebind(socket).map_err(|_| Silence::Unaskable)
    }

    /// Connections opened so far: one, as long as it survives.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Begins a request and never ends it: `drip` says what to send every `pause` after the head. The answer
    /// that came, or `None` if the server broke it off; `Err` if it still stands after `patience`.
    pub(crate) async fn stall(
        &self,
        target: &Target,
        question: &Question,
        (drip, pause): (Option<&'static [u8]>, Duration),
        patience: Duration,
    ) -> Result<Option<u16>, Silence> {
        let stalling = async {
            let mut send = self.sender(target).await?;
            let head = question.head(target).map_err(|_| Silence::Unaskable)?;
            let stream = send.send_request(head).await.map_err(|_| Silence::StreamFailed)?;
            let (mut up, mut down) = stream.split();
            let dripping = async {
                while let Some(bytes) = drip {
                    sleep(pause).await;
                    if up.send_data(Bytes::from_static(bytes)).await.is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = down.recv_response() => Ok(answer.ok().map(|answer| answer.status().as_u16())),
                () = dripping => Ok(None),
            }
        };
        timeout(patience, stalling).await.map_err(|_| Silence::TooLate)?
    }

    /// Ends the connection as a phone does that is put away.
    pub(crate) async fn hang_up(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.quic.close(0x100_u32.into(), b"");
        }
    }

    async fn sender(&self, target: &Target) -> Result<SendRequest<OpenStreams, Bytes>, Silence> {
        let mut link = self.link.lock().await;
        if let Some(open) = link.as_ref().filter(|link| link.quic.close_reason().is_none()) {
            return Ok(open.send.clone());
        }
        let open = self.open(target).await.ok_or(Silence::NoConnection)?;
        let send = open.send.clone();
        self.opened.set(self.opened.get() + 1);
        *link = Some(open);
        Ok(send)
    }

    async fn open(&self, target: &Target) -> Option<Link> {
        let connecting = self.endpoint.connect(target.h3, "localhost").ok()?;
        let quic = timeout(CONNECT_PATIENCE, connecting).await.ok()?.ok()?;
        let (mut driver, send) = h3::client::new(h3_quinn::Connection::new(quic.clone())).await.ok()?;
        tokio::task::spawn_local(async move { driver.wait_idle().await });
        Some(Link { quic, send })
    }
}

async fn exchange(
    mut send: SendRequest<OpenStreams, Bytes>,
    target: &Target,
    question: &Question,
) -> Result<Answer, Silence> {
    let lost = |_| Silence::StreamFailed;
    let head = question.head(target).map_err(|_| Silence::Unaskable)?;
    let mut stream = send.send_request(head).await.map_err(lost)?;
    stream.send_data(question.body.clone()).await.map_err(lost)?;
    stream.finish().await.map_err(lost)?;
    let (parts, ()) = stream.recv_response().await.map_err(lost)?.into_parts();
    let mut body = BytesMut::new();
    while let Some(mut chunk) = stream.recv_data().await.map_err(lost)? {
        if body.len() + chunk.remaining() > BODY_MAX {
            return Err(Silence::BodyTooLarge);
        }
        while chunk.has_remaining() {
            let piece = chunk.chunk();
            body.extend_from_slice(piece);
            let taken = piece.len();
            chunk.advance(taken);
        }
    }
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.freeze() })
}
