//! The share of connections of a /64, a /56 and a /48, over real IPv6 in a network of the test's own.

use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use authepy_testkit::peers::{Welcomed, knock_and_ask};
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE};

/// Runs `test` on a thread with a network of its own, in which every address of 2001:db8::/32 is this machine's. What
/// it starts is in there with it.
fn in_a_network_of_ones_own(test: impl Future<Output = ()> + Send + 'static) {
    let apart = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("a network of one's own takes CAP_SYS_ADMIN: run this as root");
        for command in ["link set lo up", "-6 route add local 2001:db8::/32 dev lo"] {
            assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "{command}");
        }
        // Addresses of a route can be bound to like those of an interface.
        std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
    });
    if let Err(panic) = apart.join() {
        std::panic::resume_unwind(panic);
    }
}

fn server() -> DevServer {
    let mut arguments = vec!["dev", "--json", "--listen", "[::1]:0"];
    let settings = ["engine.shards=2", "connections.per_peer=10"];
    NO_LIMITS.iter().chain(&settings).for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run(&arguments)
}

/// How many connections from these addresses the server takes and keeps. On each a request is accepted, so that none is
/// displaced by the next.
async fn taken(server: &DevServer, from: impl Iterator<Item = Ipv6Addr>) -> Vec<Welcomed> {
    let mut taken = Vec::new();
    for address in from {
        taken.extend(knock_and_ask(server, address).await.ok());
    }
    taken
}

fn address(site: u16, line: u16, subnet: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, site, line << 8 | subnet, 0, 0, 0, host)
}

/// Whether a TCP connection from there is let as far as TLS.
async fn is_let_in(server: &DevServer, from: Ipv6Addr) -> bool {
    let socket = TcpSocket::new_v6().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(server.tcp()).await.unwrap();
    timeout(Duration::from_millis(500), stream.read(&mut [0; 1])).await.is_err()
}

#[test]
fn connections_of_ipv6_are_counted_by_64_by_56_and_by_48() {
    in_a_network_of_ones_own(async {
        let server = server();
        let of_64 = taken(&server, (0..14).map(|host| address(1, 0, 0, host))).await;
        assert_eq!(of_64.len(), 10, "connections.per_peer");
        let of_56 = taken(&server, (1..40).map(|subnet| address(1, 0, subnet, 1))).await;
        assert_eq!(of_64.len() + of_56.len(), 40, "four times that for a home line");
        assert!(!is_let_in(&server, address(1, 0, 99, 1)).await, "whichever way it comes");
        let of_48 = taken(&server, (0..130).map(|n| address(1, 1 + n / 38, n % 38, 1))).await;
        assert_eq!(40 + of_48.len(), 160, "sixteen times that for a site");
        assert!(!is_let_in(&server, address(1, 77, 1, 1)).await);
        // The next site is another peer.
        assert_eq!(taken(&server, (0..3).map(|host| address(2, 0, 0, host))).await.len(), 3);
        assert!(is_let_in(&server, address(3, 0, 0, 1)).await);
        for welcomed in of_64.iter().chain(&of_56).chain(&of_48) {
            assert!(welcomed.connection.close_reason().is_none(), "whoever is in use stays");
        }
        drop((of_64, of_56));
        let comes_back = async { while knock_and_ask(&server, address(1, 0, 0, 1)).await.is_err() {} };
        timeout(PATIENCE, comes_back).await.expect("places come back");
    });
}
