//! HTTP/1.1 bytes that two readers could take for different messages: one answer at most, then the end,
//! and the request hidden in them never reaches a shard.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::{PATIENCE, canary, until_closed};
use authepy_testkit::tcp::{connect, try_connect};
use authepy_testkit::{DevServer, NO_LIMITS};

/// How the server has to take some bytes.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// 400 in our own words, then closed.
    Refused,
    /// 400 or nothing, by hyper, which gives it no body; then closed.
    Dropped,
    /// One answer to the one request that is there; what looks like another is its body.
    OneAnswer,
}
use Fate::{Dropped, OneAnswer, Refused};

/// Sends the bytes on a connection of their own; all that comes back until the server closes.
async fn answers(server: &DevServer, bytes: &str) -> String {
    let mut tls = connect(server, &["http/1.1"]).await;
    // The server may have closed in the middle of it.
    let _broken = tls.write_all(bytes.as_bytes()).await;
    let _broken = tls.flush().await;
    String::from_utf8(until_closed(&mut tls).await).unwrap()
}

fn assert_fate(fate: Fate, heard: &str, sent: &str) {
    let count = heard.matches("HTTP/1.1 ").count();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap_or((heard, ""));
    match fate {
        Refused => {
            assert!(heard.starts_with("HTTP/1.1 400 ") && count == 1, "{sent:?}: {heard}");
            assert!(body.contains("\"code\":\"malformed-http\""), "{sent:?}: {heard}");
            for field in ["connection: close", "alt-svc: h3", "strict-transport-security", "x-request-id"] {
                assert!(head.contains(field), "{field} in {head}");
            }
        }
        Dropped => {
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{sent:?}: {heard}");
            assert!(count <= 1 && body.is_empty(), "{sent:?}: {heard}");
        }
        OneAnswer => assert_eq!(count, 1, "{sent:?}: {heard}"),
    }
}

#[tokio::test]
async fn no_request_hides_in_another() {
    // Where the connection stays open after its answer, idle ends it soon.
    let server = DevServer::start(&[&NO_LIMITS[..], &["connections.idle=1s"]].concat());
    let key = server.text("secret_key");
    let body = r#"{"recipient":"smuggled@example.com"}"#;
    let hidden = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (length, hex) = (hidden.len(), format!("{:x}", hidden.len()));
    let post = "POST /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let te = "Transfer-Encoding: chunked\r\n";
    let attacks = [
        // CL.TE and TE.CL, either first.
        (Refused, format!("{post}Content-Length: 5\r\n{te}\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}Content-Length: {length}\r\n\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Content-Length: 4\r\n{te}\r\n{hex}\r\n{hidden}\r\n0\r\n\r\n")),
        // Disguised transfer codings.
        (Refused, format!("{post}Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n{hidden}")),
        // Two lengths, and lengths that are not numbers to everybody.
        (Refused, format!("{post}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}")),
        (Refused, format!("{post}Content-Length: 0, {length}\r\n\r\n{hidden}")),
        (Refused, format!("{post}Content-Length: +0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Content-Length: -0\r\n\r\n{hidden}")),
        (Refused, format!("{post}Content-Length: 0x0\r\n\r\n{hidden}")),
        // Line ends and folded lines.
        (Refused, format!("GET /healthz HTTP/1.1\nHost: localhost\n\n{hidden}")),
        (Refused, format!("{post}X: y\nContent-Length: {length}\r\n\r\n{hidden}")),
        (Refused, format!("{post}X: y\rContent-Length: 0\r\n\r\n{hidden}")),
        (Refused, format!("{post}X: y\r\n Content-Length: {length}\r\n\r\n{hidden}")),
        // Chunk sizes.
        (Refused, format!("{post}{te}\r\n0;\r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n1;x=\ny\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n0x0\r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n-1\r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n0 \r\n\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n0\n\n{hidden}")),
        (Refused, format!("{post}{te}\r\n10000000000000000\r\n{hidden}")),
        (Refused, format!("{post}{te}\r\n1\r\nxy\r\n0\r\n\r\n{hidden}")),
        // Whom and who is asking, twice.
        (Refused, format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n{hidden}")),
        (Refused, format!("{get}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n{hidden}")),
        (Refused, format!("GET https://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}")),
        (Refused, format!("GET /healthz HTTP/1.1\r\nHost: user@localhost\r\n\r\n{hidden}")),
        (Refused, format!("GET /healthz HTTP/1.1\r\n\r\n{hidden}")),
        (Refused, format!("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n{hidden}")),
        // What hyper refuses by itself.
        (Dropped, format!("GET /healthz\r\n\r\n{hidden}")),
        (Dropped, format!("GET /healthz HTTP/0.9\r\n\r\n{hidden}")),
        (Dropped, format!("GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n{hidden}")),
        (Dropped, format!("GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}")),
        (Dropped, format!("{get}X\u{7f}Y: z\r\n\r\n{hidden}")),
        (Dropped, format!("{get}: nameless\r\n\r\n{hidden}")),
        (Dropped, format!("{get}no colon\r\n\r\n{hidden}")),
        (Dropped, format!("{get}nul: a\0b\r\n\r\n{hidden}")),
        (Dropped, format!("POST /healthz HTTP/1.0\r\nHost: localhost\r\n{te}\r\n0\r\n\r\n{hidden}")),
        (Dropped, format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}")),
        // CL.0 and TE.0: a body is a body, also where nobody wants one.
        (OneAnswer, format!("{get}Content-Length: {length}\r\n\r\n{hidden}")),
        (OneAnswer, format!("{post}Content-Length: {length}\r\n\r\n{hidden}")),
        (OneAnswer, format!("{get}{te}\r\n{hex}\r\n{hidden}\r\n0\r\n\r\n")),
        (
            OneAnswer,
            format!("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n{te}\r\n{hex}\r\n{hidden}\r\n0\r\n\r\n"),
        ),
        (OneAnswer, format!("{get}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{hidden}")),
    ];
    for (fate, attack) in &attacks {
        assert_fate(*fate, &answers(&server, attack).await, attack);
        assert_eq!(server.metric("authepy_shard_messages_total"), 0, "{attack}");
    }
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0);
    canary(&server, "smuggling").await;
    // The hidden request is a good one: shown openly it is served, also behind another.
    let heard = answers(&server, &format!("{get}\r\n{hidden}")).await;
    assert!(heard.contains("HTTP/1.1 200 ") && heard.contains("HTTP/1.1 202 "), "{heard}");
}

