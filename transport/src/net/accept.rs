//! Admission of new connections.
//!
//! ```text
//!   datagram ─ banned? dropped ─▶ Initial ─┬─ too many unvalidated, or scarce ─▶ retry, or ignore
//!                                          ├─ no place ─▶ refuse
//!                                          └─▶ handshake ─▶ welcome ─┬─ peer's places or window used up,
//!   SYN ─ banned, no place, too many? closed ▶ TLS ─────────▶ ▲      │  or banned meanwhile ─▶ closed
//!                                                                    └─▶ serving
//! ```
//!
//! Where connections are scarce, in total or for one peer, a new connection with a validated
//! address displaces one on which no request was accepted yet ([`unserved`]).
//!
//! Everything before the handshake is decided before any key is derived. What counts *against a
//! peer* counts only once the handshake has validated its address ([`Admission::welcome`]): its
//! place in `connections.per_peer`, and one handshake in its window, which may bring a strike. So
//! no one is charged for packets with a forged source. If the address is validated before TLS
//! begins, by TCP or a Retry token, the start of a handshake counts too ([`Admission::begin`],
//! `limits.peer.any`): one that is never finished costs as much as one that is.
//!
//! A trusted proxy (`proxy.trusted`) carries connections of many peers: its own address has no
//! share and no window. The peers that it forwards are charged when a request names them.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::actor::Lane;
use authepy_engine::identity::Mode;
use authepy_engine::peer::Peer;
use authepy_engine::request::{Activity, Charge, Charged, Command, Outcome};
use quinn::{Endpoint, Incoming};
use tokio::task::yield_now;

use crate::config::Connections;
use crate::ground::log_throttle::LogThrottle;
use crate::metrics::Protocol;
use crate::net::quic;
use crate::net::socket::IdMark;
use crate::serve::lane_context::LaneContext;

mod caps;
mod registry;
mod retries;
mod unserved;
use caps::crowded_from;
pub(crate) use caps::{Caps, ConnectionSlot};
use registry::ConnectionRegistry;
pub(crate) use registry::{Listed, ShowOut};
use retries::Retries;
use unserved::{Candidates, Unserved};
pub(crate) use unserved::{Listing, WayOut};

/// Admission control of one lane, for QUIC and TCP on all of its addresses. Lives on its thread.
#[derive(Clone)]
pub(crate) struct Admission(Rc<Inner>);

struct Inner {
    lane: Lane,
    /// The number of lanes.
    lanes: usize,
    /// Connections open in the whole process.
    caps: Arc<Caps>,
    retries: RefCell<Retries>,
    registry: ConnectionRegistry,
    unserved: Unserved,
    /// Throttles the log line about connections that were closed to make room.
    displaced: RefCell<LogThrottle>,
    bounds: Bounds,
}

/// A connection that has a place, from its first packet on.
pub(crate) struct Newcomer {
    pub(crate) place: ConnectionSlot,
    pub(crate) listing: Listing,
    /// Signals that the connection has to end.
    pub(crate) way_out: Rc<WayOut>,
}

