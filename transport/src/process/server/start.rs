//! The steps of a start, in their order: sockets, shards, delivery, control plane, lanes.
//!
//! Each step is given what the steps before it made. Nothing listens to callers until the last one.

use std::io;
use std::sync::Arc;

use authepy_engine::actor::{self, LaneThread, Readiness, Seat, Teller};
use authepy_engine::perimeter::KeyBook;
use authepy_engine::route::StartKeys;

use super::listeners::Listeners;
use super::{Plan, Server, StartFault};
use crate::config::{Config, ConfigFault, ProviderConfig};
use crate::control::policy::Policy;
use crate::control::{Control, Shared};
use crate::delivery::events::Events;
use crate::delivery::{Delivery, DeliveryLimits, DeliveryThread, MailQueue, Show};
use crate::ground::certificate::{Certificate, ResetSecret};
use crate::ground::clock;
use crate::ground::drain::Drain;
use crate::ground::entropy::OsEntropy;
use crate::ground::published::Published;
use crate::limits;
use crate::metrics::Counters;
use crate::net::accept::{Bounds, Caps};
use crate::net::lane::{self, Doors};
use crate::net::socket::IdMark;
use crate::net::tls::{self, Tickets};
use crate::process::descriptors;
use crate::serve::lanes::LanesShared;
use crate::serve::receipt::ReceiptKeys;

impl Server {
    /// Binds, builds and starts everything. Returns once every lane listens.
    ///
    /// # Errors
    /// The settings, the store or the machine don't allow it; nothing is left running.
    pub async fn start(plan: Plan) -> Result<Self, StartFault> {
        let config = &plan.config;
        // A weak token ends the start before anything is opened.
        let admin_token = plan.admin_token.or(config.admin_token()?);
        // Where the limit can't be raised, the present one has to do.
        let _unchanged = descriptors::raise();
        let (lanes, providers) = (config.lanes(), plan.delivery.len());
        let listeners = Listeners::bind(&config.listen, lanes)?;

        let Shards { seats, teller, readiness, keys } = Shards::of(config, lanes);
        let operator = teller.operator(keys.clone());
        let (mail, events, delivery) = deliver(config, plan.delivery, plan.show_mail, teller, keys)?;

        let shared = shared(config, mail, events, readiness)?;
        let (keeper, misses) = flume::bounded(limits::MISSES_WAITING);
        let (exposed, reports) = flume::bounded(limits::EXPOSURES_WAITING);
        let lanes_shared = LanesShared {
            shared: shared.clone(),
            keeper,
            exposed,
            receipts: Arc::new(ReceiptKeys::configured(&config.receipts)?),
            providers: Arc::new(config.providers()?),
            realm: plan.realm,
        };
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

        let (h3, tcp) = (listeners.h3.clone(), listeners.tcp.clone());
        let caps = Caps::new(&config.connections, descriptors::tcp_connections(config, providers));
        let doors = doors(config, listeners, &certificate, reset, caps)?;
        let lanes = start_lanes(config, seats.into_iter().zip(doors), &lanes_shared, &counters).await?;
        Ok(Self {
            h3,
            tcp,
            admin: control.admin,
            drain: shared.drain.clone(),
            lanes,
            control,
            delivery,
            readiness: shared.readiness.clone(),
            health: shared.control.clone(),
        })
    }
}

/// One seat for each lane, and the ways to the shards from elsewhere.
struct Shards {
    seats: Vec<Seat>,
    teller: Teller,
    readiness: Readiness,
    keys: StartKeys,
}

impl Shards {
    fn of(config: &Config, lanes: usize) -> Self {
        let keys = StartKeys::draw(&mut OsEntropy::default());
        let entropy = || -> actor::LaneEntropy { Box::new(OsEntropy::default()) };
        let (seats, teller, readiness) = actor::seats(lanes, &config.settings(), &keys, clock::now, entropy);
        Self { seats, teller, readiness, keys }
    }
}

