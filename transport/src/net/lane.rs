//! One lane: its sockets, its endpoints, its accept loops. One thread runs all of these and the
//! lane's shard.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::actor::{Lane, LaneThread, Seat};
use quinn::{Endpoint, EndpointConfig, Runtime, TokioRuntime};
use rustls::ServerConfig as TlsConfig;
use tokio::sync::Notify;

use crate::control::policy::Policy;
use crate::ground::certificate::ResetSecret;
use crate::ground::published::Published;
use crate::ground::wiping;
use crate::limits;
use crate::metrics::Counters;
use crate::net::accept::{Admission, Bounds, Caps, accept};
use crate::net::socket::{FilterParts, FilteringSocket, IdMark, KernelDrop, LaneConnectionIds, Steering};
use crate::net::tcp;
use crate::serve::lane_context::LaneContext;
use crate::serve::lanes::LanesShared;

/// How often a lane publishes its shard's conversion counts.
const COUNT_CONVERSIONS_EVERY: Duration = Duration::from_secs(5);
/// How often a lane publishes the size of its shard, and checks for a new policy.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// The sockets of one lane, and the configuration of what listens on them.
pub(crate) struct Doors {
    /// One UDP socket for each address.
    pub udp: Vec<UdpSocket>,
    /// One TCP listener for each address.
    pub tcp: Vec<TcpListener>,
    /// HTTP/3.
    pub quic: quinn::ServerConfig,
    /// The key of stateless reset tokens: the same on all lanes, another for each address.
    pub reset: Arc<ResetSecret>,
    /// HTTP/2 and HTTP/1.1.
    pub tls: Arc<TlsConfig>,
    /// The connection caps of the process.
    pub(crate) caps: Arc<Caps>,
    /// Maps connection ids to lanes.
    pub(crate) steering: Steering,
    /// Marks the ids that this process makes.
    pub(crate) mark: IdMark,
    /// The core to pin the thread to.
    pub core: Option<usize>,
}

/// Starts a lane on a thread of its own. `started` receives the result of opening its endpoints.
pub(crate) fn start(
    seat: Seat,
    doors: Doors,
    lanes: LanesShared,
    bounds: Bounds,
    counters: Arc<Counters>,
    started: flume::Sender<io::Result<()>>,
) -> LaneThread {
    seat.start(move |lane| async move {
        wiping::keep_blocks();
        if let Some(core) = doors.core {
            pin(core);
        }
        let policy = lanes.shared.policy.clone();
        let context = LaneContext::new(lane.clone(), lanes, counters);
        let admission = Admission::new(lane.clone(), doors.steering.lanes(), doors.caps.clone(), bounds);
        context.watch_shard();
        let gate = context.clone();
        spawn_vital(&lane, async move { gate.admission_queue().run().await });
        let result = open(&lane, doors, &context, &admission);
        // The receiver is dropped only if the start failed elsewhere.
        let _gone = started.send(result);
        #[cfg(debug_assertions)]
        crate::ground::fault::obey(&lane);
        lane.vital().run(publish(&lane, &context, &policy)).await;
    })
}

/// Spawns a task without which the lane can't work: if it ends, the process ends.
fn spawn_vital(lane: &Lane, task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(lane.vital().run(task));
}

fn open(lane: &Lane, mut doors: Doors, context: &LaneContext, admission: &Admission) -> io::Result<()> {
    // Second descriptors of the same sockets: a filter on one of them applies to the other.
    let seconds: io::Result<Vec<UdpSocket>> = doors.udp.iter().map(UdpSocket::try_clone).collect();
    let kernel = KernelDrop::new(lane, seconds?);
    spawn_vital(lane, kernel.clone().run());
    spawn_vital(lane, admission.clone().expire());
    let (shedding, admission_queue) = (context.shedding().clone(), context.admission_queue().clone());
    let filter = FilterParts { lane: lane.clone(), kernel, shedding, admission_queue };
    for socket in std::mem::take(&mut doors.udp) {
        let endpoint = endpoint(&filter, &doors, socket)?;
        spawn_vital(lane, accept(endpoint, doors.mark.clone(), context.clone(), admission.clone()));
    }
    for listener in doors.tcp {
        let port = listener.local_addr()?.port();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accept = tcp::accept(listener, port, doors.tls.clone(), context.clone(), admission.clone());
        spawn_vital(lane, accept);
    }
    Ok(())
}

fn endpoint(filter: &FilterParts, doors: &Doors, socket: UdpSocket) -> io::Result<Endpoint> {
    let (runtime, index) = (Arc::new(TokioRuntime), filter.lane.index());
    let mut config = EndpointConfig::new(Arc::new(doors.reset.key_at(socket.local_addr()?)));
    let (steering, mark) = (doors.steering.clone(), doors.mark.clone());
    config.cid_generator(move || Box::new(LaneConnectionIds::new(index, steering.clone(), mark.clone())));
    config.max_udp_payload_size(limits::DATAGRAM_BYTES).map_err(io::Error::other)?;
    let socket = FilteringSocket::new(filter, runtime.wrap_udp_socket(socket)?);
    Endpoint::new_with_abstract_socket(config, Some(doors.quic.clone()), socket, runtime)
}

/// Publishes the size of the shard, and passes new policies to it.
async fn publish(lane: &Lane, context: &LaneContext, policy: &Published<Policy>) {
    let mut known: Option<Arc<Policy>> = None;
    let banned = Rc::new(Notify::new());
    let heard = banned.clone();
    lane.on_ban(move |_| heard.notify_one());
    let mut counted = lane.now().at;
    loop {
        let present = policy.hold();
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &present)) {
            lane.configure(present.settings.clone());
            known = Some(present);
        }
        context.counters().publish(lane.census(), lane.ban_count(), context.shedding().shed());
        if lane.now().at.since(counted) >= COUNT_CONVERSIONS_EVERY {
            counted = lane.now().at;
            context.counters().publish_conversions(lane.conversions());
        }
        // A new ban is published at once, its end at the next interval.
        let _either = tokio::time::timeout(PUBLISH_EVERY, banned.notified()).await;
    }
}

/// Pins this thread to one core. If the system refuses, the lane is slower but works.
fn pin(core: usize) {
    let mut cores = nix::sched::CpuSet::new();
    if cores.set(core).is_ok()
        && nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cores).is_err()
    {
        tracing::warn!(core, "could not pin the lane to its core; it runs unpinned");
    }
}