/// The limits of every connection.
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
    pub(crate) fn new(lane: Lane, lanes: usize, caps: Arc<Caps>, bounds: Bounds) -> Self {
        let registry = ConnectionRegistry::default();
        let of_banned = registry.clone();
        lane.on_ban(move |network| of_banned.show_out(network));
        let (unserved, displaced) = Default::default();
        let retries = RefCell::new(Retries::new());
        Self(Rc::new(Inner { lane, lanes, caps, retries, registry, unserved, displaced, bounds }))
    }

    /// Stream resets one connection may cause.
    pub(crate) fn resets(&self) -> u32 {
        self.0.bounds.resets
    }

    /// How long a connection may stay without a request in progress. quinn enforces it by itself.
    pub(crate) fn idle(&self) -> Duration {
        self.0.bounds.idle
    }

    /// How long a request may take to arrive, or an answer to be received.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.bounds.deadline
    }

    /// A place for a TCP connection, whose address its own handshake has validated. `None`: close
    /// it.
    pub(crate) async fn enter(&self, context: &LaneContext, address: IpAddr) -> Option<Newcomer> {
        if self.0.lane.is_banned(address) {
            return None;
        }
        let peer = counted(context, address);
        self.make_room(peer, Protocol::Tcp).await;
        let place = self.0.caps.enter(peer, Protocol::Tcp)?;
        Some(self.listed(place, peer, Protocol::Tcp))
    }

    fn listed(&self, place: ConnectionSlot, peer: Option<Peer>, protocol: Protocol) -> Newcomer {
        let way_out = Rc::<WayOut>::default();
        let listing = self.0.unserved.enter(self.0.lane.now().at, protocol, peer, way_out.clone());
        Newcomer { place, listing, way_out }
    }

    /// If connections are scarce for this newcomer, closes connections on which no request was
    /// accepted, and waits for one turn of the lane, in which their tasks give their places back.
    async fn make_room(&self, peer: Option<Peer>, protocol: Protocol) {
        let Inner { caps, unserved, lane, displaced, .. } = &*self.0;
        let (tcp, tcp_max) = caps.tcp();
        // If file descriptors are scarce, only closing a TCP connection frees one.
        let candidates = match protocol {
            Protocol::Tcp if tcp >= crowded_from(tcp_max) => Candidates::Tcp,
            _ => Candidates::Both,
        };
        let told = match peer.and_then(|peer| caps.crowded_network(peer)) {
            Some(network) => usize::from(unserved.make_room_within(network, candidates)),
            None => {
                let wanted = self.room_to_make(candidates);
                (0..wanted).filter(|_| unserved.make_room(peer, candidates)).count()
            }
        };
        if told == 0 {
            return;
        }
        if let Some(times) = displaced.borrow_mut().tell(lane.now().at) {
            let why = "connections are scarce: those without an accepted request make room for newcomers";
            tracing::warn!(times, "{why}");
        }
        yield_now().await;
    }

    /// How many connections of this lane should make room for a newcomer.
    fn room_to_make(&self, candidates: Candidates) -> usize {
        let Inner { caps, unserved, lanes, .. } = &*self.0;
        let (staying, leaving) = unserved.staying_and_leaving(candidates);
        let (open, cap) = if candidates == Candidates::Tcp { caps.tcp() } else { caps.all() };
        let (open, share) = (open.saturating_sub(leaving), (crowded_from(cap) / lanes).max(1));
        match () {
            () if open < crowded_from(cap) => 0,
            () if staying > share => 2,
            () if staying == share || open >= cap => 1,
            () => 0,
        }
    }

    /// Closes connections on which no request was accepted for `connections.idle`, for as long as
    /// the lane runs.
    pub(crate) async fn expire(self) {
        loop {
            let next = self.0.unserved.expire(self.0.lane.now().at, self.0.bounds.idle);
            tokio::time::sleep(next).await;
        }
    }

    /// Completes the handshake of `address`: from now on the connection counts against its peer,
    /// and a ban of the peer calls `show_out`. `None`: the connection must be closed at once.
    pub(crate) async fn welcome(
        &self,
        context: &LaneContext,
        place: &mut ConnectionSlot,
        address: IpAddr,
        show_out: ShowOut,
    ) -> Option<Listed> {
        let peer = counted(context, address);
        if !place.validated(peer) {
            return None;
        }
        // Registered before the check: a ban is either seen here or finds the connection in the
        // registry.
        let listed = self.0.registry.enter(address, show_out);
        if self.0.lane.is_banned(address) {
            return None;
        }
        match peer {
            Some(peer) if !self.charge(context, peer, Activity::Handshake).await => None,
            _ => Some(listed),
        }
    }

    /// Counts the start of a handshake from an address that is already validated, by TCP or a Retry
    /// token. False if its peer has begun too many, or is banned.
    pub(crate) async fn begin(&self, context: &LaneContext, address: IpAddr) -> bool {
        match counted(context, address) {
            Some(peer) => self.charge(context, peer, Activity::Any).await,
            None => true,
        }
    }

    /// Counts one handshake, begun or completed. False if the peer has made too many. If the shard
    /// is too busy to count, the handshake passes: requests will be refused by that shard
    /// themselves.
    async fn charge(&self, context: &LaneContext, peer: Peer, activity: Activity) -> bool {
        if context.policy().settings.peer.of(activity).is_empty() {
            return true;
        }
        let charge = Charge::proved(peer, activity, Mode::Live);
        let route = self.0.lane.keys().peer_route(&peer);
        let outcome = self.0.lane.ask(route, Command::Charge(charge)).await;
        !matches!(outcome, Outcome::Charged(Charged { refusal: Some(_), .. }))
    }
}

/// The peer that this address counts against; `None` for a trusted proxy, which carries many.
pub(crate) fn counted(context: &LaneContext, address: IpAddr) -> Option<Peer> {
    (!context.policy().trusted_proxies.contains(address)).then(|| Peer::from(address))
}

/// Decides about every new connection at one endpoint, until the process ends. `ours` recognises
/// connection ids that this process made. A connection that begins with such an id has chosen its
/// lane by it, or is a late packet of a closed connection; it is refused.
pub(crate) async fn accept(endpoint: Endpoint, ours: IdMark, context: LaneContext, admission: Admission) {
    while let Some(incoming) = endpoint.accept().await {
        if context.drain().has_begun() || ours.is_on(&incoming.orig_dst_cid()) {
            incoming.refuse();
            continue;
        }
        decide(incoming, &context, &admission).await;
    }
}

async fn decide(incoming: Incoming, context: &LaneContext, admission: &Admission) {
    let (source, Inner { lane, caps, retries, .. }) = (incoming.remote_address(), &*admission.0);
    let is_validated = incoming.remote_address_validated();
    let peer = counted(context, source.ip().to_canonical());
    // Where a connection would have to make room, the newcomer must validate its address first,
    // because Initials are easily forged.
    let is_crowded =
        || caps.is_crowded(Protocol::Quic) || peer.is_some_and(|peer| caps.crowded_network(peer).is_some());
    if !is_validated && (caps.is_busy() || is_crowded()) {
        if retries.borrow_mut().take(source, lane.now().at) {
            // An error would mean that the address is validated.
            let _sent = incoming.retry();
        } else {
            incoming.ignore();
        }
        return;
    }
    let place = if is_validated {
        admission.make_room(peer, Protocol::Quic).await;
        caps.enter(peer, Protocol::Quic)
    } else {
        caps.enter_unvalidated(peer)
    };
    match place {
        Some(place) => {
            let newcomer = admission.listed(place, peer, Protocol::Quic);
            let (context, admission) = (context.clone(), admission.clone());
            tokio::task::spawn_local(async move {
                if is_validated && !admission.begin(&context, source.ip().to_canonical()).await {
                    return incoming.refuse();
                }
                quic::drive(incoming, context, admission, newcomer).await;
            });
        }
        None => incoming.refuse(),
    }
}