/// hyper answers them by itself; the peer's window counts them all the same.
#[tokio::test]
async fn heads_that_hyper_refuses_count_against_their_peer() {
    let server = DevServer::start(&["limits.peer.denied=3/1h", "bans.strikes=1/1h"]);
    // Not from 127.0.0.1, which is never banned.
    let from_afar = async |bytes: &str| {
        let mut tls = try_connect(&server, &["http/1.1"], Ipv4Addr::new(127, 0, 81, 1)).await.unwrap();
        tls.write_all(bytes.as_bytes()).await.unwrap();
        String::from_utf8(until_closed(&mut tls).await).unwrap()
    };
    for head in
        ["GET / HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", "PROXY TCP4 a b 1 2\r\n\r\n", "get\r\n\r\n"]
    {
        let heard = from_afar(head).await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{head:?}: {heard}");
    }
    assert_eq!(server.metric("authepy_refusals_total{reason=\"malformed_http\"}"), 3);
    assert_eq!(server.metric("authepy_bans_active"), 0);
    let _one_more = from_afar("get\r\n\r\n").await;
    // The peer's shard hears of it after the answer.
    tokio::time::timeout(PATIENCE, async {
        while server.metric("authepy_bans_active") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the peer is banned");
}

#[tokio::test]
async fn too_long_a_head_ends_the_connection() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["connections.idle=1s"]].concat());
    let get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let many = "A: b\r\n".repeat(70);
    let sixteen = format!("A: {}\r\n", "b".repeat(17_000));
    let forty = format!("A: {}\r\n", "b".repeat(40_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(20_000));
    for (attack, ours) in [
        (format!("{get}{many}\r\n"), false),
        (format!("{get}{sixteen}\r\n"), true),
        // Whether hyper's buffer or our count is full first depends on how the bytes come in.
        (format!("{get}{forty}\r\n"), false),
        (target, true),
    ] {
        let heard = answers(&server, &attack).await;
        assert!(heard.starts_with("HTTP/1.1 431 ") && heard.matches("HTTP/1.1 ").count() == 1, "{heard}");
        assert!(heard.contains("\"code\":\"headers-too-large\"") || !ours, "{heard}");
    }
    canary(&server, "long").await;
}
