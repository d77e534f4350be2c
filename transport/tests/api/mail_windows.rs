//! The windows of mails, from outside: of a project's inbox and of all projects' (finding S17), of a domain that is no
//! known mail provider's (S8), of a key's unanswered mails, and of a project.

use std::net::Ipv4Addr;

use authepy_testkit::DevServer;
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Heard, Phone, Wire};
use serde_json::json;

const ISSUE: &str = "/v1/verifications";

async fn issue(phone: &Phone, recipient: &str) -> Heard {
    phone.post(ISSUE, &json!({"recipient": recipient})).await
}

/// Which window refused, and that its wait is told.
fn policy(heard: &Heard) -> &str {
    assert_eq!(heard.code(), (429, "rate-limited"), "{:?}", heard.body);
    assert!(heard.header("retry-after").parse::<u64>().unwrap() >= 1);
    heard.body["policy"].as_str().unwrap()
}

/// A backend of a project of its own.
async fn tenant(server: &DevServer, phone: &Phone, project: &str) -> Phone {
    let store = format!("sqlite://{}", server.text("outbox").replace("outbox", "authepy.db"));
    let key = new_key(&store, project, &["--class", "secret"])["key"].as_str().unwrap().to_owned();
    phone.with_key(&key)
}

#[tokio::test]
async fn a_project_that_mails_an_inbox_neither_denies_it_to_another_nor_tells_of_it() {
    let server = DevServer::start(&[]);
    let phone = Phone::connect(&server).await;
    let mallory = tenant(&server, &phone, "mallory").await;
    for wire in [Wire::H3, Wire::H2, Wire::H1] {
        let line = Phone::over(wire, &server).await;
        let victim = format!("victim-{wire:?}@example.com");
        let mallory = line.with_key(&mallory.key);
        for _ in 0..5 {
            assert_eq!(issue(&mallory, &victim).await.status, 202);
        }
        assert_eq!(policy(&issue(&mallory, &victim).await), "recipient");
        // The tenant's own budget is whole.
        for mail in 0..5 {
            assert_eq!(issue(&line, &victim).await.status, 202, "{wire:?}: mail {mail}");
        }
        assert_eq!(policy(&issue(&line, &victim).await), "recipient");
        // What the owner of the inbox has to bear has a bound over all of them.
        let third = tenant(&server, &line, &format!("third-{wire:?}").to_lowercase()).await;
        for _ in 0..5 {
            assert_eq!(issue(&third, &victim).await.status, 202);
        }
        let fourth = tenant(&server, &line, &format!("fourth-{wire:?}").to_lowercase()).await;
        assert_eq!(policy(&issue(&fourth, &victim).await), "recipient", "15 in ten minutes are enough");
    }
}

#[tokio::test]
async fn a_sixth_live_code_of_an_inbox_is_longer_and_works() {
    let server = DevServer::start(&[]);
    let phone = Phone::connect(&server).await;
    let other = tenant(&server, &phone, "other").await;
    for _ in 0..5 {
        assert_eq!(issue(&phone, "ada@example.com").await.body["code_length"], 6);
    }
    let sixth = issue(&other, "ada@example.com").await;
    assert_eq!(sixth.body["code_length"], 8, "thirty comparisons of six digits would be open");
    let codes = server.codes_for("ada@example.com", 6);
    let code = codes.iter().find(|code| code.len() == 8).unwrap();
    let id = sixth.body["id"].as_str().unwrap();
    assert_eq!(other.check(id, code).await.body["valid"], true);
}

#[tokio::test]
async fn a_catch_all_domain_is_one_inbox_with_endless_names() {
    let server = DevServer::start(&["limits.domain.unverified=6/10m", "limits.domain_peer.unverified=4/10m"]);
    let names = |from: u8| {
        move |n: u8| format!("{}@{}victim-family.com", from + n, ["", "any.", "a.b."][usize::from(n) % 3])
    };
    let stranger = Phone::over_from(Wire::H3, &server, Ipv4Addr::new(127, 0, 60, 1)).await.as_page(&server);
    for name in (0..4).map(names(0)) {
        assert_eq!(issue(&stranger, &name).await.status, 202, "{name}");
    }
    assert_eq!(policy(&issue(&stranger, "new@victim-family.com").await), "domain", "its share");
    let next = Phone::over_from(Wire::H2, &server, Ipv4Addr::new(127, 0, 60, 2)).await.as_page(&server);
    for name in (0..2).map(names(10)) {
        assert_eq!(issue(&next, &name).await.status, 202, "{name}");
    }
    assert_eq!(policy(&issue(&next, "new@victim-family.com").await), "domain", "six in all");
    // Others are not held up: a domain beside it, a mail provider, a test key, which sends no mail.
    for name in ["ada@victim-families.com", "ada@gmail.com", "bob@gmail.com"] {
        assert_eq!(issue(&next, name).await.status, 202, "{name}");
    }
    let test = next.with_key(server.text("secret_test_key"));
    assert_eq!(issue(&test, "new@victim-family.com").await.status, 202);
}

#[tokio::test]
async fn a_campus_on_launch_day_gives_each_mail_back() {
    let server = DevServer::start(&["limits.domain.unverified=2/10m", "limits.domain_peer.unverified=2/10m"]);
    let home = Phone::over_from(Wire::H3, &server, Ipv4Addr::new(127, 0, 61, 1)).await.as_page(&server);
    let backend = Phone::connect(&server).await;
    for n in 0..8 {
        let student = format!("student{n}@campus-example.org");
        let issued = issue(&home, &student).await;
        assert_eq!(issued.status, 202, "{student}: {:?}", issued.body);
        let id = issued.body["id"].as_str().unwrap();
        let code = server.code_for(&student);
        // By the page, which names the address, or by a backend, which does not.
        let checked = match n % 2 {
            0 => home.check_of(&student, id, &code).await,
            _ => backend.check(id, &code).await,
        };
        assert_eq!(checked.body["valid"], true);
    }
    for n in 0..2 {
        assert_eq!(issue(&home, &format!("mute{n}@campus-example.org")).await.status, 202);
    }
    assert_eq!(policy(&issue(&home, "mute@campus-example.org").await), "domain");
}

#[tokio::test]
async fn refused_issues_count_in_no_window_of_mails() {
    let server = DevServer::start(&[
        "limits.recipient.issue=1/10m",
        "limits.domain.unverified=3/10m",
        "limits.key.unverified=4/10m",
        "limits.project.issue=5/10m",
    ]);
    let phone = Phone::connect(&server).await;
    let id = phone.issue("ada@example.com").await;
    for _ in 0..10 {
        assert_eq!(policy(&issue(&phone, "ada@example.com").await), "recipient");
    }
    for name in ["bob@example.com", "eve@example.com"] {
        assert_eq!(issue(&phone, name).await.status, 202, "{name}");
    }
    assert_eq!(policy(&issue(&phone, "dan@example.com").await), "domain");
    // Three mails of the key are unanswered; a fourth one at a provider, and no fifth.
    assert_eq!(issue(&phone, "dan@gmail.com").await.status, 202);
    assert_eq!(policy(&issue(&phone, "fay@gmail.com").await), "key");
    // A right code gives its mail back to the key and to the domain, and not to the project, which has one left.
    assert_eq!(phone.check(&id, &server.code_for("ada@example.com")).await.body["valid"], true);
    assert_eq!(issue(&phone, "gus@example.com").await.status, 202);
    assert_eq!(policy(&issue(&phone, "hal@gmail.com").await), "project", "five issues of the project");
}
