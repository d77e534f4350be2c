//! Puts the parts together: lanes, delivery, doors. What `dev`, `demo` and `serve` have in common.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::actor::{self, LaneThread, Readiness};
use authepy_engine::perimeter::KeyBook;
use authepy_engine::recipient::Realm;
use authepy_engine::route::StartKeys;

use crate::config::{Config, ConfigFault, ProviderConfig};
use crate::control::Shared;
use crate::control::exposure::Exposed;
use crate::control::lookup::Miss;
use crate::control::policy::Policy;
use crate::control::reload::Reload;
use crate::control::store::{StoreFault, StoreUrl};
use crate::control::{Control, ControlFault, ControlHealth, ControlThread};
use crate::delivery::events::Events;
use crate::delivery::{Delivery, DeliveryLimits, DeliveryThread, Show};
use crate::ground::certificate::{Certificate, Identity};
use crate::ground::clock;
use crate::ground::drain::Drain;
use crate::ground::entropy::OsEntropy;
use crate::ground::published::Published;
use crate::limits;
use crate::metrics::Counters;
use crate::net::accept::{Bounds, Caps};
use crate::net::lane::{self, Doors};
use crate::net::socket::{self, IdMark, Steering};
use crate::net::tcp_socket;
use crate::net::tls::{self, Tickets};
use crate::process::descriptors;
use crate::serve::lanes::LanesShared;
use crate::serve::receipt::ReceiptKeys;

/// Why a start failed, by whose turn it is.
#[derive(Debug)]
pub enum StartFault {
    /// The operator's settings.
    Config(ConfigFault),
    /// The store does not answer.
    Store(StoreFault),
    /// The machine: a port in use, a file that can't be opened.
    Machine(&'static str, io::ErrorKind),
}

impl From<ConfigFault> for StartFault {
    fn from(fault: ConfigFault) -> Self {
        Self::Config(fault)
    }
}

impl From<ControlFault> for StartFault {
    fn from(fault: ControlFault) -> Self {
        match fault {
            ControlFault::Store(fault) => Self::Store(fault),
            ControlFault::Machine(what, kind) => Self::Machine(what, kind),
        }
    }
}

impl std::fmt::Display for StartFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(fault) => write!(f, "{fault}"),
            Self::Store(fault) => write!(f, "store.url: {fault}"),
            Self::Machine(what, kind) => write!(f, "{what}: {kind}"),
        }
    }
}

impl std::error::Error for StartFault {}

/// What a start needs besides the settings.
pub struct Plan {
    /// Settings.
    pub config: Config,
    /// Certificate and key.
    pub identity: Identity,
    /// Where keys and projects are kept.
    pub store: StoreUrl,
    /// The digest of an admin token that stands neither in the settings nor in the store.
    pub admin_token: Option<[u8; 32]>,
    /// Which domains exist.
    pub realm: Realm,
    /// Ways out for mail.
    pub delivery: Vec<ProviderConfig>,
    /// Shows what the outbox gets.
    pub show_mail: Option<Show>,
    /// How to read everything again; `None` where nothing came from files.
    pub reload: Option<Reload>,
}

/// A running server.
pub struct Server {
    /// HTTP/3 addresses, in the order of `listen`.
    pub h3: Vec<SocketAddr>,
    /// TCP addresses, in the order of `listen`.
    pub tcp: Vec<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
    drain: Drain,
    lanes: Vec<LaneThread>,
    control: ControlThread,
    delivery: DeliveryThread,
    readiness: Readiness,
    health: Arc<ControlHealth>,
}

