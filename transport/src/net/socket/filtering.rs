//! A UDP socket that drops datagrams of banned peers and, on an overloaded lane, of clients that
//! are shed ([`Shedding`]).
//!
//! ```text
//!   recvmmsg ─▶ batch of up to 32 ─▶ keep() ─┬─ something left ─▶ quinn
//!                 ▲                          └─ nothing left ──▶ the next batch, at most a few in a row,
//!                 └──────────────────────────────────────────── then the lane's other tasks first
//! ```
//!
//! A datagram that is dropped here costs its copy out of the kernel and at most one look-up in the
//! lane's ban table: no connection is looked up, no key derived, nothing answered. The kernel joins
//! datagrams (GRO) only from one source and port, so one [`RecvMeta`] has one source, however many
//! datagrams it stands for. Consecutive ones of the same source share a verdict, and a whole batch
//! is judged at one clock reading. While the lane sheds, there is a second look-up.
//!
//! Most datagrams of banned peers don't even get here: the kernel drops those of the bans that most
//! recently began or dropped a datagram ([`KernelDrop`], which is told one banned source per
//! batch). This socket is authoritative.
//!
//! quinn requires a socket that may move between threads, while a lane's bans stay on the lane's
//! thread. The driver of an endpoint runs where it was spawned, on the lane's thread, so the socket
//! finds the lane there. On any other thread it would drop nothing.

use std::cell::{Cell, OnceCell};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use authepy_engine::actor::{BansNow, Lane};
use authepy_engine::clock::Moment;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::KernelDrop;
use crate::limits::{DROPPED_BATCHES_PER_TURN, SHED_TICK};
use crate::overload::admission_queue::AdmissionQueue;
use crate::overload::shedding::Shedding;

thread_local! {
    /// The lane that runs on this thread, and its filters.
    static LANE: OnceCell<FilterParts> = const { OnceCell::new() };
}

/// What a lane's sockets consult and report to.
#[derive(Clone)]
pub(crate) struct FilterParts {
    pub(crate) lane: Lane,
    pub(crate) kernel: Rc<KernelDrop>,
    pub(crate) shedding: Rc<Shedding>,
    pub(crate) admission_queue: Rc<AdmissionQueue>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct FilteringSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    /// Since when the socket has had more to read, in ms since the start; 0: it has not.
    busy_since: AtomicU64,
}

impl FilteringSocket {
    /// Puts the bans and the load shedding of a lane in front of a socket. Called on the lane's
    /// thread.
    pub(crate) fn new(filter: &FilterParts, socket: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        LANE.with(|of_thread| {
            of_thread.get_or_init(|| filter.clone());
        });
        Arc::new(Self::on(socket))
    }

    fn on(socket: Arc<dyn AsyncUdpSocket>) -> Self {
        Self { socket, busy_since: AtomicU64::new(0) }
    }

    /// Whether the socket has had more to read for a whole tick.
    fn is_full(&self, now: Moment) -> bool {
        let now = now.as_millis().max(1);
        let since = match self.busy_since.load(Ordering::Relaxed) {
            0 => {
                self.busy_since.store(now, Ordering::Relaxed);
                now
            }
            since => since,
        };
        now.saturating_sub(since) >= SHED_TICK.as_millis() as u64
    }
}

impl AsyncUdpSocket for FilteringSocket {
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
            let Poll::Ready(received) = self.socket.poll_recv(context, buffers, metas) else {
                self.busy_since.store(0, Ordering::Relaxed);
                return Poll::Pending;
            };
            let received = received?;
            let kept = LANE.with(|filter| match filter.get() {
                Some(filter) => self.heard(filter, buffers, metas, received),
                None => received,
            });
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
        // There may be more to read, but a flood must not monopolise the lane.
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
        // quinn allocates room for this many datagrams of the size that we ask for, but some
        // clients begin with larger ones. So even without GRO, there is room for two.
        self.socket.max_receive_segments().max(2)
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

impl FilteringSocket {
    fn heard(
        &self,
        FilterParts { lane, kernel, shedding, admission_queue }: &FilterParts,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
        received: usize,
    ) -> usize {
        admission_queue.look();
        let now = lane.now().at;
        let kept = match lane.bans_at(now) {
            Some(bans) => keep_unbanned(&bans, kernel, buffers, metas, received),
            None => received,
        };
        // The runtime has one worker, this thread.
        let busy = || tokio::runtime::Handle::current().metrics().worker_total_busy_duration(0);
        if !shedding.look(now, self.is_full(now), received - kept, busy) {
            return kept;
        }
        keep(buffers, metas, kept, |meta| shedding.hear(meta.addr, meta.len.div_ceil(meta.stride.max(1))))
    }
}

fn keep_unbanned(
    bans: &BansNow<'_>,
    kernel: &KernelDrop,
    buffers: &mut [IoSliceMut<'_>],
    metas: &mut [RecvMeta],
    received: usize,
) -> usize {
    let met = Cell::new(None);
    let is_heard = judged_once(|source| {
        let network = bans.covering(source);
        met.set(network.or(met.get()));
        network.is_none()
    });
    let kept = keep(buffers, metas, received, is_heard);
    if let Some(network) = met.get() {
        kernel.met(network);
    }
    kept
}

/// Judges consecutive datagrams of one source once.
fn judged_once(is_heard: impl Fn(IpAddr) -> bool) -> impl FnMut(&RecvMeta) -> bool {
    let mut last = None;
    move |meta| {
        let source = meta.addr.ip();
        match last {
            Some((address, verdict)) if address == source => verdict,
            _ => last.insert((source, is_heard(source))).1,
        }
    }
}

/// Moves what `is_heard` accepts to the front, in order, and returns how much that is. Buffers are
/// swapped together with their metas; no byte is copied.
fn keep(
    buffers: &mut [IoSliceMut<'_>],
    metas: &mut [RecvMeta],
    received: usize,
    mut is_heard: impl FnMut(&RecvMeta) -> bool,
) -> usize {
    let mut kept = 0;
    for at in 0..received {
        if !is_heard(&metas[at]) {
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
