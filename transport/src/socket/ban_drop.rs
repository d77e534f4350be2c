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
//! What the bans cover that began or were met last does not even come this far ([`KernelDrop`], which is told of
//! one source in each batch); this is what decides.
//!
//! quinn wants a socket that may change threads, and a lane's bans live and die on theirs. An endpoint's
//! driver runs where it was spawned, on its lane's thread, so the socket finds the lane there; anywhere
//! else it would hear everybody.

use std::cell::{Cell, OnceCell};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use authepy_engine::actor::Lane;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::KernelDrop;
use crate::limits::DROPPED_BATCHES_PER_TURN;

thread_local! {
    /// The lane that runs on this thread, and its filters.
    static LANE: OnceCell<(Lane, Rc<KernelDrop>)> = const { OnceCell::new() };
}

/// See the module's doc.
#[derive(Debug)]
pub struct BanDrop {
    socket: Arc<dyn AsyncUdpSocket>,
}

impl BanDrop {
    /// Puts the bans of `lane` in front of a socket. Called on the lane's thread.
    pub fn new(lane: &Lane, kernel: &Rc<KernelDrop>, socket: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        LANE.with(|of_thread| {
            of_thread.get_or_init(|| (lane.clone(), kernel.clone()));
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
            let kept = LANE.with(|lane| match lane.get() {
                Some((lane, kernel)) => keep_unbanned(lane, kernel, buffers, metas, received),
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
        // quinn makes room for so many datagrams of the size that we ask for, and there are clients that begin
        // with larger ones: where a receipt is one datagram, it has room for two.
        self.socket.max_receive_segments().max(2)
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

fn keep_unbanned(
    lane: &Lane,
    kernel: &KernelDrop,
    buffers: &mut [IoSliceMut<'_>],
    metas: &mut [RecvMeta],
    received: usize,
) -> usize {
    let Some(bans) = lane.bans_now() else { return received };
    let met = Cell::new(None);
    let kept = keep(buffers, metas, received, |address| {
        let network = bans.covering(address);
        met.set(network.or(met.get()));
        network.is_some()
    });
    drop(bans);
    if let Some(network) = met.get() {
        kernel.met(network);
    }
    kept
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