impl Server {
    /// Binds, builds and starts everything. Returns once every lane listens.
    pub async fn start(plan: Plan) -> Result<Self, StartFault> {
        let config = &plan.config;
        // A weak one ends the start before anything is opened.
        let admin_token = plan.admin_token.or(config.admin_token()?);
        // Where it can't be raised, what there is has to do.
        let _unchanged = descriptors::raise();
        let (lanes, providers) = (config.lanes(), plan.delivery.len());
        let steering = Steering::draw(lanes);
        let (udp, tcp) = bind(&config.listen, &steering)?;
        let h3 = addresses(&udp, |socket| socket.local_addr())?;
        let tcp_addresses = addresses(&tcp, |listener| listener.local_addr())?;
        let drain = Drain::default();

        let start_keys = StartKeys::draw(&mut OsEntropy::default());
        let entropy = || -> actor::LaneEntropy { Box::new(OsEntropy::default()) };
        let (seats, teller, readiness) =
            actor::seats(lanes, &config.settings(), &start_keys, clock::now, entropy);
        let operator = teller.operator(start_keys.clone());
        let (events, poster) = Events::open(&config.events)?;
        let delivery = Delivery {
            providers: plan.delivery,
            teller,
            keys: start_keys,
            clock: clock::now,
            limits: DeliveryLimits::within(config.memory.ceiling.0),
            show: plan.show_mail,
            events: events.clone(),
            poster,
        };
        let (mail, delivery) = delivery.start().map_err(delivery_fault)?;

        let (keeper, misses) = flume::bounded(limits::MISSES_WAITING);
        let (exposed, reports) = flume::bounded(limits::EXPOSURES_WAITING);
        let reporting = Reporting { keeper, exposed };
        let shared = Shared {
            keys: Published::new(KeyBook::default()),
            policy: Published::new(Policy::of(config)?),
            mail,
            events,
            ceiling_bytes: config.memory.ceiling.0 as u64,
            drain: drain.clone(),
            readiness: readiness.clone(),
            control: Arc::default(),
        };
        let lanes_shared = lanes_shared(config, reporting, plan.realm, shared.clone())?;
        let counters: Vec<Arc<Counters>> = (0..lanes).map(|_| Arc::default()).collect();
        let reset = Arc::new(plan.identity.reset_secret(&host_name()));
        let certificate = Certificate::new(plan.identity)?;
        let control = Control {
            store: plan.store,
            listen: config.admin.listen,
            token: admin_token,
            keys: shared.keys.clone(),
            misses,
            exposed: reports,
            operator,
            shared: shared.clone(),
            counters: counters.clone(),
            health: Arc::default(),
            reload: plan.reload.map(|reload| (reload, certificate.clone())),
        };
        let control = control.start().await?;

        let (quic_tickets, tcp_tickets) = (tickets()?, tickets()?);
        let quic = tls::quic_config(&certificate, &quic_tickets, &config.connections)?;
        let tls = tls::tcp_config(&certificate, &tcp_tickets)?;
        let cores = cores_to_pin(config, lanes);
        let (started, starts) = flume::bounded(lanes);
        let mark = IdMark::default();
        let caps = Caps::new(&config.connections, descriptors::tcp_connections(config, providers));
        let doors = by_lane(udp, lanes).into_iter().zip(by_lane(tcp, lanes));
        let threads = seats.into_iter().zip(doors).zip(&counters).enumerate().map(
            |(index, ((seat, (udp, tcp)), counters))| {
                let core = cores.as_ref().and_then(|cores| cores.get(index).copied());
                let (quic, tls, caps) = (quic.clone(), tls.clone(), caps.clone());
                let (steering, mark) = (steering.clone(), mark.clone());
                let doors = Doors { udp, tcp, quic, reset: reset.clone(), tls, caps, steering, mark, core };
                lane::start(
                    seat,
                    doors,
                    lanes_shared.clone(),
                    Bounds::from(&config.connections),
                    counters.clone(),
                    started.clone(),
                )
            },
        );
        let threads: Vec<LaneThread> = threads.collect();
        for _ in 0..lanes {
            let result = starts.recv_async().await.unwrap_or(Err(io::ErrorKind::BrokenPipe.into()));
            result.map_err(|fault| StartFault::Machine("a lane's endpoint", fault.kind()))?;
        }
        let (admin, health) = (control.admin, shared.control.clone());
        let lanes = threads;
        Ok(Self { h3, tcp: tcp_addresses, admin, drain, lanes, control, delivery, readiness, health })
    }

    /// Whether every shard still answers, and mails still leave. Once false, only a restart helps, and nobody is
    /// told that this process is ready. The control plane is not asked for: without it live codes go on.
    pub fn is_healthy(&self) -> bool {
        if !self.control.is_running() {
            self.health.note_end();
        }
        if !self.delivery.is_running() {
            self.readiness.fail();
        }
        self.readiness.is_ready()
    }

    /// Stops gracefully: no new work, what runs finishes, queued mail goes out, within the deadline.
    pub async fn stop(self) {
        let for_mail = limits::DRAIN_DEADLINE - limits::DRAIN_WIPE;
        self.stop_within(limits::DRAIN_REQUESTS, for_mail).await;
    }

    /// The same in a hurry, for a process of which a part has failed.
    pub async fn stop_soon(self) {
        self.stop_within(limits::FAILED_DRAIN, limits::FAILED_DRAIN).await;
    }

