//! The newest and busiest bans, enforced by the kernel.
//!
//! ```text
//!   FilteringSocket ── read from a banned network ─┐
//!   lane's bans ─┬─ begins ────────────────────────┴▶ recent (256) ── every 50 ms at most ──▶ program
//!                │                                              on every UDP socket of the lane
//!                └─ lifted, shortened, ended ─▶ still covers all that is dropped? ─ no ─▶ filters off
//! ```
//!
//! A datagram that a socket filter drops is never queued: it costs the lane neither a wake-up nor a
//! copy, and takes no buffer space from others. [`FilteringSocket`](super::FilteringSocket) remains
//! authoritative. The filter may drop only what that would drop too, so bans enter it late and
//! leave it early: a ban leaves the filter [`MARGIN`] before it ends, and when a ban is lifted or
//! shortened, the filters come off in the same turn, before the lane reads another datagram. Bans
//! that don't fit, and kernels that accept no filter, are left to user space. If an attacker gets
//! its ban displaced by newer ones in order to flood, user space drops its datagrams, and within 50
//! ms the kernel does again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::rc::Rc;
use std::time::Duration;

use authepy_engine::actor::Lane;
use authepy_engine::clock::Moment;
use authepy_engine::peer::Prefix;
use socket2::{SockFilter, SockRef};
use tokio::sync::Notify;

use super::filter::program;
use crate::limits::{KERNEL_BANS, KERNEL_BANS_PAUSE};

/// How long before its end a ban leaves the filter: far longer than a lane may lag.
const MARGIN: Duration = Duration::from_secs(2);

/// The filters of one lane's sockets. Lives on its thread.
pub(crate) struct KernelDrop {
    lane: Lane,
    /// Second descriptors of the sockets that the endpoints read.
    sockets: Vec<UdpSocket>,
    /// The bans that most recently began or dropped a datagram, the latest at the back.
    recent: RefCell<VecDeque<Prefix>>,
    /// The networks that the filters drop, and the ends of their bans when the filters were set.
    dropped: RefCell<Vec<(Prefix, Moment)>>,
    changed: Notify,
    is_told: Cell<bool>,
}

impl KernelDrop {
    /// Follows the bans of `lane`. [`KernelDrop::run`] must run, too.
    pub(crate) fn new(lane: &Lane, sockets: Vec<UdpSocket>) -> Rc<Self> {
        let (recent, dropped, changed, is_told) = Default::default();
        let this = Rc::new(Self { lane: lane.clone(), sockets, recent, dropped, changed, is_told });
        let (of_begun, of_changes) = (Rc::downgrade(&this), Rc::downgrade(&this));
        lane.on_ban(move |network| {
            if let Some(this) = of_begun.upgrade() {
                this.note(network);
            }
        });
        lane.on_bans_changed(move |eased| {
            if let Some(this) = of_changes.upgrade() {
                this.follow(eased);
            }
        });
        this
    }

    /// Keeps the filters up to date, for as long as the lane runs.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            let leaves = self.renew();
            tokio::time::sleep(KERNEL_BANS_PAUSE).await;
            // A change during the pause has left a permit, so this returns at once.
            let change = self.changed.notified();
            match leaves {
                Some(leaves) => {
                    let _either = tokio::time::timeout(leaves.since(self.lane.now().at), change).await;
                }
                None => change.await,
            }
        }
    }

    /// A datagram of a banned network reached user space.
    pub(super) fn met(&self, network: Prefix) {
        // If the kernel accepted no filter, the next attempt is made only when a ban begins.
        if !self.is_told.get() && self.dropped.borrow().iter().all(|(known, _)| *known != network) {
            self.note(network);
            self.changed.notify_one();
        }
    }

    fn note(&self, network: Prefix) {
        let mut recent = self.recent.borrow_mut();
        recent.retain(|known| *known != network);
        recent.push_back(network);
        if recent.len() > KERNEL_BANS {
            recent.pop_front();
        }
    }

    fn follow(&self, eased: bool) {
        let holds = |(network, until): &(Prefix, Moment)| {
            self.lane.ban_of(*network).is_some_and(|ban| ban.until >= *until)
        };
        if eased && !self.dropped.borrow().iter().all(holds) {
            self.open();
        }
        self.changed.notify_one();
    }

    /// Sets the filters to the bans of this moment. Returns when the first of them must leave.
    fn renew(&self) -> Option<Moment> {
        let now = self.lane.now().at;
        let mut wanted = Vec::new();
        self.recent.borrow_mut().retain(|&network| {
            let until = self.lane.ban_of(network).map(|ban| ban.until).filter(|until| *until > now);
            wanted.extend(until.filter(|until| *until > now.after(MARGIN)).map(|until| (network, until)));
            until.is_some()
        });
        // The newest first, in case the kernel does not accept all.
        wanted.reverse();
        if wanted.is_empty() {
            self.open();
        } else if *self.dropped.borrow() != wanted {
            self.close(&wanted);
            *self.dropped.borrow_mut() = wanted;
        }
        let first_end = self.dropped.borrow().iter().map(|(_, until)| *until).min();
        first_end.map(|end| Moment::from_millis(end.as_millis().saturating_sub(MARGIN.as_millis() as u64)))
    }

    fn close(&self, wanted: &[(Prefix, Moment)]) {
        let networks: Vec<Prefix> = wanted.iter().map(|(network, _)| *network).collect();
        for socket in &self.sockets {
            if let Err(fault) = attach(socket, &networks) {
                detach(socket);
                if !self.is_told.replace(true) {
                    let why = "the kernel accepts no socket filter: bans are enforced in user space";
                    tracing::warn!(kind = ?fault.kind(), "{why}");
                }
            }
        }
    }

    /// Removes the filters.
    fn open(&self) {
        if !self.dropped.take().is_empty() {
            self.sockets.iter().for_each(detach);
        }
    }
}

/// Makes the kernel drop these networks, or if it refuses the first half of them, or a quarter, and
/// so on: older kernels limit a socket's options, programs included, to 20 KiB. Replaces the
/// previous filter.
fn attach(socket: &UdpSocket, networks: &[Prefix]) -> io::Result<()> {
    let mut count = networks.len();
    loop {
        let program: Vec<SockFilter> = program(&networks[..count])
            .into_iter()
            .map(|step| SockFilter::new(step.code, step.jt, step.jf, step.k))
            .collect();
        match SockRef::from(socket).attach_filter(&program) {
            Err(_) if count > 1 => count /= 2,
            result => return result,
        }
    }
}

fn detach(socket: &UdpSocket) {
    // It fails if there is no filter.
    let _had_none = SockRef::from(socket).detach_filter();
}

#[cfg(test)]
mod tests;
