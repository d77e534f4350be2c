//! A visit is as many datagrams as its two requests need: nobody looks for larger ones.
//!
//! That larger ones are heard all the same is Chromium's part (`outside_clients.rs`): it begins with 1,250 bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation in a test is the point")]

mod common;

use common::DevServer;
use common::phone::Phone;

#[tokio::test]
async fn neither_side_of_a_visit_looks_for_larger_datagrams() {
    let server = DevServer::start(&[]);
    let phone = Phone::connect(&server).await.with_key(server.text("secret_test_key"));
    let id = phone.issue("ada@mail.example.com").await;
    assert_eq!(phone.check(&id, "000000").await.body["valid"], true);
    let seen = phone.quic().connection.stats();
    assert_eq!(seen.path.current_mtu, 1_200);
    assert_eq!(seen.path.sent_plpmtud_probes, 0, "the phone's own");
    assert_eq!((seen.frame_rx.ping, seen.frame_rx.immediate_ack), (0, 0), "the server's");
    assert!(seen.udp_rx.datagrams <= 12, "{:?}", seen.udp_rx);
}