    /// Both times are counted from now.
    async fn stop_within(self, for_requests: Duration, for_mail: Duration) {
        self.drain.begin();
        let began = tokio::time::Instant::now();
        while self.drain.open() > 0 && began.elapsed() < for_requests {
            tokio::time::sleep(limits::DRAIN_POLL).await;
        }
        let open = self.drain.open();
        let unsent = self.delivery.drain(for_mail.saturating_sub(began.elapsed())).await;
        if open > 0 || unsent > 0 {
            tracing::warn!(connections = open, mails = unsent, "not all was done in time for the end");
        }
        let control = self.control.stop();
        self.lanes.into_iter().for_each(LaneThread::stop);
        control.await;
    }
}

/// The lanes' ways to the control plane.
struct Reporting {
    keeper: flume::Sender<Miss>,
    exposed: flume::Sender<Exposed>,
}

fn lanes_shared(
    config: &Config,
    Reporting { keeper, exposed }: Reporting,
    realm: Realm,
    shared: Shared,
) -> Result<LanesShared, ConfigFault> {
    Ok(LanesShared {
        shared,
        keeper,
        exposed,
        receipts: Arc::new(ReceiptKeys::configured(&config.receipts)?),
        providers: Arc::new(config.providers()?),
        realm,
    })
}

/// Keys for TLS tickets, which are replaced as long as the process runs.
fn tickets() -> Result<Tickets, StartFault> {
    let tickets = Tickets::draw().ok_or(StartFault::Machine("TLS tickets", io::ErrorKind::Unsupported))?;
    tokio::spawn(tickets.clone().keep_rotating());
    Ok(tickets)
}

/// A misconfigured provider is the operator's; a thread that can't be had is the machine's.
fn delivery_fault(fault: io::Error) -> StartFault {
    match fault.kind() {
        io::ErrorKind::InvalidInput => ConfigFault(fault.to_string()).into(),
        kind => StartFault::Machine("the delivery thread", kind),
    }
}

type Sockets = (Vec<Vec<UdpSocket>>, Vec<Vec<TcpListener>>);

/// One socket per address and lane, UDP and TCP on the same port numbers. With several addresses on
/// port 0, all of them get the port the first one found.
fn bind(listen: &[SocketAddr], steering: &Steering) -> Result<Sockets, StartFault> {
    let picks_port = listen.iter().any(|address| address.port() == 0);
    let tries = if picks_port { limits::PORT_TRIES } else { 1 };
    let mut last = io::ErrorKind::AddrNotAvailable;
    for _ in 0..tries {
        match try_bind(listen, steering) {
            Ok(sockets) => return Ok(sockets),
            Err(fault) => last = fault.kind(),
        }
    }
    Err(StartFault::Machine("listen", last))
}

fn try_bind(listen: &[SocketAddr], steering: &Steering) -> io::Result<Sockets> {
    let (mut udp, mut tcp, mut picked) = (Vec::new(), Vec::new(), 0);
    for address in listen {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(picked);
        }
        let sockets = socket::bind_lanes(address, steering)?;
        let bound = sockets[0].local_addr()?;
        picked = bound.port();
        tcp.push(tcp_socket::bind_lanes(bound, steering.lanes())?);
        udp.push(sockets);
    }
    Ok((udp, tcp))
}

fn addresses<T>(
    sockets: &[Vec<T>],
    read: impl Fn(&T) -> io::Result<SocketAddr>,
) -> Result<Vec<SocketAddr>, StartFault> {
    let first = sockets.iter().filter_map(|of_address| of_address.first());
    let read: io::Result<Vec<SocketAddr>> = first.map(read).collect();
    read.map_err(|fault| StartFault::Machine("listen", fault.kind()))
}

/// From a list per address to a list per lane.
fn by_lane<T>(sockets: Vec<Vec<T>>, lanes: usize) -> Vec<Vec<T>> {
    let mut lists: Vec<Vec<T>> = (0..lanes).map(|_| Vec::new()).collect();
    for of_address in sockets {
        lists.iter_mut().zip(of_address).for_each(|(list, socket)| list.push(socket));
    }
    lists
}

/// As the kernel knows it; of one that hides it, the same each time.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

/// The cores to pin lanes to: only where each lane can have one of its own.
fn cores_to_pin(config: &Config, lanes: usize) -> Option<Vec<usize>> {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).ok()?;
    let cores: Vec<usize> =
        (0..nix::sched::CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false)).collect();
    (config.engine.pin && lanes > 1 && lanes <= cores.len()).then_some(cores)
}
