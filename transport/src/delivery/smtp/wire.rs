//! The connection below lettre's dialogue: opens it up to TLS, and bounds what a relay may send.
//!
//! lettre 0.11.23 keeps bytes that it has read before STARTTLS, so that replies injected in plain
//! text count as replies inside TLS (A66), and it reads a line of any length into memory. So the
//! greeting, EHLO, STARTTLS and the handshake happen here. lettre then gets a [`Wire`] that begins
//! with a synthetic greeting and fails once the relay has sent [`REPLY_BYTES`] without a new
//! command.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::commands::{Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{Encryption, Relay};
use crate::delivery::HandOverFault;

/// Most bytes that a relay may send between two commands: an EHLO answer has about 500, a banner
/// less.
const REPLY_BYTES: usize = 16 * 1024;

/// Longest connection attempt to one address of a relay: one dead address of several must not use
/// up the time of a send.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Synthetic greeting for lettre when the real one was read here.
const GREETING: &[u8] = b"220 -\r\n";

/// A connection with the encryption that the configuration requires.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// Read by lettre before anything from the stream.
    greeting: &'static [u8],
    /// Bytes received since the last write.
    received: usize,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Connects, and encrypts as the relay's configuration demands.
    pub(super) async fn open(relay: &Relay, hello: &ClientId) -> Result<Self, HandOverFault> {
        let mut tcp = connect(&relay.host, relay.port).await?;
        let (stream, greeting): (_, &'static [u8]) = match relay.encryption {
            Encryption::None => (Stream::Plain(tcp), b""),
            Encryption::Implicit => (relay.handshake(tcp).await?, b""),
            Encryption::Required | Encryption::Opportunistic => {
                let offered = ask_for_starttls(&mut tcp, hello).await?;
                match (offered, relay.encryption) {
                    (true, _) => (relay.handshake(tcp).await?, GREETING),
                    (false, Encryption::Opportunistic) => (Stream::Plain(tcp), GREETING),
                    (false, _) => return Err(HandOverFault::Insecure),
                }
            }
        };
        Ok(Self { stream, greeting, received: 0 })
    }

    fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp),
            Stream::Tls(tls) => Pin::new(&mut **tls),
        }
    }
}

impl Relay {
    async fn handshake(&self, tcp: TcpStream) -> Result<Stream, HandOverFault> {
        let tls = self.tls.connect(self.tls_name.clone(), tcp).await;
        tls.map(|tls| Stream::Tls(Box::new(tls))).map_err(|_| HandOverFault::Insecure)
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, HandOverFault> {
    let addresses = lookup_host((host, port)).await.map_err(|_| HandOverFault::Unreachable)?;
    for address in addresses {
        if let Ok(Ok(tcp)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            // A command is one small write that waits for its answer: Nagle's algorithm would only
            // delay it.
            let _slower_at_worst = tcp.set_nodelay(true);
            return Ok(tcp);
        }
    }
    Err(HandOverFault::Unreachable)
}

/// Greeting, EHLO and STARTTLS in plain text. Returns false if the relay offers no TLS. No byte may
/// follow an answer: injected bytes would be trusted after the handshake.
async fn ask_for_starttls(tcp: &mut TcpStream, hello: &ClientId) -> Result<bool, HandOverFault> {
    expect("220", &read_reply(tcp).await?)?;
    let extensions = ask(tcp, Ehlo::new(hello.clone()).to_string()).await?;
    expect("250", &extensions)?;
    let named =
        |line: &str| line.get(4..).is_some_and(|word| word.trim_end().eq_ignore_ascii_case("STARTTLS"));
    if !extensions.lines().skip(1).any(named) {
        return Ok(false);
    }
    expect("220", &ask(tcp, Starttls.to_string()).await?)?;
    Ok(true)
}

async fn ask(tcp: &mut TcpStream, command: String) -> Result<String, HandOverFault> {
    tcp.write_all(command.as_bytes()).await.map_err(|_| HandOverFault::Lost)?;
    read_reply(tcp).await
}

fn expect(code: &str, reply: &str) -> Result<(), HandOverFault> {
    match reply.as_bytes().first() {
        _ if reply.starts_with(code) => Ok(()),
        Some(b'4') => Err(HandOverFault::RefusedForNow),
        Some(b'5') => Err(HandOverFault::Refused),
        _ => Err(HandOverFault::Garbled),
    }
}

/// Reads one reply; further bytes are an error.
async fn read_reply(tcp: &mut TcpStream) -> Result<String, HandOverFault> {
    let mut received = Vec::with_capacity(512);
    loop {
        if let Some(end) = reply_end(&received)? {
            return match end == received.len() {
                true => String::from_utf8(received).map_err(|_| HandOverFault::Garbled),
                false => Err(HandOverFault::Garbled),
            };
        }
        if received.len() >= REPLY_BYTES {
            return Err(HandOverFault::Garbled);
        }
        if tcp.read_buf(&mut received).await.map_err(|_| HandOverFault::Lost)? == 0 {
            return Err(HandOverFault::Lost);
        }
    }
}

/// The end of the reply, once complete: after the first line whose code is followed by a space.
fn reply_end(received: &[u8]) -> Result<Option<usize>, HandOverFault> {
    let mut end = 0;
    for line in received.split_inclusive(|&byte| byte == b'\n').take_while(|line| line.ends_with(b"\n")) {
        end += line.len();
        let code = line.len() >= 4 && line[..3].iter().all(u8::is_ascii_digit);
        match line.get(3) {
            Some(b' ' | b'\r' | b'\n') if code => return Ok(Some(end)),
            Some(b'-') if code => {}
            _ => return Err(HandOverFault::Garbled),
        }
    }
    Ok(None)
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.greeting.is_empty() {
            let length = this.greeting.len().min(buf.remaining());
            buf.put_slice(&this.greeting[..length]);
            this.greeting = &this.greeting[length..];
            return Poll::Ready(Ok(()));
        }
        if this.received >= REPLY_BYTES {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        let polled = this.stream().poll_read(cx, buf);
        this.received += buf.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.received = 0;
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(tcp) => tcp.peer_addr(),
            Stream::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_with_its_last_line() {
        assert_eq!(reply_end(b"220 hi\r\n"), Ok(Some(8)));
        assert_eq!(reply_end(b"250-a\r\n250 b\r\n"), Ok(Some(14)));
        assert_eq!(reply_end(b"220 ready\r\n250 injected\r\n"), Ok(Some(11)));
        assert_eq!(reply_end(b"250-a\r\n250 b"), Ok(None));
        assert_eq!(reply_end(b""), Ok(None));
        for garbled in [&b"HTTP/1.1 400\r\n"[..], b"22\r\n", b"\r\n", b"220_x\r\n"] {
            assert_eq!(reply_end(garbled), Err(HandOverFault::Garbled));
        }
    }
}
