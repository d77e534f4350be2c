//! Against the real kernel, without user-space filtering: what is not received was dropped by the
//! kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use authepy_engine::actor::{self, LaneThread};
use authepy_engine::clock::Now;
use authepy_engine::request::{Ban, Command, Outcome};
use authepy_engine::route::StartKeys;
use authepy_engine::testing::{Seeded, as_shipped};

use super::*;
use crate::net::socket::{Steering, bind_lanes};

const PATIENCE: Duration = Duration::from_secs(20);
const ADA: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 1));
const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 2));

thread_local! {
    /// By how much a test has advanced the clock of this lane.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn clock() -> Now {
    let now = crate::ground::clock::now();
    Now { at: now.at.after(PASSED.get()), ..now }
}

thread_local! {
    /// Maps ids to lanes, for the lane that runs on this thread.
    static STEERING: RefCell<Option<Steering>> = const { RefCell::new(None) };
}

/// Runs `story` on each of these lanes, with its number and the filters of its sockets.
fn on_lanes<F: Future<Output = ()> + 'static>(
    listen: &[&str],
    lanes: usize,
    story: impl FnOnce(usize, Rc<KernelDrop>) -> F + Clone + Send + 'static,
) {
    let mut of_lane: Vec<Vec<UdpSocket>> = (0..lanes).map(|_| Vec::new()).collect();
    let steering = Steering::draw(lanes);
    for address in listen {
        let sockets = bind_lanes(address.parse().unwrap(), &steering).unwrap();
        of_lane.iter_mut().zip(sockets).for_each(|(list, socket)| {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            list.push(socket);
        });
    }
    actor::run(async move {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let entropy = || -> actor::LaneEntropy { Box::new(Seeded::new(2)) };
        let (seats, _teller, _readiness) = actor::seats(lanes, &as_shipped(), &keys, clock, entropy);
        let (done, all_done) = flume::bounded(lanes);
        let threads: Vec<LaneThread> = seats
            .into_iter()
            .zip(of_lane)
            .enumerate()
            .map(|(index, (seat, sockets))| {
                let (story, done) = (story.clone(), done.clone());
                let steering = steering.clone();
                seat.start(async move |lane: Lane| {
                    STEERING.set(Some(steering));
                    story(index, KernelDrop::new(&lane, sockets)).await;
                    done.send(()).unwrap();
                })
            })
            .collect();
        drop(done);
        for _ in 0..lanes {
            all_done.recv_async().await.expect("a story failed");
        }
        threads.into_iter().for_each(LaneThread::stop);
    });
}

/// A socket with this source address. The host has one IPv6 address, which is never banned; others
/// are bound with freebind.
fn sender(from: IpAddr) -> UdpSocket {
    let family = if from.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(family, socket2::Type::DGRAM, None).unwrap();
    if from.is_ipv6() {
        socket.set_freebind_v6(true).unwrap();
    }
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.into()
}

impl KernelDrop {
    async fn ban(&self, prefix: &str, seconds: u64) {
        let ban = Ban { prefix: prefix.parse().unwrap(), span: Some(Duration::from_secs(seconds)) };
        let route = self.lane.keys().prefix_route(&ban.prefix);
        assert!(matches!(self.lane.ask(route, Command::Ban(ban)).await, Outcome::Banned(_)));
    }

    async fn lift(&self, prefix: &str) {
        let prefix = prefix.parse().unwrap();
        let route = self.lane.keys().prefix_route(&prefix);
        assert!(matches!(self.lane.ask(route, Command::Unban(prefix)).await, Outcome::Unbanned { .. }));
    }

    /// Sends one datagram, steered to this lane, to one of its sockets; returns its content.
    fn send(&self, from: IpAddr, socket: usize) -> [u8; 9] {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let leads_here = |id: &[u8; 8]| {
            STEERING.with_borrow(|steering| steering.as_ref().unwrap().lane(id)) == Some(self.lane.index())
        };
        let mut ids = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let mut words = [0x40; 9];
        words[1..].copy_from_slice(&ids.find(leads_here).unwrap());
        let mut address = self.sockets[socket].local_addr().unwrap();
        if address.ip().is_unspecified() {
            let home_v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
            address.set_ip(if from.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { home_v6 });
        }
        let sender = sender(from);
        sender.send_to(&words, address).unwrap();
        words
    }

