//! What becomes of a new connection.
//!
//! ```text
//!   datagram ─ banned? dropped ─▶ Initial ─┬─ too many unvalidated ─▶ retry, or ignore
//!                                          ├─ no place ─▶ refuse
//!                                          └─▶ handshake ─▶ welcome ─┬─ peer's places, window used up,
//!   SYN ─ banned, no place? closed ──────────▶ TLS ─────────▶ ▲      │  or banned meanwhile ─▶ closed
//!                                                                    └─▶ serving
//! ```
//!
//! All before the handshake is decided before any key is derived. What counts *for a peer* counts only once
//! the handshake has proved its address ([`Admission::welcome`]): its place in `connections.per_peer`, and
//! one handshake in its window, which may bring a strike. So nobody is charged for what was sent in his name.
//!
//! A trusted proxy (`proxy.trusted`) carries everybody: its own address has no share and no window; whom it
//! forwards is charged when the request says who that is.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::actor::Lane;
use authepy_engine::perimeter::api_key::Mode;
use authepy_engine::perimeter::peer::Peer;
use authepy_engine::request::{Activity, Charge, Charged, Command, Outcome};
use quinn::{Endpoint, Incoming};

use crate::config::Connections;
use crate::connection;
use crate::desk::Desk;
use crate::socket::IdMark;

mod caps;
mod retries;
mod roll;
pub(crate) use caps::{Caps, Place};
use retries::Retries;
use roll::Roll;
pub(crate) use roll::{Listed, ShowOut};

/// One lane's word on connections, by QUIC and TCP on all of its addresses. Lives on its thread.
#[derive(Clone)]
pub(crate) struct Admission(Rc<Inner>);

struct Inner {
    lane: Lane,
    /// What is open in the whole process.
    caps: Arc<Caps>,
    retries: RefCell<Retries>,
    roll: Roll,
    bounds: Bounds,
}

/// What every connection is held to.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    resets: u32,
    idle: Duration,
    deadline: Duration,
}

impl From<&Connections> for Bounds {
    fn from(settings: &Connections) -> Self {
        Self { resets: settings.resets, idle: settings.idle.0, deadline: settings.deadline.0 }
    }
}

impl Admission {
    pub(crate) fn new(lane: Lane, caps: Arc<Caps>, bounds: Bounds) -> Self {
        let roll = Roll::default();
        let of_banned = roll.clone();
        lane.on_ban(move |network| of_banned.show_out(network));
        Self(Rc::new(Inner { lane, caps, retries: RefCell::new(Retries::new()), roll, bounds }))
    }

    /// Stream resets one connection may cause.
    pub(crate) fn resets(&self) -> u32 {
        self.0.bounds.resets
    }

    /// Longest a connection may stay without a request under way. quinn keeps to it by itself.
    pub(crate) fn idle(&self) -> Duration {
        self.0.bounds.idle
    }

    /// Longest a request may take to arrive, or an answer to be taken.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.bounds.deadline
    }

    /// A place for a TCP connection, whose address its own handshake has proved. `None`: close it.
    pub(crate) fn enter(&self, desk: &Desk, address: IpAddr) -> Option<Place> {
        if self.0.lane.is_banned(address) {
            return None;
        }
        self.0.caps.enter(counted(desk, address))
    }

    /// The handshake of `address` is over: from now on it counts for its peer, and a ban of the peer calls
    /// `show_out`. `None`: the connection must be closed at once.
    pub(crate) async fn welcome(
        &self,
        desk: &Desk,
        place: &mut Place,
        address: IpAddr,
        show_out: ShowOut,
    ) -> Option<Listed> {
        let peer = counted(desk, address);
        if !place.validated(peer) {
            return None;
        }
        // On the roll first: a ban is either seen here or finds the connection there.
        let listed = self.0.roll.enter(address, show_out);
        if self.0.lane.is_banned(address) {
            return None;
        }
        match peer {
            Some(peer) if !self.charge(desk, peer).await => None,
            _ => Some(listed),
        }
    }

    /// Counts one handshake. False if the peer has made too many. A shard too busy to count lets it pass:
    /// it will say so to the requests themselves.
    async fn charge(&self, desk: &Desk, peer: Peer) -> bool {
        if desk.policy().settings.peer.handshake.is_empty() {
            return true;
        }
        let charge = Charge { peer, activity: Activity::Handshake, mode: Mode::Live };
        let route = self.0.lane.keys().peer_route(&peer);
        let outcome = self.0.lane.ask(route, Command::Charge(charge)).await;
        !matches!(outcome, Outcome::Charged(Charged { refusal: Some(_), .. }))
    }
}

/// The peer that answers for this address; `None` for a proxy that carries everybody.
pub(crate) fn counted(desk: &Desk, address: IpAddr) -> Option<Peer> {
    (!desk.policy().trusted_proxies.contains(address)).then(|| Peer::from(address))
}

/// Decides about every connection that knocks at one endpoint, until the process ends. `ours` is on the ids that this
/// process made: one that begins with such an id has chosen its lane by it, or comes late for a connection that is gone.
pub(crate) async fn accept(endpoint: Endpoint, ours: IdMark, desk: Desk, admission: Admission) {
    while let Some(incoming) = endpoint.accept().await {
        if desk.drain().has_begun() || ours.is_on(&incoming.orig_dst_cid()) {
            incoming.refuse();
            continue;
        }
        decide(incoming, &desk, &admission);
    }
}

fn decide(incoming: Incoming, desk: &Desk, admission: &Admission) {
    let (source, Inner { lane, caps, retries, .. }) = (incoming.remote_address(), &*admission.0);
    let is_validated = incoming.remote_address_validated();
    if !is_validated && caps.is_busy() {
        if retries.borrow_mut().take(source, lane.now().at) {
            // An error would mean that the address is validated.
            let _sent = incoming.retry();
        } else {
            incoming.ignore();
        }
        return;
    }
    let peer = counted(desk, source.ip().to_canonical());
    let place = if is_validated { caps.enter(peer) } else { caps.enter_unvalidated(peer) };
    match place {
        Some(place) => {
            let drive = connection::drive(incoming, desk.clone(), admission.clone(), place);
            tokio::task::spawn_local(drive);
        }
        None => incoming.refuse(),
    }
}
