//! Attack row A21f: two hundred people behind one IPv4 address, as in a school or behind a carrier's NAT.
//!
//! What the defaults do to them: 20 a minute and 100 an hour get their code, the others are told when to come
//! back. Nobody is banned for coming back too early once, and whoever has a code can use it. A project whose
//! people sit behind such addresses raises `limits.peer.issue` and `limits.peer.check`.

use std::net::Ipv4Addr;

use super::{ask, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::phone::{Heard, Phone};

const PEOPLE: usize = 200;

fn name(person: usize) -> String {
    format!("person{person}@example.com")
}

/// All of them ask at about the same time, each over a connection of a few.
async fn all_ask(server: &DevServer) -> (Phone, Vec<Heard>) {
    let page = Phone::connect_from(server, Ipv4Addr::new(127, 21, 0, 1)).await.as_page(server);
    let mut heard = Vec::with_capacity(PEOPLE);
    for person in 0..PEOPLE {
        heard.push(ask(&page, &name(person)).await);
    }
    (page, heard)
}

async fn signs_in(server: &DevServer, page: &Phone, person: usize, heard: &Heard) {
    let code = server.code_for(&name(person));
    let id = heard.body["id"].as_str().unwrap();
    let checked = page.check_of(&name(person), id, &code).await;
    assert_eq!(checked.body["valid"], true, "{person}: {:?}", checked.body);
}

#[tokio::test]
async fn of_two_hundred_behind_one_address_twenty_a_minute_get_their_code() {
    let server = DevServer::start(&["engine.shards=2"]);
    let (page, heard) = all_ask(&server).await;
    let (served, told): (Vec<_>, Vec<_>) =
        heard.iter().enumerate().partition(|(_, heard)| heard.status == 202);
    assert_eq!(served.len(), 20);
    for (person, heard) in told {
        assert_eq!(limit_met(heard), (429, "peer"), "{person}");
        assert!((1..=60).contains(&retry_after(heard)), "{person}");
    }
    for (person, heard) in served {
        signs_in(&server, &page, person, heard).await;
    }
}

#[tokio::test]
async fn with_limits_for_such_an_address_all_of_them_sign_in() {
    let server = DevServer::start(&[
        "engine.shards=2",
        r#"limits.peer.issue=["300/1m"]"#,
        r#"limits.peer.check=["600/1m"]"#,
        // They all have addresses at one domain, and ask before the first of them types his code.
        r#"limits.domain_peer.unverified=["300/10m"]"#,
    ]);
    let (page, heard) = all_ask(&server).await;
    for (person, heard) in heard.iter().enumerate() {
        assert_eq!(heard.status, 202, "{person}: {:?}", heard.body);
        signs_in(&server, &page, person, heard).await;
    }
}
