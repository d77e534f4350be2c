//! A certificate that is replaced while serving: by its files, by SIGHUP, for QUIC and TCP alike.

use std::sync::Arc;
use std::time::Instant;

use authepy_testkit::client::{Quic, Tcp, trusting};
use authepy_testkit::folder::{Folder, Pair};
use authepy_testkit::{DevServer as Server, PATIENCE};
use rustls::ClientConfig;

const REPLACED: &str = "the certificate was replaced";
const KEPT: &str = "the one in use stays";

fn started(first: &Pair) -> (Folder, Server) {
    let folder = Folder::with_store();
    folder.install(first);
    folder.write("authepy.toml", &folder.config("limits.recipient.issue = \"off\""));
    let server = folder.serve();
    (folder, server)
}

fn clients(roots: &[&Pair]) -> [Arc<ClientConfig>; 2] {
    let roots: Vec<_> = roots.iter().map(|pair| pair.der.clone()).collect();
    [trusting(&roots, b"http/1.1"), trusting(&roots, b"h3")]
}

/// That new handshakes over both show this certificate.
async fn both_show(server: &Server, pair: &Pair) {
    let [tcp, quic] = clients(&[pair]);
    assert_eq!(Tcp::connect(server, &tcp).unwrap().shown(), pair.der);
    assert_eq!(Quic::connect(server, &quic).await.unwrap().shown(), pair.der);
}

async fn until_both_show(server: &Server, pair: &Pair) {
    let ([tcp, quic], began) = (clients(&[pair]), Instant::now());
    while Tcp::connect(server, &tcp).is_err() || Quic::connect(server, &quic).await.is_none() {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    both_show(server, pair).await;
}

#[tokio::test]
async fn new_handshakes_see_a_new_certificate_and_live_connections_do_not_notice() {
    let [first, second, third] = [Pair::make(), Pair::make(), Pair::make()];
    let (folder, server) = started(&first);
    both_show(&server, &first).await;
    let [tcp, quic] = clients(&[&first]);
    let (mut old_tcp, old_quic) =
        (Tcp::connect(&server, &tcp).unwrap(), Quic::connect(&server, &quic).await.unwrap());

    // Nobody tells the server.
    folder.install(&second);
    until_both_show(&server, &second).await;
    // A signal acts at once, on the next handshake after the log's word.
    let before = server.log().matches(REPLACED).count();
    folder.install(&third);
    server.reload(REPLACED, before + 1);
    both_show(&server, &third).await;

    assert_eq!(old_tcp.issue("ada@gmail.com", &[]).0, 202);
    assert_eq!(old_quic.issue("ada@gmail.com", &[]).await.0, 202);
    let [tcp, quic] = clients(&[&first]);
    assert!(Tcp::connect(&server, &tcp).is_err(), "the first one is gone");
    assert!(Quic::connect(&server, &quic).await.is_none());
}

#[tokio::test]
async fn a_pair_that_can_not_be_used_leaves_the_old_one_serving() {
    let [first, other] = [Pair::make(), Pair::make()];
    let (folder, server) = started(&first);
    let half = |text: &str| text[..text.len() / 2].to_owned();
    for (time, (chain, key)) in [
        (other.chain.clone(), first.key.clone()),
        (half(&other.chain), other.key.clone()),
        (other.chain.clone(), half(&other.key)),
        (String::new(), other.key.clone()),
        (other.chain.clone(), String::new()),
        ("garbage\0".into(), "garbage\0".into()),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), other.key.clone()),
        (
            format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", other.chain),
            other.key.clone(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        // Two renames: with bad luck the watch looks in between and tells of that pair as well.
        folder.write("cert.pem", &chain);
        folder.write("key.pem", &key);
        server.reload(KEPT, time + 1);
        both_show(&server, &first).await;
    }
    std::fs::remove_file(folder.path("cert.pem")).unwrap();
    server.reload(KEPT, 9);
    both_show(&server, &first).await;
    assert!(!server.log().contains(REPLACED), "{}", server.log());
    for secret in other.key.lines().chain(first.key.lines()) {
        assert!(!server.log().contains(secret), "key material in the log");
    }
    folder.install(&other);
    until_both_show(&server, &other).await;
}

#[tokio::test]
async fn sessions_are_resumed_across_a_new_certificate() {
    let [first, second] = [Pair::make(), Pair::make()];
    let (folder, server) = started(&first);
    // These trust the first certificate only: with the second one, they get in by resumption alone.
    let [tcp, quic] = clients(&[&first]);
    let mut phone = Tcp::connect(&server, &tcp).unwrap();
    assert!(!phone.was_resumed());
    // The ticket comes before the answer.
    assert_eq!(phone.issue("ada@gmail.com", &[]).0, 202);
    assert_eq!(Quic::connect(&server, &quic).await.unwrap().issue("ada@gmail.com", &[]).await.0, 202);

    folder.install(&second);
    until_both_show(&server, &second).await;
    let mut resumed = Tcp::connect(&server, &tcp).unwrap();
    assert!(resumed.was_resumed());
    assert_eq!(resumed.issue("ada@gmail.com", &[]).0, 202);
    let resumed = Quic::connect(&server, &quic).await.unwrap();
    assert_eq!(resumed.issue("ada@gmail.com", &[]).await.0, 202);
    let [tcp, quic] = clients(&[&first]);
    assert!(Tcp::connect(&server, &tcp).is_err(), "without a ticket the new certificate is not trusted");
    assert!(Quic::connect(&server, &quic).await.is_none());
}
