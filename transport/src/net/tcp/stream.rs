//! The stream that hyper reads from and writes to: TLS over TCP, observed above and below TLS.
//!
//! ```text
//!   hyper ──▶ Lent ──▶ TLS ──▶ Pulse ──▶ TCP
//!              │                 └─ does the peer accept what we write?
//!              └─ where do heads, messages and frames begin and end?
//! ```

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::frames::Frames;
use super::lines::Lines;
use super::watch::Watch;
use crate::limits;

/// The TCP stream below TLS; reports to the watch whether writes make progress.
pub(super) struct Pulse {
    tcp: TcpStream,
    watch: Rc<Watch>,
}

impl Pulse {
    pub(super) fn new(tcp: TcpStream, watch: Rc<Watch>) -> Self {
        Self { tcp, watch }
    }

    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(_) => self.watch.flows(),
            Poll::Pending => self.watch.blocks(),
        }
        written
    }
}

impl AsyncRead for Pulse {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Pulse {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// The protocol whose messages are inspected.
pub(super) enum Seen {
    Http1(Lines),
    Http2(Frames),
}

/// A TLS stream that is lent to hyper and comes back when hyper is done, so that we can send the
/// last bytes on it.
#[derive(Clone)]
pub(super) struct Lent(Rc<RefCell<Inner>>);

struct Inner {
    tls: TlsStream<Pulse>,
    seen: Seen,
    watch: Rc<Watch>,
    /// Bytes were refused; nothing more is read.
    refused: bool,
}

impl Lent {
    pub(super) fn new(tls: TlsStream<Pulse>, seen: Seen, watch: Rc<Watch>) -> Self {
        Self(Rc::new(RefCell::new(Inner { tls, seen, watch, refused: false })))
    }

    /// Whether an HTTP/1.1 message was refused here and not answered yet.
    pub(super) fn owes_refusal(&self) -> bool {
        let inner = self.0.borrow();
        match &inner.seen {
            Seen::Http1(lines) => inner.refused && lines.heads() > inner.watch.answered(),
            Seen::Http2(_) => false,
        }
    }

    /// Sends `last_words` and closes our side, then discards what the peer still sends, until it
    /// closes too. Closing at once would reset the connection before the peer has read the answer.
    pub(super) async fn close(&self, last_words: &[u8]) -> io::Result<()> {
        let mut rest = last_words;
        while !rest.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut self.0.borrow_mut().tls).poll_write(cx, rest)).await?;
            rest = &rest[written..];
        }
        poll_fn(|cx| Pin::new(&mut self.0.borrow_mut().tls).poll_shutdown(cx)).await?;
        let mut thrown_away = [0; limits::READ_CHUNK_BYTES];
        let mut left = limits::TCP_LINGER_BYTES;
        while left > 0 {
            let mut into = ReadBuf::new(&mut thrown_away);
            poll_fn(|cx| Pin::new(&mut self.0.borrow_mut().tls).poll_read(cx, &mut into)).await?;
            match into.filled().len() {
                0 => return Ok(()),
                length => left = left.saturating_sub(length),
            }
        }
        Ok(())
    }
}

impl Inner {
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fine = match &mut self.seen {
            Seen::Http2(frames) => frames.pass(bytes, &self.watch).is_ok(),
            Seen::Http1(lines) => lines.pass(bytes).map(|inside| self.watch.head_arriving(inside)).is_ok(),
        };
        self.refused |= !fine;
        if fine { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.refused {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut inner.tls).poll_read(cx, into))?;
        Poll::Ready(inner.look(&into.filled()[before..]))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().tls).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().tls).poll_flush(cx)
    }

    /// hyper is done, but the stream stays open: see [`Lent::close`].
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
