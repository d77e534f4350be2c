//! A UDP socket that does not hear banned peers.
//!
//! ```text
//!   recvmmsg ─▶ batch of up to 32 ─▶ keep() ─┬─ something left ─▶ quinn
//!                 ▲                          └─ nothing left ──▶ the next batch, at most a few in a row,
//!                 └──────────────────────────────────────────── then the lane's other tasks first
//! ```
//!
//! Dropped here, a datagram has cost its copy out of the kernel and at most one look into the lane's ban
//! table: no connection is looked up, no key derived, nothing answered. The kernel joins datagrams (GRO) only of
//! one source and port, so one [`RecvMeta`] is one source, however many datagrams it stands for; the next one
//! of the same source has the same verdict, and a whole batch is judged by one reading of the clock.
//!
//! What the newest bans cover does not even come this far ([`KernelDrop`](super::KernelDrop)); this is what
//! decides.
//!
//! quinn wants a socket that may change threads, and a lane's bans live and die on theirs. An endpoint's
//! driver runs where it was spawned, on its lane's thread, so the socket finds the lane there; anywhere
//! else it would hear everybody.

use std::cell::OnceCell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use authepy_engine::actor::Lane;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::limits::DROPPED_BATCHES_PER_TURN;

thread_local! {
    /// The lane that runs on this thread.
    static LANE: OnceCell<Lane> = const { OnceCell::new() };
}

/// See the module's doc.
#[derive(Debug)]
pub struct BanDrop {
    socket: Arc<dyn AsyncUdpSocket>,
}

impl BanDrop {
    /// Puts the bans of `lane` in front of a socket. Called on the lane's thread.
    pub fn new(lane: &Lane, socket: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        LANE.with(|of_thread| {
            of_thread.get_or_init(|| lane.clone());
        });
        Arc::new(Self { socket })
    }
}

impl AsyncUdpSocket for BanDrop {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..DROPPED_BATCHES_PER_TURN {
            let received = ready!(self.socket.poll_recv(context, buffers, metas))?;
            let kept = LANE.with(|lane| match lane.get().and_then(Lane::bans_now) {
                Some(bans) => keep(buffers, metas, received, |address| bans.cover(address)),
                None => received,
            });
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
        // There may be more, but a flood must not hold the lane.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Moves what the others sent to the front, in its order, and returns how much that is. Buffers change
/// places with their metas; no byte is copied.
fn keep(
    buffers: &mut [IoSliceMut<'_>],
    metas: &mut [RecvMeta],
    received: usize,
    is_banned: impl Fn(IpAddr) -> bool,
) -> usize {
    let mut kept = 0;
    let mut last = None;
    for at in 0..received {
        let source = metas[at].addr.ip();
        let is_deaf = match last {
            Some((address, verdict)) if address == source => verdict,
            _ => is_banned(source),
        };
        last = Some((source, is_deaf));
        if is_deaf {
            continue;
        }
        if kept != at {
            buffers.swap(kept, at);
            metas.swap(kept, at);
        }
        kept += 1;
    }
    kept
}

#[cfg(test)]
mod tests;
