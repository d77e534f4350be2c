//! Peers that shook hands too often, seen from outside: what they and others notice.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use authepy_testkit::operator::admin;
use authepy_testkit::peers::{
    EXCESSIVE_LOAD, IDS, PATIENCE, Prober, Welcomed, is_answered, knock, knock_and_ask, knock_too_often,
    shown_out,
};
use authepy_testkit::tcp::try_connect;
use authepy_testkit::{DevServer, NO_LIMITS};
use quinn::ConnectionError;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const ADA: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 2);

/// Two lanes; a fourth handshake in ten minutes bans for an hour.
const STRICT: [&str; 4] =
    ["engine.shards=2", "limits.peer.handshake=3/10m", "bans.strikes=1/10m", "bans.first=1h"];

fn server(settings: &[&str]) -> DevServer {
    DevServer::start(&[&NO_LIMITS[..], settings].concat())
}

/// Waits until every lane has heard of a ban, or of its end.
async fn await_answers(server: &DevServer, source: Ipv4Addr, answered: bool) {
    let all_lanes = async {
        for id in IDS {
            while is_answered(server, source, id) != answered {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    timeout(PATIENCE, all_lanes).await.unwrap_or_else(|_| panic!("answered: {}", !answered));
}

async fn over_plain_tcp(server: &DevServer, source: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(server.tcp()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_peer_gets_no_byte_and_others_are_served() {
    let server = server(&STRICT);
    assert!(IDS.clone().all(|id| is_answered(&server, ADA, id)), "an ordinary stranger is answered");
    knock_too_often(&server, ADA).await;
    await_answers(&server, ADA, false).await;
    let prober = Prober::new(&server, ADA);
    (0..1_000).for_each(|n| prober.ask(n as u8 % IDS.end));
    assert!(IDS.clone().all(|id| !is_answered(&server, ADA, id)) && !prober.has_heard());
    // Not one byte of TLS has to be said for it: the server closes by itself. On every lane: the kernel
    // picks one by the port.
    for _ in 0..10 {
        let mut line = over_plain_tcp(&server, ADA).await;
        let read = timeout(PATIENCE, line.read(&mut [0; 16])).await.expect("closed");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    knock(&server, BOB).await.expect("the neighbour is served");
    try_connect(&server, &["h2"], BOB).await.expect("whichever way he comes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_connections_of_a_banned_peer_are_closed_on_every_lane() {
    let settings = ["engine.shards=2", "limits.peer.handshake=20/10m", "bans.strikes=1/10m", "bans.first=1h"];
    let server = server(&settings);
    let other = knock(&server, BOB).await.unwrap();
    let mut quic = Vec::new();
    let mut tcp = Vec::new();
    for _ in 0..8 {
        quic.push(knock(&server, ADA).await.unwrap());
        tcp.push(try_connect(&server, &["http/1.1"], ADA).await.unwrap());
    }
    knock_too_often(&server, ADA).await;
    for Welcomed { connection, .. } in &quic {
        shown_out(connection).await;
    }
    for line in &mut tcp {
        let read = timeout(PATIENCE, line.read(&mut [0; 16])).await.expect("closed");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert!(other.connection.close_reason().is_none());
}

/// Turns of its lane in which a connection must have been closed. The ban closes it in its own; another lane
/// hears of it in the next; and the connection's task has one more. Anything that waits for a timer, the
/// sweep's half second for one, comes hundreds of turns later.
const TURNS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_connections_are_closed_within_a_few_turns_of_the_ban() {
    let server = server(&["engine.shards=2"]);
    let connections = || server.metric("authepy_connections");
    for n in 0..10 {
        let source = Ipv4Addr::new(127, 0, 3, 10 + n);
        let other = knock(&server, BOB).await.unwrap();
        let mut quic = Vec::new();
        for _ in 0..6 {
            quic.push(knock(&server, source).await.unwrap());
        }
        let mut tcp = Vec::new();
        for _ in 0..6 {
            tcp.push(try_connect(&server, &["http/1.1"], source).await.unwrap());
        }
        while connections() != 13 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ban = json!({"peer": source.to_string(), "for": "1h"});
        assert_eq!(admin(&server, "POST", "/admin/v1/bans", Some(&ban)).0, 201);
        let mut turns = 0;
        while connections() != 1 {
            assert!(turns < TURNS, "{} of 12 are left", connections() - 1);
            // An answer is a turn of its lane, and two ids lead to both of them, or twice to one.
            assert!((0..2).all(|id| is_answered(&server, BOB, id)));
            turns += 1;
        }
        for Welcomed { connection, .. } in &quic {
            shown_out(connection).await;
        }
        for line in &mut tcp {
            let read = timeout(PATIENCE, line.read(&mut [0; 16])).await.expect("closed");
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        }
        assert!(other.connection.close_reason().is_none());
        drop(other);
        while connections() != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_ends_by_itself_and_not_before_its_time() {
    let settings = ["engine.shards=2", "limits.peer.handshake=3/1s", "bans.strikes=1/10m", "bans.first=2s"];
    let server = server(&settings);
    let started = Instant::now();
    let knocks = async {
        // As many at once as a second may see, and one more.
        while futures_util::future::join_all((0..4).map(|_| knock(&server, ADA)))
            .await
            .iter()
            .all(Result::is_ok)
        {}
    };
    timeout(PATIENCE, knocks).await.unwrap();
    await_answers(&server, ADA, true).await;
    // How late it may end is held to the millisecond where time is an argument: engine/tests/rules/peers.rs.
    assert!(started.elapsed() >= Duration::from_secs(2), "not before its time");
    knock(&server, ADA).await.expect("the window is clear as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshake_window_refuses_without_a_ban() {
    let settings = ["engine.shards=2", "limits.peer.handshake=3/10m", "bans.strikes=off"];
    let server = server(&settings);
    for _ in 0..3 {
        knock(&server, ADA).await.unwrap();
    }
    for _ in 0..3 {
        match knock(&server, ADA).await.err() {
            Some(ConnectionError::ApplicationClosed(close)) => assert_eq!(close.error_code, EXCESSIVE_LOAD),
            other => panic!("{other:?}"),
        }
        let mut line = try_connect(&server, &["http/1.1"], ADA).await.unwrap();
        let read = timeout(PATIENCE, line.read(&mut [0; 16])).await.expect("closed");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert!(IDS.clone().all(|id| is_answered(&server, ADA, id)));
    knock(&server, BOB).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peers_share_of_connections_holds_over_all_lanes() {
    let server = server(&["engine.shards=4", "connections.per_peer=5"]);
    let mut open = Vec::new();
    for _ in 0..40 {
        open.extend(knock_and_ask(&server, ADA).await.ok());
    }
    assert_eq!(open.len(), 5);
    assert!(open.iter().all(|welcomed| welcomed.connection.close_reason().is_none()));
    for _ in 0..8 {
        let mut line = over_plain_tcp(&server, ADA).await;
        let read = timeout(PATIENCE, line.read(&mut [0; 16])).await.expect("closed before TLS");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    knock(&server, BOB).await.expect("his own share");
    open.clear();
    let comes_back = async { while knock_and_ask(&server, ADA).await.is_err() {} };
    timeout(PATIENCE, comes_back).await.expect("a closed connection gives its place back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_in_all_hold_over_all_lanes() {
    let server = server(&["engine.shards=4", "connections.max=6"]);
    let mut open = Vec::new();
    for n in 0..30 {
        open.extend(knock_and_ask(&server, Ipv4Addr::new(127, 0, 4, n + 1)).await.ok());
    }
    assert_eq!(open.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_has_no_share_and_no_window() {
    let trusted = format!("proxy.trusted=[\"{ADA}\"]");
    let server = server(&[&STRICT[..], &["connections.per_peer=3", &trusted]].concat());
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(knock(&server, ADA).await.expect("it carries everybody"));
        try_connect(&server, &["h2"], ADA).await.unwrap();
    }
    knock_too_often(&server, BOB).await;
    await_answers(&server, BOB, false).await;
    assert!(IDS.clone().all(|id| is_answered(&server, ADA, id)));
    assert!(open.iter().all(|welcomed| welcomed.connection.close_reason().is_none()));
}