/// Starts the delivery thread.
fn deliver(
    config: &Config,
    providers: Vec<ProviderConfig>,
    show: Option<Show>,
    teller: Teller,
    keys: StartKeys,
) -> Result<(MailQueue, Events, DeliveryThread), StartFault> {
    let (events, poster) = Events::open(&config.events)?;
    let delivery = Delivery {
        providers,
        teller,
        keys,
        clock: clock::now,
        limits: DeliveryLimits::within(config.memory.ceiling.0),
        show,
        events: events.clone(),
        poster,
    };
    let (mail, thread) = delivery.start().map_err(delivery_fault)?;
    Ok((mail, events, thread))
}

/// A misconfigured provider is for the operator to mend; a thread that can't be had is the machine's fault.
fn delivery_fault(fault: io::Error) -> StartFault {
    match fault.kind() {
        io::ErrorKind::InvalidInput => ConfigFault(fault.to_string()).into(),
        kind => StartFault::Machine("the delivery thread", kind),
    }
}

fn shared(
    config: &Config,
    mail: MailQueue,
    events: Events,
    readiness: Readiness,
) -> Result<Shared, ConfigFault> {
    Ok(Shared {
        keys: Published::new(KeyBook::default()),
        policy: Published::new(Policy::of(config)?),
        mail,
        events,
        ceiling_bytes: config.memory.ceiling.0 as u64,
        drain: Drain::default(),
        readiness,
        control: Arc::default(),
    })
}

/// The doors of each lane.
fn doors(
    config: &Config,
    listeners: Listeners,
    certificate: &Certificate,
    reset: Arc<ResetSecret>,
    caps: Arc<Caps>,
) -> Result<Vec<Doors>, StartFault> {
    let (quic_tickets, tcp_tickets) = (tickets()?, tickets()?);
    let quic = tls::quic_config(certificate, &quic_tickets, &config.connections)?;
    let tls = tls::tcp_config(certificate, &tcp_tickets)?;
    let (steering, mark) = (listeners.steering.clone(), IdMark::default());
    let cores = cores_to_pin(config, steering.lanes());
    let door = |(index, (udp, tcp))| Doors {
        udp,
        tcp,
        quic: quic.clone(),
        reset: reset.clone(),
        tls: tls.clone(),
        caps: caps.clone(),
        steering: steering.clone(),
        mark: mark.clone(),
        core: cores.as_ref().and_then(|cores| cores.get(index).copied()),
    };
    Ok(listeners.by_lane().enumerate().map(door).collect())
}

/// Keys for TLS tickets, which are replaced as long as the process runs.
fn tickets() -> Result<Tickets, StartFault> {
    let tickets = Tickets::draw().ok_or(StartFault::Machine("TLS tickets", io::ErrorKind::Unsupported))?;
    tokio::spawn(tickets.clone().keep_rotating());
    Ok(tickets)
}

/// Starts a thread for each lane, and waits until all of them listen.
async fn start_lanes(
    config: &Config,
    lanes: impl ExactSizeIterator<Item = (Seat, Doors)>,
    shared: &LanesShared,
    counters: &[Arc<Counters>],
) -> Result<Vec<LaneThread>, StartFault> {
    let (started, starts) = flume::bounded(lanes.len());
    let threads = lanes.zip(counters).map(|((seat, doors), counters)| {
        let bounds = Bounds::from(&config.connections);
        lane::start(seat, doors, shared.clone(), bounds, counters.clone(), started.clone())
    });
    let threads: Vec<LaneThread> = threads.collect();
    for _ in &threads {
        let result = starts.recv_async().await.unwrap_or(Err(io::ErrorKind::BrokenPipe.into()));
        result.map_err(|fault| StartFault::Machine("a lane's endpoint", fault.kind()))?;
    }
    Ok(threads)
}

/// The host's name as the kernel knows it; empty where it hides it, so the same at each start.
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
