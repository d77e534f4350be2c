//! The machine gives little: 64 descriptors, or a gigabyte of addresses (A72).

use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use authepy_testkit::canary::Canary;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE};

fn confined(how: &str, settings: &[&str]) -> DevServer {
    let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0", "--set", "engine.shards=1"];
    NO_LIMITS.iter().chain(settings).for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run_under("prlimit", &[how], &arguments)
}

#[tokio::test]
async fn with_64_descriptors_phones_sign_up_and_mails_leave() {
    let server = confined("--nofile=64", &[]);
    server.log_says("too few file descriptors for the full reserve", 1);
    let canary = Canary::with_mail(&server, "few").await;
    // More than there are. Those in excess are closed, or displace one another; none takes what mail needs.
    let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(server.tcp()).unwrap()).collect();
    canary
        .beside(async {
            for wire in Wire::ALL {
                let phone = Phone::over(wire, &server).await;
                let address = format!("{wire:?}@gmail.com");
                let id = phone.issue(&address).await;
                assert_eq!(
                    phone.check(&id, &server.code_for(&address)).await.body["valid"],
                    true,
                    "{wire:?}"
                );
            }
        })
        .await;
    drop(crowd);
    assert_eq!(server.readiness(), Some(200));
    assert!(!server.log().contains("no TCP connection can be accepted"), "{}", server.log());
}

#[tokio::test]
async fn a_ceiling_below_what_the_machine_gives_is_met_before_it() {
    let server = confined("--as=1073741824", &["memory.ceiling=16MiB"]);
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let canary = Canary::without_mail(&server, server.text("secret_test_key"), "little").await;
    canary.sign_up().await;
    let (id, deadline) = (phone.issue("first@gmail.com").await, Instant::now() + PATIENCE);
    let mut n = 0;
    let refused = 'full: loop {
        assert!(Instant::now() < deadline, "{n} codes in 16 MiB");
        let spray = (n..n + 200).map(|n| {
            let (phone, address) = (phone.clone(), format!("user{n}@gmail.com"));
            async move { phone.post("/v1/verifications", &json!({"recipient": address})).await }
        });
        n += 200;
        for heard in futures_util::future::join_all(spray).await {
            match heard.code() {
                (202, _) => {}
                _ => break 'full heard,
            }
        }
    };
    assert_eq!(refused.code(), (503, "overloaded"), "after {n}");
    assert_eq!(phone.check(&id, "000000").await.body["valid"], true, "the first of them all");
    assert_eq!(server.readiness(), Some(200));
}
