//! The machine gives little: 64 descriptors, or a gigabyte of addresses (A72).

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::common::canary::Canary;
use super::common::phone::{Phone, Wire};
use super::common::{DevServer, NO_LIMITS, PATIENCE};

fn confined(how: &str, settings: &[&str]) -> DevServer {
    let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0", "--set", "engine.shards=1"];
    NO_LIMITS.iter().chain(settings).for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run_under("prlimit", &[how], &arguments)
}

#[tokio::test]
async fn out_of_descriptors_phones_sign_up_and_mails_leave_later() {
    let server = confined("--nofile=64", &[]);
    let canary = Canary::without_mail(&server, server.text("secret_test_key"), "few").await;
    let live = Phone::connect(&server).await;
    // More than there are; those in excess wait in the kernel.
    let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(server.tcp()).unwrap()).collect();
    let id = canary
        .beside(async {
            server.log_says("no TCP connection can be accepted", 1);
            // Its mail can't be written now: there is no descriptor for the file.
            let id = live.issue("ada@gmail.com").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(
                std::fs::read_dir(format!("{}/new", server.text("outbox"))).map_or(0, Iterator::count),
                0
            );
            id
        })
        .await;
    drop(crowd);
    let code = server.code_for("ada@gmail.com");
    assert_eq!(live.check(&id, &code).await.body["valid"], true);
    let late = Phone::over(Wire::H2, &server).await.with_key(server.text("secret_test_key"));
    let id = late.issue("late@gmail.com").await;
    assert_eq!(late.check(&id, "000000").await.body["valid"], true, "and TCP is back");
    let told = server.log().matches("no TCP connection can be accepted").count();
    assert_eq!(told, 1, "told once, not for each");
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
