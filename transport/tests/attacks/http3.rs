//! Hostile HTTP/3 on raw QUIC streams (attack rows A40 to A45): refused, bounded, and nobody else notices.

use std::time::Duration;

use authepy_testkit::phone::{Phone, connect};
use authepy_testkit::raw::{HEAD, frame, headers, section};
use authepy_testkit::{DevServer, NO_LIMITS};
use quinn::{Connection, ConnectionError, VarInt};

const EXCESSIVE_LOAD: u64 = 0x107;
const FRAME_UNEXPECTED: u64 = 0x105;
const MESSAGE_ERROR: u64 = 0x10e;
/// How much more memory than when idle the server may hold under attack.
const ROOM_KIB: u64 = 64 << 10;

/// How a hostile stream ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The first bytes of an answer: a HEADERS frame.
    Answered,
    Reset(u64),
    Closed(u64),
}

async fn attack(connection: &Connection, bytes: &[u8], finish: bool) -> End {
    let Ok((mut send, mut recv)) = connection.open_bi().await else { return closed(connection).await };
    let _stopped = send.write_all(bytes).await;
    if finish {
        let _stopped = send.finish();
    }
    let mut first = [0; 1];
    match tokio::time::timeout(Duration::from_secs(20), recv.read_exact(&mut first)).await.unwrap() {
        Ok(()) => End::Answered,
        Err(quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code))) => End::Reset(code.into_inner()),
        Err(_) => closed(connection).await,
    }
}

async fn closed(connection: &Connection) -> End {
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => End::Closed(close.error_code.into_inner()),
        other => panic!("{other:?}"),
    }
}

/// An honest phone signs up beside the attack.
async fn canary(server: &DevServer, name: &str) {
    let phone = Phone::connect_with(server, server.text("secret_test_key")).await;
    let id = phone.issue(&format!("{name}@example.com")).await;
    assert_eq!(phone.check(&id, "000000").await.body["valid"], true);
}

#[tokio::test]
async fn a40_header_bombs_are_refused_and_the_connection_lives() {
    let server = DevServer::start(&NO_LIMITS);
    let (_endpoint, connection) = connect(&server).await;
    for count in [65, 24_576, 24_577, 25_000] {
        let bomb = headers(&[vec![0, 0], vec![0xdd; count]].concat());
        assert_eq!(attack(&connection, &bomb, true).await, End::Answered, "{count} fields: 431");
        assert_eq!(attack(&connection, &headers(&section(&HEAD)), true).await, End::Answered);
    }
    canary(&server, "a40").await;
}

#[tokio::test]
async fn a41_giant_frames_are_refused_by_their_declared_length() {
    let server = DevServer::start(&NO_LIMITS);
    canary(&server, "before").await;
    let idle = server.rss_kib();
    for kind in [0x01, 0x21, 0x04, 0x07] {
        let (_endpoint, connection) = connect(&server).await;
        let end = attack(&connection, &frame(kind, 1 << 40, &[0; 1024]), false).await;
        let refused = match kind {
            0x01 => end == End::Answered,
            0x21 => end == End::Reset(EXCESSIVE_LOAD),
            _ => end == End::Closed(FRAME_UNEXPECTED),
        };
        assert!(refused, "frame {kind:#x}: {end:?}");
    }
    let (_endpoint, connection) = connect(&server).await;
    let mut control = connection.open_uni().await.unwrap();
    control.write_all(&[vec![0], frame(4, 1 << 40, &[0; 64])].concat()).await.unwrap();
    assert!(matches!(closed(&connection).await, End::Closed(_)));
    canary(&server, "a41").await;
    assert!(server.rss_kib() <= idle + ROOM_KIB);
}

