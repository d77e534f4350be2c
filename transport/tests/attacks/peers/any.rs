//! `limits.peer.any`: nothing that a peer may ask is outside every window (S16).

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{ask, limit_met, retry_after};
use authepy_testkit::peers::{PATIENCE, knock};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, tcp::try_connect};

const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 81, 1);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 81, 2);

#[tokio::test]
async fn two_thousand_cancellations_meet_the_default_limit() {
    let server = DevServer::start(&["engine.shards=2"]);
    let page = Phone::connect_from(&server, HOME).await.as_page(&server);
    let id = page.issue("ada@example.com").await;
    let path = format!("/v1/verifications/{id}");
    let mut met = [0; 2];
    for _ in 0..2_000 {
        let heard = page.send("DELETE", &path, None).await;
        met[match limit_met(&heard) {
            (204, "") => 0,
            (429, "peer") => 1,
            other => panic!("{other:?}"),
        }] += 1;
    }
    assert!(met[0] >= 600, "{met:?}");
    // The window moves on while a busy machine sends.
    assert!(met[0] < 1_300 && met[1] > 0, "{met:?}");
    assert_eq!(ask(&page, "bob@example.com").await.status, 202, "it is a window of its own");
    // A back end answers for nothing by its own address.
    let back_end = page.with_key(server.text("secret_key"));
    assert_eq!(back_end.send("DELETE", &path, None).await.status, 204);
}

#[tokio::test]
async fn open_pages_and_preflights_share_a_window_over_every_wire() {
    let server = DevServer::start(&["engine.shards=2", "limits.peer.any=8/1h", "bans.strikes=off"]);
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let phone = Phone::over_from(wire, &server, Ipv4Addr::new(127, 0, 82, 1 + n as u8)).await;
        let page = phone.as_page(&server);
        // Over TCP, the handshake has begun from an address that was proved.
        let begun = usize::from(wire != Wire::H3);
        for nth in begun..8 {
            let heard = match nth % 4 {
                0 => phone.with_key("").get("/healthz").await,
                1 => phone.get("/.well-known/jwks.json").await,
                2 => page.with_key("").send("OPTIONS", "/v1/verifications", None).await,
                _ => phone.with_key("").with("origin", "https://x.example").send("OPTIONS", "/", None).await,
            };
            assert!(heard.status.is_success(), "{wire:?} {nth}: {heard:?}");
        }
        for heard in [
            phone.get("/healthz").await,
            phone.get("/readyz").await,
            phone.get("/.well-known/jwks.json").await,
            page.with_key("").send("OPTIONS", "/v1/verifications", None).await,
            page.send("DELETE", "/v1/verifications/x", None).await,
        ] {
            assert_eq!(limit_met(&heard), (429, "peer"), "{wire:?}");
            assert!(retry_after(&heard) > 3_000, "{heard:?}");
        }
        assert_eq!(ask(&page, &format!("ada{n}@example.com")).await.status, 202, "{wire:?}");
    }
}

/// The first record of a TLS handshake, made by a client that never goes on; whether the server answered it.
async fn unfinished_hello(server: &DevServer, source: Ipv4Addr) -> (bool, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    let mut stream = socket.connect(server.tcp()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let tls = authepy_testkit::phone::tls_config(server, &["h2"]);
    let mut client = rustls::ClientConnection::new(tls.into(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    // It may be closed already.
    let _closed = stream.write_all(&hello).await;
    let read = timeout(PATIENCE, stream.read(&mut [0; 16])).await.expect("an answer, or the end");
    (read.is_ok_and(|length| length > 0), stream)
}

#[tokio::test]
async fn tls_hellos_that_are_never_finished_count_when_they_begin() {
    let server = DevServer::start(&[
        "engine.shards=2",
        "limits.peer.any=20/1m",
        "limits.peer.handshake=1000/1m",
        "bans.strikes=2/10m",
    ]);
    let (mut answered, mut open) = (0, Vec::new());
    for _ in 0..60 {
        let (is_answered, stream) = unfinished_hello(&server, HOME).await;
        answered += u32::from(is_answered);
        open.push(stream);
    }
    assert_eq!(answered, 20, "the others were closed before TLS");
    // The neighbour is served meanwhile, whichever way he comes.
    for wire in Wire::ALL {
        let neighbour = Phone::over_from(wire, &server, NEIGHBOUR).await.as_page(&server);
        assert_eq!(ask(&neighbour, &format!("{wire:?}@example.com")).await.status, 202);
    }
}

#[tokio::test]
async fn quic_handshakes_count_as_begun_only_where_a_token_proved_the_address() {
    let settings = ["engine.shards=2", "limits.peer.any=3/1h", "bans.strikes=off"];
    let free = DevServer::start(&settings);
    for _ in 0..8 {
        knock(&free, HOME).await.expect("nobody is charged for an address that he did not prove");
    }
    let retrying = DevServer::start(&[&settings[..], &["connections.retry_above=0"]].concat());
    for _ in 0..3 {
        knock(&retrying, HOME).await.expect("as many as the window has");
    }
    for _ in 0..3 {
        assert!(timeout(PATIENCE, knock(&retrying, HOME)).await.is_ok_and(|knocked| knocked.is_err()));
        assert!(
            timeout(Duration::from_secs(8), try_connect(&retrying, &["h2"], HOME)).await.unwrap().is_err()
        );
    }
    knock(&retrying, NEIGHBOUR).await.expect("another peer");
}
