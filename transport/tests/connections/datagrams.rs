//! A visit is as many datagrams as its two requests need: nobody looks for larger ones.
//!
//! That larger ones are heard all the same is Chromium's part (`outside_clients.rs`): it begins with 1,250 bytes.

use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

#[tokio::test]
async fn neither_side_of_a_visit_looks_for_larger_datagrams() {
    let server = DevServer::start(&[]);
    let mut quiet = 0;
    for visit in 0..10 {
        let phone = Phone::connect(&server).await.with_key(server.text("secret_test_key"));
        let id = phone.issue(&format!("ada{visit}@mail.example.com")).await;
        assert_eq!(phone.check(&id, "000000").await.body["valid"], true);
        let seen = phone.quic().connection.stats();
        assert_eq!((seen.path.current_mtu, seen.path.sent_plpmtud_probes), (1_200, 0), "the phone's own");
        // A search shows in every visit; on a busy machine a PING also asks whether something was lost.
        quiet += usize::from(seen.frame_rx.ping == 0 && seen.udp_rx.datagrams <= 12);
    }
    assert!(quiet > 0, "the server sent PINGs in each of ten visits");
}