#[tokio::test]
async fn a42_resets_use_up_a_budget_and_then_the_connection() {
    let server = DevServer::start(&NO_LIMITS);
    let (_endpoint, connection) = connect(&server).await;
    let flood = async {
        loop {
            let Ok((mut send, _recv)) = connection.open_bi().await else { return };
            let _gone = send.write_all(&headers(&section(&HEAD))[..12]).await;
            let _gone = send.reset(VarInt::from_u32(0x10c));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), flood).await.expect("the connection ends");
    assert_eq!(closed(&connection).await, End::Closed(EXCESSIVE_LOAD));
    canary(&server, "a42").await;
}

#[tokio::test]
async fn a_request_that_is_cancelled_before_its_head_is_read_is_never_begun() {
    let server = DevServer::start(&NO_LIMITS);
    let (_endpoint, connection) = connect(&server).await;
    let key = format!("Bearer {}", server.text("secret_key"));
    let head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/v1/verifications"),
        ("authorization", &key),
        ("content-type", "application/json"),
    ];
    let head = headers(&section(&head));
    // Three of about 300 bytes, nothing awaited from the network in between: one datagram holds them and their
    // cancellation.
    let mut held = Vec::new();
    for n in 0..3 {
        let body = format!("{{\"recipient\":\"ada{n}@example.com\",\"purpose\":\"login\"}}");
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&[&head[..], &frame(0, body.len() as u64, body.as_bytes())].concat()).await.unwrap();
        send.finish().unwrap();
        recv.stop(VarInt::from_u32(0x10c)).unwrap();
        held.push((send, recv));
    }
    // By the same way, so it is behind them.
    assert_eq!(attack(&connection, &headers(&section(&HEAD)), true).await, End::Answered);
    canary(&server, "cancelled").await;
    assert_eq!(server.metric("authepy_shard_messages_total"), 0, "no inbox has heard of them");
}

#[tokio::test]
async fn a44_a_slow_request_ends_at_its_deadline() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["connections.deadline=1s"]].concat());
    let (_endpoint, connection) = connect(&server).await;
    let whole = headers(&section(&HEAD));
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let drip = async {
        for byte in &whole {
            if send.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let read = async { recv.read_to_end(1024).await };
    let (end, ()) = tokio::join!(read, drip);
    assert!(end.is_err(), "no answer, a reset");
    assert!(connection.close_reason().is_none(), "the connection may try again");
    canary(&server, "a44").await;
}

#[tokio::test]
async fn a45_malformed_requests_never_reach_a_route() {
    let server = DevServer::start(&NO_LIMITS);
    let with = |extra: &[(&'static str, &'static str)]| headers(&section(&[&HEAD[..], extra].concat()));
    let malformed = [
        with(&[(":path", "/healthz")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("connection", "close")]),
        with(&[("te", "gzip")]),
        with(&[("Upper", "x")]),
        with(&[("nul", "a\0b")]),
        with(&[("crlf", "a\r\nb: c")]),
        with(&[("", "empty")]),
        with(&[("content-length", "5"), ("content-length", "6")]),
        [with(&[("content-length", "5")]), frame(0, 50, &[b'x'; 50])].concat(),
        headers(&section(&HEAD[..3])),
        headers(&section(&[("accept", "x"), HEAD[0], HEAD[1], HEAD[2], HEAD[3]])),
        headers(&section(&[HEAD[0], HEAD[1], ("x:authority", "y"), HEAD[3]])),
        headers(&section(&[HEAD[0], HEAD[1], (":authority", "user@localhost"), HEAD[3]])),
        headers(&section(&[HEAD[0], HEAD[1], HEAD[2], (":path", "healthz")])),
        headers(&section(&[HEAD[0], HEAD[1], HEAD[2], (":path", "https://localhost/healthz")])),
    ];
    let (_endpoint, connection) = connect(&server).await;
    for (at, request) in malformed.iter().enumerate() {
        assert_eq!(attack(&connection, request, true).await, End::Reset(MESSAGE_ERROR), "request {at}");
    }
    canary(&server, "a45").await;
}
