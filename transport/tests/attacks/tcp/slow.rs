//! Clients that take their time: with a request, with a handshake, with our answers, or with nothing.
//!
//! Where the deadline has to end it, the idle timeout is an hour, and the other way round.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frames::*;
use super::{PATIENCE, canary, until_closed};
use authepy_testkit::tcp;
use authepy_testkit::{DevServer, NO_LIMITS};

const DEADLINE: [&str; 2] = ["connections.deadline=1s", "connections.idle=1h"];
const IDLE: [&str; 2] = ["connections.deadline=1h", "connections.idle=1s"];
const DRIP: Duration = Duration::from_millis(100);

fn server(settings: &[&str]) -> DevServer {
    DevServer::start(&[&NO_LIMITS[..], settings].concat())
}

/// Sends these bytes one by one, over and over, until the connection breaks.
async fn drip(mut into: impl AsyncWrite + Unpin, first: &[u8], then: &[u8]) {
    let _broken = into.write_all(first).await;
    let _broken = into.flush().await;
    for byte in then.iter().cycle() {
        if into.write_all(&[*byte]).await.is_err() || into.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(DRIP).await;
    }
}

/// What the server sends while `then` drips in, until it closes the connection.
async fn dripped(server: &DevServer, protocol: &str, first: &[u8], then: &[u8]) -> Vec<u8> {
    let (mut read, write) = tokio::io::split(tcp::connect(server, &[protocol]).await);
    tokio::select! {
        heard = until_closed(&mut read) => heard,
        () = async { drip(write, first, then).await; std::future::pending().await } => unreachable!(),
    }
}

#[tokio::test]
async fn a_head_that_drips_ends_at_the_deadline() {
    let server = server(&DEADLINE);
    for first in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"] {
        let heard = dripped(&server, "http/1.1", first.as_bytes(), b"X-A: b\r\n").await;
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    }
    canary(&server, "head").await;
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_deadline() {
    let server = server(&DEADLINE);
    let key = server.text("secret_key");
    for (framing, then) in
        [("Content-Length: 8000", &b" "[..]), ("Transfer-Encoding: chunked", b"1\r\n \r\n")]
    {
        let head = format!(
            "POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n"
        );
        let heard = dripped(&server, "http/1.1", head.as_bytes(), then).await;
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    }
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
    canary(&server, "body").await;
}

#[tokio::test]
async fn an_h2_body_that_drips_ends_its_stream_and_not_the_connection() {
    let server = server(&DEADLINE);
    let key = format!("Bearer {}", server.text("secret_key"));
    let mut tls = open(&server, &[]).await;
    let fields = [("authorization", &*key), ("content-type", "application/json")];
    tls.write_all(&post(1, &fields)).await.unwrap();
    tls.write_all(&frame(DATA, 0, 1, b"{")).await.unwrap();
    let (.., stream, _) = read_kind(&mut tls, RST_STREAM).await.expect("the stream is reset");
    assert_eq!(stream, 1);
    tls.write_all(&get(3, "/healthz")).await.unwrap();
    let (.., stream, _) = read_kind(&mut tls, HEADERS).await.expect("the next is answered");
    assert_eq!(stream, 3);
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
}

#[tokio::test]
async fn nothing_after_the_handshake_ends_after_idle() {
    let server = server(&IDLE);
    for protocols in [&["http/1.1"][..], &["h2"], &[]] {
        let heard = until_closed(&mut tcp::connect(&server, protocols).await).await;
        assert!(!String::from_utf8_lossy(&heard).contains("HTTP/1.1"));
    }
    let heard = dripped(&server, "http/1.1", b"", b"\r\n").await;
    assert!(heard.is_empty(), "empty lines are nothing too");
    canary(&server, "nothing").await;
}

#[tokio::test]
async fn a_served_connection_without_a_further_request_ends_after_idle() {
    let server = server(&IDLE);
    let mut tls = tcp::connect(&server, &["http/1.1"]).await;
    tls.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let heard = String::from_utf8(until_closed(&mut tls).await).unwrap();
    assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}");

    let mut tls = open(&server, &[]).await;
    tls.write_all(&get(1, "/healthz")).await.unwrap();
    assert!(read_kind(&mut tls, HEADERS).await.is_some());
    assert!(read_kind(&mut tls, GOAWAY).await.is_some(), "told before it is closed");
    until_closed(&mut tls).await;
}

#[tokio::test]
async fn pings_keep_no_h2_connection_alive() {
    let server = server(&IDLE);
    let first = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat();
    dripped(&server, "h2", &first, &frame(PING, 0, 0, &[0; 8])).await;
    canary(&server, "ping").await;
}

#[tokio::test]
async fn a_header_block_in_many_pieces_keeps_no_h2_connection_alive() {
    let server = server(&DEADLINE);
    let block = block(&head("GET", "/healthz"));
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat();
    // A declared HEADERS frame whose payload drips, and CONTINUATION frames that drip.
    let declared = [&preface[..], &frame(HEADERS, END_HEADERS, 1, &[0; 4096])[..9]].concat();
    dripped(&server, "h2", &declared, &block).await;
    let begun = [&preface[..], &frame(HEADERS, 0, 1, &block)].concat();
    dripped(&server, "h2", &begun, &frame(CONTINUATION, 0, 1, b"")).await;
    canary(&server, "block").await;
}

#[tokio::test]
async fn a_peer_that_takes_no_answers_is_cut_off() {
    let server = server(&DEADLINE);
    let mut tls = tcp::connect(&server, &["http/1.1"]).await;
    let ask = async {
        let requests = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
        while tls.write_all(&requests).await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, ask).await.expect("writing fails once the server has closed");

    // SETTINGS_INITIAL_WINDOW_SIZE = 0: an answer's body never has room.
    let mut tls = open(&server, &[0, 4, 0, 0, 0, 0]).await;
    tls.write_all(&get(1, "/healthz")).await.unwrap();
    until_closed(&mut tls).await;
    canary(&server, "answers").await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_ends_at_the_deadline() {
    let server = server(&DEADLINE);
    // Nothing, and a record that promises a ClientHello of 512 bytes.
    for first in [&b""[..], &[22, 3, 1, 2, 0, 1, 0]] {
        let mut tcp = TcpStream::connect(server.tcp()).await.unwrap();
        tcp.write_all(first).await.unwrap();
        until_closed(&mut tcp).await;
    }
    let mut tcp = TcpStream::connect(server.tcp()).await.unwrap();
    let (mut read, write) = tcp.split();
    let (mut heard, record) = (Vec::new(), [22, 3, 1, 64, 0]);
    tokio::select! {
        read = tokio::time::timeout(PATIENCE, read.read_to_end(&mut heard)) => assert!(read.is_ok()),
        () = async { drip(write, &record, b"\x01").await; std::future::pending().await } => unreachable!(),
    }
    canary(&server, "handshake").await;
}
