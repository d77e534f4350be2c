//! Connection bounds count QUIC and TCP together; a refused TCP connection is closed before TLS.

use std::net::Ipv4Addr;

use super::PATIENCE;
use super::common::phone::{Phone, client_config, connect_from};
use super::common::tcp::{Tls, connect, try_connect};
use super::common::{DevServer, NO_LIMITS};

const ADA: Ipv4Addr = Ipv4Addr::LOCALHOST;
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn over_tcp(server: &DevServer, source: Ipv4Addr) -> std::io::Result<Tls> {
    try_connect(server, &["http/1.1"], source).await
}

/// Whether a QUIC connection from `127.0.0.1` is taken.
async fn over_quic(server: &DevServer) -> bool {
    let mut endpoint = quinn::Endpoint::client((ADA, 0).into()).unwrap();
    endpoint.set_default_client_config(client_config(server));
    endpoint.connect(server.h3(), "localhost").unwrap().await.is_ok()
}

#[tokio::test]
async fn a_peers_share_counts_both_protocols_and_comes_back() {
    let settings = ["engine.shards=1", "connections.per_peer=3"];
    let server = DevServer::start(&[&NO_LIMITS[..], &settings].concat());
    let (_endpoint, _quic) = connect_from(&server, ADA).await;
    let first = over_tcp(&server, ADA).await.unwrap();
    let _second = over_tcp(&server, ADA).await.unwrap();
    // A client's handshake is over a moment before the server's.
    let accepted = || server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}");
    let counted = async {
        while accepted() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    assert!(over_tcp(&server, ADA).await.is_err(), "three are this peer's share");
    assert!(!over_quic(&server).await, "whichever way it comes");
    assert_eq!(accepted(), 2, "refused before TLS");
    let _other = over_tcp(&server, BOB).await.expect("another peer has its own share");
    drop(first);
    let comes_back = async { while over_tcp(&server, ADA).await.is_err() {} };
    tokio::time::timeout(PATIENCE, comes_back).await.expect("a closed connection gives its place back");
}

#[tokio::test]
async fn connections_in_all_count_both_protocols() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=1", "connections.max=2"]].concat());
    let phone = Phone::connect(&server).await;
    let _tcp = connect(&server, &["h2"]).await;
    assert!(over_tcp(&server, BOB).await.is_err());
    assert!(!over_quic(&server).await);
    assert_eq!(phone.get("/healthz").await.status, 200, "those inside are served");
}
