//! Connections on which no request is accepted: they end in time whatever they send, and go first where places are few.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{Connection, ConnectionError, Endpoint, TransportConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use authepy_testkit::peers::{EXCESSIVE_LOAD, knock};
use authepy_testkit::phone::{Phone, Wire, client_config};
use authepy_testkit::tcp::{Tls, try_connect};
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE};

const IDLE: Duration = Duration::from_secs(1);
/// A third of it, as everything here is done.
const OFTEN: Duration = Duration::from_millis(300);

fn server(settings: &[&str]) -> DevServer {
    DevServer::start(&[&NO_LIMITS[..], settings].concat())
}

fn impatient() -> DevServer {
    server(&["engine.shards=2", "connections.idle=1s", "connections.deadline=20s"])
}

/// A QUIC connection that sends a PING every 100 ms.
async fn pinging(server: &DevServer) -> (Endpoint, Connection) {
    let mut config = client_config(server);
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_millis(100)));
    config.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

/// How long `ends` takes; it must be the idle time, and not much more.
async fn ends_in_time(began: Instant, what: &str, ends: impl Future) {
    timeout(PATIENCE, ends).await.unwrap_or_else(|_| panic!("{what}: still there"));
    let lived = began.elapsed();
    assert!(lived >= IDLE * 9 / 10, "{what}: not before its time, {lived:?}");
    assert!(lived < IDLE * 6, "{what}: {lived:?}");
}

#[tokio::test]
async fn pings_keep_no_connection_without_a_request() {
    let server = impatient();
    let (_endpoint, silent) = pinging(&server).await;
    let (endpoint, connection) = pinging(&server).await;
    let served = Phone::on_quic(&server, endpoint, connection).await.with_key(server.text("secret_test_key"));
    let id = served.issue("ada@gmail.com").await;
    let began = Instant::now();
    ends_in_time(began, "QUIC pings", silent.closed()).await;
    assert!(
        matches!(silent.close_reason(), Some(ConnectionError::ApplicationClosed(_))),
        "told, not timed out"
    );
    // Whoever had a request accepted stays as long as packets come.
    sleep(IDLE * 3).await;
    assert!(served.quic().connection.close_reason().is_none());
    assert_eq!(served.check(&id, "000000").await.body["valid"], true);
    let stats = silent.stats();
    assert!(stats.frame_tx.ping >= 3, "it did ping: {}", stats.frame_tx.ping);
}

#[tokio::test]
async fn http2_pings_and_settings_keep_none() {
    let server = impatient();
    for frame in [&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8][..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]] {
        let began = Instant::now();
        let (mut read, mut write) =
            tokio::io::split(try_connect(&server, &["h2"], Ipv4Addr::LOCALHOST).await.unwrap());
        let pings = async {
            let _gone = write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
            while write.write_all(frame).await.is_ok() && write.flush().await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await
        };
        let ended = async { while let Ok(1..) = read.read(&mut [0; 512]).await {} };
        let either = async {
            tokio::select! { () = ended => {}, () = pings => {} }
        };
        ends_in_time(began, "frames", either).await;
    }
}

/// Sends requests that are not accepted, over and over; how many were answered before the connection ended.
async fn until_it_ends(
    server: &DevServer,
    wire: Wire,
    phone: &Phone,
    method: &'static str,
    path: &'static str,
) -> usize {
    let began = Instant::now();
    // The first request: from then on the server has counted the connection.
    phone.send(method, path, None).await;
    let (connections, mut answered) = (accepted(server), 0);
    // The client of these tests comes again by itself over HTTP/1.1: that shows as another connection.
    while wire != Wire::H1 || accepted(server) == connections {
        assert!(began.elapsed() < IDLE * 6, "{wire:?}: {method} {path} keeps it");
        let phone = phone.clone();
        let asked = tokio::spawn(async move { phone.send(method, path, None).await });
        match timeout(PATIENCE, asked).await.unwrap() {
            Ok(heard) => assert!([200, 401, 403].contains(&heard.status.as_u16()), "{:?}", heard.status),
            Err(_ended) => break,
        }
        answered += 1;
        sleep(OFTEN).await;
    }
    assert!(began.elapsed() >= IDLE * 9 / 10, "{wire:?}: {method} {path}: not before its time");
    answered
}

