//! Nobody is charged for what was sent in his name.
//!
//! The forger sees packets (his own connection's, copied by a relay) and sends them from the victim's
//! address; loopback lets him have any.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authepy_testkit::peers::{IDS, PATIENCE, is_answered, knock, knock_too_often, shown_out};
use authepy_testkit::phone::{Phone, client_config};
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::json;
use tokio::time::timeout;

const FORGER: Ipv4Addr = Ipv4Addr::new(127, 0, 5, 1);
const VICTIM: Ipv4Addr = Ipv4Addr::new(127, 0, 5, 2);

/// A fourth handshake bans for an hour.
const STRICT: [&str; 4] =
    ["engine.shards=2", "limits.peer.handshake=3/10m", "bans.strikes=1/10m", "bans.first=1h"];

fn server(settings: &[&str]) -> DevServer {
    DevServer::start(&[&NO_LIMITS[..], &STRICT, settings].concat())
}

/// The first datagrams of this many connections that a real client means to open.
async fn initials(server: &DevServer, count: usize) -> Vec<Vec<u8>> {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    sink.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(client_config(server));
    let mut caught = Vec::new();
    while caught.len() < count {
        let _connecting = endpoint.connect(sink.local_addr().unwrap(), "localhost").unwrap();
        let (mut datagram, mut ours) = (vec![0; 2_048], false);
        while !ours {
            tokio::task::yield_now().await;
            let length = sink.recv(&mut datagram).unwrap();
            // Not the close of the last one.
            ours = !caught.iter().rev().take(4).any(|seen: &Vec<u8>| seen[6..14] == datagram[6..14]);
            if ours {
                caught.push(datagram[..length].to_vec());
            }
        }
    }
    caught
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_initials_neither_strike_nor_shut_out_their_victim() {
    let server = server(&["connections.retry_above=20", "connections.per_peer=3"]);
    let initials = initials(&server, 1_000).await;
    // Each of them three times, from some of the victim's ports.
    let ports: Vec<_> = (0..10).map(|_| UdpSocket::bind((VICTIM, 0)).unwrap()).collect();
    for (n, initial) in initials.iter().cycle().take(3_000).enumerate() {
        ports[n % ports.len()].send_to(initial, server.h3()).unwrap();
    }
    let mut open = Vec::new();
    for _ in 0..3 {
        let knocking = timeout(PATIENCE, knock(&server, VICTIM)).await;
        open.push(knocking.expect("an answer").expect("the victim's own three handshakes"));
    }
    assert!(IDS.clone().all(|id| is_answered(&server, VICTIM, id)));
    let heard = ports.iter().map(|port| {
        port.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| port.recv(&mut [0; 2_048]).ok()).count()
    });
    assert!(heard.sum::<usize>() > 0, "the server took them for Initials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_gets_few_retries_and_its_neighbours_theirs() {
    let server = server(&["connections.retry_above=0"]);
    let initials = initials(&server, 1_000).await;
    let port = UdpSocket::bind((VICTIM, 0)).unwrap();
    let (started, h3) = (Instant::now(), server.h3());
    // As many at once as a lane's socket has room for; one that answers a later question has read what came before.
    for some in initials.chunks(200) {
        some.iter().for_each(|initial| assert!(port.send_to(initial, h3).is_ok()));
        assert!(IDS.clone().all(|id| is_answered(&server, VICTIM, id)));
    }
    port.set_nonblocking(true).unwrap();
    let retries = std::iter::from_fn(|| port.recv(&mut [0; 2_048]).ok()).count();
    // 32 a second on each lane, and a second that had begun.
    let most = 32 * 2 * (started.elapsed().as_secs() as usize + 2);
    assert!((1..=most).contains(&retries), "{retries} of {most}");
    knock(&server, VICTIM).await.expect("another port has its own Retries");
}

/// Carries datagrams between one client and the server, to which they come from the forger's address.
struct Relay {
    near: Arc<UdpSocket>,
    copies: flume::Receiver<Vec<u8>>,
}

/// Hands one datagram on.
type Pass = Box<dyn Fn(&[u8], SocketAddr) + Send>;

impl Relay {
    /// What goes to the server is sent there by `send`, and copied.
    fn start(server: SocketAddr, send: impl Fn(&UdpSocket, &[u8]) + Send + 'static) -> Self {
        let near = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let far = Arc::new(UdpSocket::bind((FORGER, 0)).unwrap());
        far.connect(server).unwrap();
        let (copy, copies) = flume::bounded(10_000);
        let client = Arc::new(std::sync::OnceLock::new());
        let (to_near, to_far, to_client) = (near.clone(), far.clone(), client.clone());
        let pump = move |socket: Arc<UdpSocket>, pass: Pass| {
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            std::thread::spawn(move || {
                let mut datagram = [0; 2_048];
                while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    pass(&datagram[..length], from);
                }
            });
        };
        let out = move |datagram: &[u8], from| {
            client.get_or_init(|| from);
            let _full = copy.try_send(datagram.to_vec());
            send(&to_far, datagram);
        };
        let back = move |datagram: &[u8], _| {
            let _gone = to_near.send_to(datagram, *to_client.get().unwrap());
        };
        pump(near.clone(), Box::new(out));
        pump(far, Box::new(back));
        Self { near, copies }
    }

    async fn connect(&self, server: &DevServer) -> (quinn::Endpoint, quinn::Connection) {
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(client_config(server));
        let address = self.near.local_addr().unwrap();
        let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
        (endpoint, connection)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_others_sent_from_an_address_charge_it_nothing() {
    let server = server(&[]);
    let victim = Arc::new(UdpSocket::bind((VICTIM, 0)).unwrap());
    let (h3, forged) = (server.h3(), victim.clone());
    // Every packet reaches the server from the victim's address first, the last of the handshake and the
    // first behind it included: quinn takes the connection for one that has moved there.
    let mut connections = Vec::new();
    for _ in 0..3 {
        let forged = forged.clone();
        let relay = Relay::start(h3, move |far, datagram| {
            let is_long = datagram[0] & 0x80 != 0;
            if !is_long {
                forged.send_to(datagram, h3).unwrap();
            }
            far.send(datagram).unwrap();
        });
        connections.push(relay.connect(&server).await);
        let copies: Vec<_> = relay.copies.drain().collect();
        for copy in copies.iter().cycle().take(1_000) {
            victim.send_to(copy, h3).unwrap();
        }
    }
    // The three handshakes were the forger's: a fourth from his address is too many, and none of the
    // victim's is.
    knock_too_often(&server, FORGER).await;
    // What the server sends on them goes where they seem to be, so it is asked itself.
    let closed = async {
        while server.metric("authepy_connections") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("the forger's connections are closed, wherever they seem to be");
    for _ in 0..3 {
        timeout(PATIENCE, knock(&server, VICTIM)).await.unwrap().expect("the victim is served");
    }
    assert!(IDS.clone().all(|id| is_answered(&server, VICTIM, id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denials_are_charged_to_who_shook_hands_wherever_their_packets_seem_to_come_from() {
    // A fourth denial in ten minutes bans.
    let server = server(&["limits.peer.denied=3/10m"]);
    let victim = Arc::new(UdpSocket::bind((VICTIM, 0)).unwrap());
    let (h3, forged) = (server.h3(), victim.clone());
    // As above: each packet behind the handshake first comes from the victim.
    let relay = Relay::start(h3, move |far, datagram| {
        if datagram[0] & 0x80 == 0 {
            forged.send_to(datagram, h3).unwrap();
        }
        far.send(datagram).unwrap();
    });
    let (endpoint, connection) = relay.connect(&server).await;
    let phone = Phone::on_quic(&server, endpoint, connection).await.with_key("rk_live_ath_wrong");
    // The answers go to the victim, who wants none, so nobody waits for them.
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let phone = phone.clone();
            tokio::spawn(async move { phone.get("/v1/x").await })
        })
        .collect();
    let banned = async {
        while is_answered(&server, FORGER, 0) || is_answered(&server, FORGER, 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, banned).await.expect("six wrong keys were the forger's");
    let denied = server.metric("authepy_refusals_total{reason=\"invalid_key\"}");
    assert_eq!(denied, 3, "the fourth was too many");
    let closed = async {
        while server.metric("authepy_connections") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("his connection is closed, wherever it seems to be");
    asking.into_iter().for_each(|one| one.abort());
    let copies: Vec<_> = relay.copies.drain().collect();
    // In parts that a lane's socket has room for.
    for _ in 0..10 {
        copies.iter().cycle().take(100).for_each(|copy| assert!(victim.send_to(copy, h3).is_ok()));
        assert!(IDS.clone().all(|id| is_answered(&server, VICTIM, id)));
    }
    // His whole window is left to him.
    let honest = Phone::connect_from(&server, VICTIM).await;
    let mistaken = honest.with_key("rk_live_ath_wrong");
    for _ in 0..3 {
        assert_eq!(mistaken.get("/v1/x").await.code(), (401, "invalid-key"));
    }
    assert_eq!(honest.post("/v1/verifications", &json!({"recipient": "ada@example.com"})).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_client_that_moves_stays_out() {
    let server = server(&[]);
    let (home, abroad) = (Ipv4Addr::new(127, 0, 5, 3), Ipv4Addr::new(127, 0, 5, 4));
    let moving = knock(&server, home).await.unwrap();
    moving.endpoint.rebind(UdpSocket::bind((abroad, 0)).unwrap()).unwrap();
    // The server has heard it from there: it allows more streams once these are closed.
    for _ in 0..100 {
        let (mut send, mut recv) = moving.connection.open_bi().await.unwrap();
        send.reset(0u32.into()).unwrap();
        let _refused = recv.read(&mut [0; 16]).await;
    }
    knock_too_often(&server, home).await;
    shown_out(&moving.connection).await;
    // Nor does it help to move once more.
    moving.endpoint.rebind(UdpSocket::bind((Ipv4Addr::new(127, 0, 5, 5), 0)).unwrap()).unwrap();
    assert!(moving.connection.open_bi().await.is_err());
    knock(&server, abroad).await.expect("where it went, others may be");
}
