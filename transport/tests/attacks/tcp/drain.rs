//! SIGTERM with requests under way over TCP: they are answered, told to go elsewhere, and closed.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::*;
use super::{PATIENCE, until_closed};
use authepy_testkit::tcp::connect;
use authepy_testkit::{DevServer, NO_LIMITS};

const BODY: &str = r#"{"recipient":"ada@example.com"}"#;

/// Begins the drain and waits until it has begun.
async fn begin_drain(server: &DevServer) {
    Command::new("kill").args(["-TERM", &server.process_id().to_string()]).status().unwrap();
    let begun = async {
        while server.admin("/readyz").0 != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_answered_with_connection_close() {
    let server = DevServer::start(&NO_LIMITS);
    let mut tls = connect(&server, &["http/1.1"]).await;
    let key = server.text("secret_test_key");
    let head = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    // The interim answer says that the request is being served.
    let mut interim = [0; 25];
    tls.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    begin_drain(&server).await;
    tls.write_all(BODY.as_bytes()).await.unwrap();
    let heard = String::from_utf8(until_closed(&mut tls).await).unwrap();
    assert!(heard.starts_with("HTTP/1.1 202 Accepted\r\n"), "{heard}");
    assert!(heard.contains("connection: close\r\n"), "{heard}");
    assert_eq!(server.end("-TERM"), Some(0));
}

#[tokio::test]
async fn an_h2_connection_hears_goaway_and_its_request_is_answered() {
    let server = DevServer::start(&NO_LIMITS);
    let key = format!("Bearer {}", server.text("secret_test_key"));
    let mut tls = open(&server, &[]).await;
    // An answered request proves that the other one, sent before it, is under way.
    let fields = [("authorization", &*key), ("content-type", "application/json")];
    tls.write_all(&[post(1, &fields), get(3, "/healthz")].concat()).await.unwrap();
    assert_eq!(read_kind(&mut tls, HEADERS).await.unwrap().2, 3);
    begin_drain(&server).await;
    assert!(read_kind(&mut tls, GOAWAY).await.is_some());
    tls.write_all(&frame(DATA, END_STREAM, 1, BODY.as_bytes())).await.unwrap();
    let (.., stream, block) = read_kind(&mut tls, HEADERS).await.expect("an answer");
    assert_eq!(stream, 1);
    // 202 is not in the static table: index 8 names the field, three digits follow, Huffman or not.
    assert!(matches!(block[0], 0x08 | 0x48), "{block:?}");
    assert_eq!(server.end("-TERM"), Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let server = DevServer::start(&NO_LIMITS);
    let mut silent = connect(&server, &["http/1.1"]).await;
    let mut mute = open(&server, &[]).await;
    mute.write_all(&get(1, "/healthz")).await.unwrap();
    assert!(read_kind(&mut mute, HEADERS).await.is_some());
    begin_drain(&server).await;
    assert!(until_closed(&mut silent).await.is_empty());
    // It never answers the PING that goes with GOAWAY.
    until_closed(&mut mute).await;
    assert_eq!(server.end("-TERM"), Some(0));
}
