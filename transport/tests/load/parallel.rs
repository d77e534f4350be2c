//! A code works exactly once, whatever runs in parallel.

use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, NO_LIMITS};
use futures_util::future::join_all;

const CONNECTIONS: usize = 16;
const PARALLEL: usize = 64;

async fn phones(server: &DevServer) -> Vec<Phone> {
    let key = server.text("secret_test_key");
    join_all((0..CONNECTIONS).map(|_| Phone::connect_with(server, key))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_times_sixty_four_right_codes_are_a_thousand_successes() {
    let _turn = crate::turn().await;
    let settings: Vec<&str> = NO_LIMITS.iter().copied().chain(["engine.shards=4"]).collect();
    let server = DevServer::start(&settings);
    let phones = phones(&server).await;
    for round in 0..1_000 {
        let id = phones[round % CONNECTIONS].issue(&format!("round{round}@example.com")).await;
        let checks = (0..PARALLEL).map(|n| phones[n % CONNECTIONS].check(&id, "000000"));
        let heard = join_all(checks).await;
        let right = heard.iter().filter(|heard| heard.body["valid"] == true).count();
        let gone = heard.iter().filter(|heard| heard.code() == (404, "verification-not-found")).count();
        assert_eq!((right, gone), (1, PARALLEL - 1), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_parallel_wrong_codes_five_are_compared() {
    let _turn = crate::turn().await;
    let settings: Vec<&str> = NO_LIMITS.iter().copied().chain(["engine.shards=4"]).collect();
    let server = DevServer::start(&settings);
    let phones = phones(&server).await;
    for round in 0..50 {
        let id = phones[0].issue(&format!("guess{round}@example.com")).await;
        let heard = join_all((0..PARALLEL).map(|n| phones[n % CONNECTIONS].check(&id, "999999"))).await;
        let compared = heard.iter().filter(|heard| heard.body["valid"] == false).count();
        assert_eq!(compared, 5, "round {round}");
        assert_eq!(phones[0].check(&id, "000000").await.code(), (404, "verification-not-found"));
    }
}