    fn arrives(&self, from: IpAddr, socket: usize) {
        let words = self.send(from, socket);
        let mut datagram = [0; 16];
        while self.sockets[socket].recv(&mut datagram).expect("it comes") != 9 || datagram[..9] != words {}
    }

    /// Whether a datagram is missing when one that was sent later has arrived.
    fn is_dropped(&self, from: IpAddr, socket: usize) -> bool {
        let (words, later) = (self.send(from, socket), self.send(BOB, socket));
        let mut datagram = [0; 16];
        loop {
            self.sockets[socket].recv(&mut datagram).expect("nobody is heard");
            match &datagram[..9] {
                seen if *seen == words => return false,
                seen if *seen == later => return true,
                _ => {}
            }
        }
    }
}

#[test]
fn the_datagrams_of_a_banned_peer_never_reach_the_socket_and_those_of_others_do() {
    on_lanes(&["127.0.0.1:0", "0.0.0.0:0", "[::]:0"], 1, async |_, kernel| {
        for socket in 0..3 {
            kernel.arrives(ADA, socket);
        }
        kernel.ban("127.0.9.1", 3_600).await;
        kernel.ban("2001:db8::/48", 3_600).await;
        kernel.renew();
        for socket in 0..3 {
            assert!(kernel.is_dropped(ADA, socket), "socket {socket}");
            for neighbour in [0, 2, 3, 129] {
                kernel.arrives(IpAddr::from([127, 0, 9, neighbour]), socket);
            }
        }
        // Datagrams of others are not lost: a thousand of them among ten thousand of a banned peer.
        for n in 0..1_000u16 {
            for _ in 0..10 {
                kernel.send(ADA, 0);
            }
            kernel.arrives(IpAddr::from([127, 0, 10, (n % 250) as u8 + 1]), 0);
        }
    });
}

#[test]
fn a_banned_ipv6_network_is_dropped_on_its_own_and_on_a_shared_socket() {
    on_lanes(&["[::1]:0", "[::]:0"], 1, async |_, kernel| {
        let home: IpAddr = "2001:db8:7:1::1".parse().unwrap();
        kernel.ban("2001:db8::/64", 3_600).await;
        kernel.renew();
        kernel.arrives(home, 0);
        kernel.arrives(home, 1);
        kernel.ban("2001:db8:7::/56", 3_600).await;
        kernel.renew();
        assert!(kernel.is_dropped(home, 1));
        kernel.arrives(ADA, 1);
        kernel.send(home, 0);
        kernel.lift("2001:db8:7::/56").await;
        kernel.arrives(home, 0);
        kernel.arrives(home, 1);
    });
}

#[test]
fn a_lifted_or_shortened_ban_is_heard_in_the_same_turn_on_every_lane() {
    let in_step = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    on_lanes(&["127.0.0.1:0"], 2, async move |index, kernel| {
        let (peer, foreign) =
            (format!("127.0.9.{}", 10 + index), IpAddr::from([127, 0, 9, 11 - index as u8]));
        let own: IpAddr = peer.parse().unwrap();
        // If one lane fails, the other ends too.
        let both = async || {
            tokio::time::timeout(PATIENCE, in_step.wait()).await.expect("both");
        };
        both().await;
        // Either ban may belong to the other lane; what matters is when this lane learns of it.
        let heard = async |peer: IpAddr, is_long: bool| {
            let network = peer.to_string().parse().unwrap();
            let lasts = || kernel.lane.ban_of(network).is_some_and(|ban| ban.until > later(60));
            while lasts() != is_long {
                tokio::task::yield_now().await;
            }
        };
        for milder in [0, 1] {
            kernel.ban(&peer, 3_600).await;
            heard(own, true).await;
            heard(foreign, true).await;
            kernel.renew();
            assert!(kernel.is_dropped(own, 0) && kernel.is_dropped(foreign, 0));
            both().await;
            match milder {
                0 => kernel.lift(&peer).await,
                _ => kernel.ban(&peer, 1).await,
            }
            heard(own, false).await;
            kernel.arrives(own, 0);
            heard(foreign, false).await;
            kernel.arrives(foreign, 0);
            both().await;
        }
    });
}

