//! A ban that the operator lifts: whoever it was about is served again, whichever way he comes.

use std::net::Ipv4Addr;
use std::pin::pin;

use tokio::time::timeout;

use super::{PATIENCE, told};
use authepy_testkit::DevServer;
use authepy_testkit::peers::{IDS, is_answered, knock};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::tcp::try_connect;

const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 5, 1);

/// Waits until every lane has heard of a ban, or of its end.
async fn await_answers(server: &DevServer, answered: bool) {
    let all_lanes = async {
        while IDS.clone().any(|id| is_answered(server, HOME, id) != answered) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_lanes).await.unwrap_or_else(|_| panic!("answered: {}", !answered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_ban_is_lifted_is_served_again_over_every_wire() {
    let server = DevServer::start(&["engine.shards=2"]);
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let before = Phone::over_from(wire, &server, HOME).await;
        let id = before.issue(&format!("ada{n}@example.com")).await;
        told(&server, &["ban", "add", &HOME.to_string(), "--for", "1h"]);
        await_answers(&server, false).await;
        let mut knocking = pin!(knock(&server, HOME));
        let still_out = async {
            // Long enough for the kernel to have been told as well.
            for _ in 0..10 {
                assert!(IDS.clone().all(|id| !is_answered(&server, HOME, id)));
                assert!(try_connect(&server, &["h2"], HOME).await.is_err());
            }
        };
        tokio::select! {
            knocked = &mut knocking => panic!("{:?}", knocked.map(|_| "let in").map_err(|fault| fault.to_string())),
            () = still_out => {}
        }
        assert_eq!(told(&server, &["ban", "remove", &HOME.to_string()])["state"], "lifted");
        await_answers(&server, true).await;
        // What was alive is known still, and the client that has been knocking all the time is let in.
        let after = Phone::over_from(wire, &server, HOME).await;
        let heard = after.check(&id, &server.code_for(&format!("ada{n}@example.com"))).await;
        assert_eq!(
            (heard.status.as_u16(), &heard.body["valid"]),
            (200, &true.into()),
            "{wire:?}: {:?}",
            heard.body
        );
        timeout(PATIENCE, knocking).await.expect("an answer").expect("the handshake it began then");
    }
}
