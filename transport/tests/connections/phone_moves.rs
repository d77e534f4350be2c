//! A phone changes network in the middle of a sign-in: same connection, same lane, same verification.

use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, NO_LIMITS};

/// With plain `SO_REUSEPORT` a moved connection lands on another lane with probability 1 - 1/lanes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_changes_its_port_stays_on_its_lane() {
    for lanes in [1, 2, 8] {
        let shards = format!("engine.shards={lanes}");
        let settings: Vec<&str> = NO_LIMITS.iter().copied().chain([shards.as_str()]).collect();
        let server = DevServer::start(&settings);
        for n in 0..20 {
            let phone = Phone::connect(&server).await;
            let recipient = format!("moving{n}@example.com");
            let id = phone.issue(&recipient).await;
            let code = server.code_for(&recipient);
            let before = phone.quic().endpoint.local_addr().unwrap();
            phone.quic().endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
            assert_ne!(phone.quic().endpoint.local_addr().unwrap(), before);
            let heard = phone.check(&id, &code).await;
            assert_eq!(heard.body["valid"], true, "{lanes} lanes, phone {n}: {:?}", heard.body);
            assert!(phone.quic().connection.close_reason().is_none());
        }
    }
}
