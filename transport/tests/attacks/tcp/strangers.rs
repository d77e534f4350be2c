//! Clients of another protocol: turned away before a request is read, and nothing is upgraded.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frames::*;
use super::{canary, until_closed};
use authepy_testkit::tcp::{connect, try_connect};
use authepy_testkit::{DevServer, NO_LIMITS};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn only_protocols_of_this_door_pass_the_handshake() {
    let server = DevServer::start(&NO_LIMITS);
    for protocols in [&["h3"][..], &["h2c"], &["nonsense"], &["http/1.0", "spdy/3"], &["H2"]] {
        let refused = try_connect(&server, protocols, std::net::Ipv4Addr::LOCALHOST).await;
        assert!(refused.is_err(), "{protocols:?}");
    }
    assert_eq!(server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}"), 0);
    let agreed = connect(&server, &["h3", "http/1.1", "h2"]).await;
    assert_eq!(agreed.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "ours, in our order");
    canary(&server, "alpn").await;
}

#[tokio::test]
async fn the_protocol_agreed_on_is_the_one_that_is_spoken() {
    let server = DevServer::start(&NO_LIMITS);
    // HTTP/1.1 where h2 was agreed on; h2 where HTTP/1.1 was, or nothing.
    let mut tls = connect(&server, &["h2"]).await;
    tls.write_all(GET).await.unwrap();
    let heard = until_closed(&mut tls).await;
    assert!(!String::from_utf8_lossy(&heard).contains("HTTP/1.1"), "{heard:?}");
    for protocols in [&["http/1.1"][..], &[]] {
        let mut tls = connect(&server, protocols).await;
        let wire = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1, "/healthz")].concat();
        tls.write_all(&wire).await.unwrap();
        let heard = String::from_utf8(until_closed(&mut tls).await).unwrap();
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{heard}");
    }
    canary(&server, "agreed").await;
}

#[tokio::test]
async fn plain_text_gets_no_answer() {
    let server = DevServer::start(&NO_LIMITS);
    for plain in [GET, b"GET /\r\n", PREFACE, b"\0\0\0\0\0\0\0\0", b"EHLO localhost\r\n"] {
        let mut tcp = TcpStream::connect(server.tcp()).await.unwrap();
        tcp.write_all(plain).await.unwrap();
        tcp.shutdown().await.unwrap();
        let heard = until_closed(&mut tcp).await;
        // A TLS alert at most.
        assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
    }
    assert_eq!(server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}"), 0);
    canary(&server, "plain").await;
}

#[tokio::test]
async fn nothing_is_upgraded_to_h2c() {
    let server = DevServer::start(&NO_LIMITS);
    let mut tls = connect(&server, &["http/1.1"]).await;
    let upgrade = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    tls.write_all(&[upgrade.as_bytes(), PREFACE].concat()).await.unwrap();
    let heard = String::from_utf8(until_closed(&mut tls).await).unwrap();
    // The request is answered as what it is (RFC 9113 section 3.1), the preface is no further one.
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert!(!heard.contains("HTTP/1.1 101") && heard.matches("HTTP/1.1 200").count() == 1, "{heard}");
    canary(&server, "h2c").await;
}

#[tokio::test]
async fn malformed_h2_heads_never_reach_a_route() {
    let server = DevServer::start(&NO_LIMITS);
    let [method, scheme, authority, path] = head("GET", "/healthz");
    let with = |field| vec![method, scheme, authority, path, field];
    let malformed = [
        with(("host", "other.example")),
        with(("transfer-encoding", "chunked")),
        with(("connection", "close")),
        with(("te", "gzip")),
        with(("Upper", "x")),
        with(("crlf", "a\r\nb: c")),
        with((":path", "/readyz")),
        with(("content-length", "5")),
        vec![method, scheme, authority, path, ("authorization", "Bearer a"), ("authorization", "Bearer b")],
        vec![method, scheme, authority],
        vec![method, scheme, path],
        vec![("accept", "x"), method, scheme, authority, path],
        vec![method, scheme, (":authority", "user@localhost"), path],
        vec![method, scheme, authority, (":path", "healthz")],
        vec![method, scheme, authority, (":path", "https://localhost/healthz")],
        vec![(":method", "CONNECT"), authority, (":protocol", "websocket"), scheme, path],
    ];
    for fields in &malformed {
        let mut tls = open(&server, &[]).await;
        tls.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))).await.unwrap();
        let served = loop {
            match read(&mut tls).await {
                // 200 is index 8 of the static table.
                Some((HEADERS, .., block)) => break block.first() == Some(&0x88),
                Some((RST_STREAM | GOAWAY, ..)) | None => break false,
                Some(_) => {}
            }
        };
        assert!(!served, "{fields:?}");
    }
    assert_eq!(server.metric("authepy_requests_total{route=\"healthz\",outcome=\"ok\"}"), 0);
    canary(&server, "heads").await;
}
