//! Connection bounds count QUIC and TCP together; a refused TCP connection is closed before TLS.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::PATIENCE;
use authepy_testkit::peers::knock_and_ask;
use authepy_testkit::phone::{Phone, client_config};
use authepy_testkit::tcp::{Tls, try_connect};
use authepy_testkit::{DevServer, NO_LIMITS};

const ADA: Ipv4Addr = Ipv4Addr::LOCALHOST;
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn over_tcp(server: &DevServer, source: Ipv4Addr) -> std::io::Result<Tls> {
    try_connect(server, &["http/1.1"], source).await
}

/// A TCP connection on which a request was accepted: nobody displaces it.
async fn used_over_tcp(server: &DevServer, source: Ipv4Addr) -> std::io::Result<Tls> {
    let mut line = over_tcp(server, source).await?;
    let key = server.text("secret_key");
    let request = format!(
        "GET /v1/verifications/vrf_0000000000000000000000 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    line.write_all(request.as_bytes()).await?;
    let mut answer = [0; 4_096];
    let length = line.read(&mut answer).await?;
    assert!(answer[..length].starts_with(b"HTTP/1.1 404"), "past key and origin");
    Ok(line)
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
    let _quic = knock_and_ask(&server, ADA).await.unwrap();
    let first = used_over_tcp(&server, ADA).await.unwrap();
    let _second = used_over_tcp(&server, ADA).await.unwrap();
    let accepted = || server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}");
    assert_eq!(accepted(), 2);
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
    assert_eq!(phone.check("vrf_0000000000000000000000", "000000").await.status, 404);
    let _tcp = used_over_tcp(&server, ADA).await.unwrap();
    assert!(over_tcp(&server, BOB).await.is_err());
    assert!(!over_quic(&server).await);
    assert_eq!(phone.get("/healthz").await.status, 200, "those inside are served");
}