#[tokio::test]
async fn refused_requests_and_open_pages_keep_none() {
    let server = impatient();
    for wire in Wire::ALL {
        let stranger = Phone::over(wire, &server).await.with_key("rk_live_ath_nobody");
        assert!(until_it_ends(&server, wire, &stranger, "GET", "/v1/verifications/vrf_0").await >= 2);
        let page = Phone::over(wire, &server).await.with_key(server.text("restricted_key"));
        let page = page.with("origin", "https://elsewhere.com");
        assert!(until_it_ends(&server, wire, &page, "DELETE", "/v1/verifications/vrf_0").await >= 2);
        let probe = Phone::over(wire, &server).await;
        assert!(until_it_ends(&server, wire, &probe, "GET", "/healthz").await >= 2);
    }
}

fn accepted(server: &DevServer) -> u64 {
    server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}")
}

#[tokio::test]
async fn requests_that_are_accepted_keep_a_connection_beyond_its_time() {
    let server = impatient();
    for wire in [Wire::H3, Wire::H2] {
        let phone = Phone::over(wire, &server).await;
        for _ in 0..8 {
            // A 404, but past key and origin.
            assert_eq!(phone.check("vrf_0000000000000000000000", "000000").await.status, 404, "{wire:?}");
            sleep(OFTEN).await;
        }
    }
}

/// Asks something that is past key and origin: from then on the connection is in use.
async fn put_to_use(phone: &Phone) {
    assert_eq!(phone.check("vrf_0000000000000000000000", "000000").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_places_are_few_the_unused_go_and_the_used_stay() {
    let server = server(&["engine.shards=2", "connections.max=40", "connections.per_peer=40"]);
    let mut used = Vec::new();
    for n in 0..4 {
        let phone = Phone::connect_from(&server, Ipv4Addr::new(127, 8, 0, 1 + n)).await;
        put_to_use(&phone).await;
        used.push(phone);
    }
    // An attacker with few addresses fills the rest, over both protocols, and goes on and on.
    let mut held = Vec::new();
    let mut lines: Vec<Tls> = Vec::new();
    for n in 0..120u8 {
        let from = Ipv4Addr::new(127, 8, 1, 1 + n % 6);
        held.extend(knock(&server, from).await.ok());
        lines.extend(try_connect(&server, &["h2"], from).await.ok());
    }
    assert!(server.metric("authepy_connections") <= 40);
    for wire in Wire::ALL {
        let newcomer = Phone::over(wire, &server).await.with_key(server.text("secret_test_key"));
        let id = newcomer.issue(&format!("{wire:?}@gmail.com")).await;
        assert_eq!(newcomer.check(&id, "000000").await.body["valid"], true, "{wire:?}");
    }
    for phone in &used {
        put_to_use(phone).await;
    }
    let displaced = held.iter().filter_map(|one| one.connection.close_reason());
    let displaced: Vec<_> = displaced.collect();
    assert!(displaced.len() > 50, "{}", displaced.len());
    let by_word = |reason: &ConnectionError| matches!(reason, ConnectionError::ApplicationClosed(close) if close.error_code == EXCESSIVE_LOAD);
    assert!(displaced.iter().all(by_word), "{displaced:?}");
    server.log_says("make room for newcomers", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_displaces_its_own_before_anybody_elses() {
    let server = server(&["engine.shards=1", "connections.max=64", "connections.per_peer=8"]);
    let neighbour = knock(&server, Ipv4Addr::new(127, 8, 2, 1)).await.unwrap();
    let mut own = Vec::new();
    for _ in 0..20 {
        own.push(knock(&server, Ipv4Addr::new(127, 8, 2, 2)).await.expect("it displaces its oldest"));
    }
    let (gone, left): (Vec<_>, Vec<_>) =
        (0..).zip(&own).partition(|(_, one)| one.connection.close_reason().is_some());
    assert!((6..=8).contains(&left.len()), "{}", left.len());
    assert!(gone.iter().all(|(n, _)| *n < left[0].0), "the oldest first");
    assert!(neighbour.connection.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_are_in_use_newcomers_are_refused() {
    let server = server(&["engine.shards=1", "connections.max=6"]);
    let mut used = Vec::new();
    for n in 0..6 {
        let phone = Phone::connect_from(&server, Ipv4Addr::new(127, 8, 3, 1 + n)).await;
        put_to_use(&phone).await;
        used.push(phone);
    }
    assert!(knock(&server, Ipv4Addr::new(127, 8, 3, 99)).await.is_err());
    assert!(try_connect(&server, &["h2"], Ipv4Addr::new(127, 8, 3, 99)).await.is_err());
    for phone in &used {
        put_to_use(phone).await;
    }
}