fn later(seconds: u64) -> Moment {
    clock().at.after(Duration::from_secs(seconds))
}

#[test]
fn a_ban_leaves_the_filter_before_it_ends_whoever_else_stays() {
    on_lanes(&["127.0.0.1:0"], 1, async |_, kernel| {
        kernel.ban("127.0.9.1", 100).await;
        kernel.ban("127.0.9.3", 2).await;
        kernel.ban("127.0.9.4", 3_600).await;
        let leaves = kernel.renew().expect("somebody is dropped");
        assert!(kernel.is_dropped(ADA, 0), "98 of its seconds");
        kernel.arrives(IpAddr::from([127, 0, 9, 3]), 0);
        PASSED.set(leaves.since(clock().at));
        let next = kernel.renew().expect("one of them stays");
        assert!(kernel.lane.is_banned(ADA), "it is the table's now");
        kernel.arrives(ADA, 0);
        assert!(kernel.is_dropped(IpAddr::from([127, 0, 9, 4]), 0));
        PASSED.set(PASSED.get() + next.since(clock().at));
        assert_eq!(kernel.renew(), None, "nobody is left");
        kernel.arrives(IpAddr::from([127, 0, 9, 4]), 0);
    });
}

#[test]
fn of_many_bans_the_newest_are_in_the_kernel() {
    on_lanes(&["127.0.0.1:0"], 1, async |_, kernel| {
        let peer = |n: usize| format!("127.1.{}.{}", n / 250, n % 250 + 1);
        for n in 0..KERNEL_BANS + 40 {
            kernel.ban(&peer(n), 3_600).await;
        }
        // A new end does not make a ban new; a new beginning does.
        kernel.ban(&peer(0), 7_200).await;
        kernel.lift(&peer(1)).await;
        kernel.ban(&peer(1), 3_600).await;
        kernel.renew();
        for n in 0..KERNEL_BANS + 40 {
            let is_new = n > 40 || n == 1;
            assert_eq!(kernel.is_dropped(peer(n).parse().unwrap(), 0), is_new, "{n}");
        }
        kernel.arrives(ADA, 0);
    });
}

#[test]
fn a_ban_that_newer_ones_pushed_out_comes_back_when_it_is_met() {
    on_lanes(&["127.0.0.1:0"], 1, async |_, kernel| {
        kernel.ban("127.0.9.1", 3_600).await;
        for n in 0..KERNEL_BANS {
            kernel.ban(&format!("127.1.{}.{}", n / 250, n % 250 + 1), 3_600).await;
        }
        kernel.renew();
        kernel.arrives(ADA, 0);
        kernel.met("127.0.9.1".parse().unwrap());
        kernel.renew();
        assert!(kernel.is_dropped(ADA, 0));
        // The oldest ban has left the filter, until a datagram of it arrives.
        kernel.arrives("127.1.0.1".parse().unwrap(), 0);
        assert!(kernel.is_dropped("127.1.0.2".parse().unwrap(), 0));
        // A network whose ban is over is not dropped, even if a datagram of it was reported.
        kernel.lift("127.0.9.1").await;
        kernel.met("127.0.9.1".parse().unwrap());
        kernel.renew();
        kernel.arrives(ADA, 0);
    });
}

#[test]
fn the_filters_follow_the_bans_by_themselves() {
    on_lanes(&["127.0.0.1:0", "127.0.0.1:0"], 1, async |_, kernel| {
        tokio::task::spawn_local(kernel.clone().run());
        for round in 0..3 {
            let peer = IpAddr::from([127, 0, 9, 20 + round]);
            kernel.ban(&peer.to_string(), 3_600).await;
            while !(kernel.is_dropped(peer, 0) && kernel.is_dropped(peer, 1)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        kernel.lift("127.0.9.20").await;
        kernel.arrives(IpAddr::from([127, 0, 9, 20]), 1);
        // The other bans return to the filter.
        while !kernel.is_dropped(IpAddr::from([127, 0, 9, 21]), 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        kernel.arrives(IpAddr::from([127, 0, 9, 20]), 0);
    });
}
