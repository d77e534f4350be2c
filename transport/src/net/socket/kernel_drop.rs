//! The newest and busiest bans, dropped by the kernel.
//!
//! ```text
//!   FilteringSocket ──── met one that is not dropped ──┐
//!   lane's bans ─┬─ begins ───────────────────────┴▶ recent (256) ── every 50 ms at most ──▶ program on every
//!                │                                                                    UDP socket of the lane
//!                └─ lifted, shortened, ended ──▶ still holds all that is dropped? ── no ──▶ filters off, at once
//! ```
//!
//! What a socket filter drops is never queued: it costs the lane neither a wake-up nor a copy, and takes no
//! room from others. [`FilteringSocket`](super::FilteringSocket) stays the truth. The filter may only drop what that would
//! drop as well, so it closes late and opens early: a ban stands in it only until [`MARGIN`] before its end,
//! and a table that has eased takes it off in the same turn, before the lane hears another datagram. What finds
//! no place, and a kernel that takes no filter, is left to userland. Who has a ban pushed out by others', to
//! flood in their shadow, is met there, and 50 ms later the kernel drops him again.

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

/// How long before its end a ban leaves the filter: far more than a lane may be late.
const MARGIN: Duration = Duration::from_secs(2);

/// The filters of one lane's sockets. Lives on its thread.
pub struct KernelDrop {
    lane: Lane,
    /// Second descriptors of the sockets that the endpoints read.
    sockets: Vec<UdpSocket>,
    /// The bans that began or were met last, the latest at the back.
    recent: RefCell<VecDeque<Prefix>>,
    /// What the filters may drop, and until when the table said so.
    dropped: RefCell<Vec<(Prefix, Moment)>>,
    changed: Notify,
    is_told: Cell<bool>,
}

impl KernelDrop {
    /// Follows the bans of `lane`. [`KernelDrop::run`] does the rest.
    pub fn new(lane: &Lane, sockets: Vec<UdpSocket>) -> Rc<Self> {
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
    pub async fn run(self: Rc<Self>) {
        loop {
            let leaves = self.renew();
            tokio::time::sleep(KERNEL_BANS_PAUSE).await;
            // A change during the pause has left its word.
            let change = self.changed.notified();
            match leaves {
                Some(leaves) => {
                    let _either = tokio::time::timeout(leaves.since(self.lane.now().at), change).await;
                }
                None => change.await,
            }
        }
    }

    /// A datagram of a banned network came through.
    pub(super) fn met(&self, network: Prefix) {
        // A kernel that takes no filter is asked again only when bans begin.
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

    /// Puts the filters on that the bans of this moment call for. Returns when the first of them must leave.
    fn renew(&self) -> Option<Moment> {
        let now = self.lane.now().at;
        let mut wanted = Vec::new();
        self.recent.borrow_mut().retain(|&network| {
            let until = self.lane.ban_of(network).map(|ban| ban.until).filter(|until| *until > now);
            wanted.extend(until.filter(|until| *until > now.after(MARGIN)).map(|until| (network, until)));
            until.is_some()
        });
        // The newest first, for a kernel that does not take all.
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
                    tracing::warn!(kind = ?fault.kind(), "the kernel takes no filter: bans are kept without it");
                }
            }
        }
    }

    /// Lets the sockets hear everybody.
    fn open(&self) {
        if !self.dropped.take().is_empty() {
            self.sockets.iter().for_each(detach);
        }
    }
}

/// Has the kernel drop these networks, or the first half of them, or a quarter: older kernels grant a socket
/// 20 KiB for its options, programs included. What was dropped before is heard again, if no other.
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
    // There may be none.
    let _had_none = SockRef::from(socket).detach_filter();
}

#[cfg(test)]
mod tests;
