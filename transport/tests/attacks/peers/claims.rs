//! What a project's secret key says of others: it counts for that project, and for nobody else (S3).

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{ask, ask_for};
use authepy_testkit::DevServer;
use authepy_testkit::operator::admin;
use authepy_testkit::phone::{Phone, Wire};

/// Where a tenant's back end is.
const BACK_END: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 1);
/// The proxy that all users come through.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 2);

/// A secret key of a project of its own.
fn mallorys_key(server: &DevServer) -> String {
    assert_eq!(admin(server, "POST", "/admin/v1/projects", Some(&json!({"name": "mallory"}))).0, 201);
    let asked = json!({"project": "mallory", "class": "secret"});
    let (status, key) = admin(server, "POST", "/admin/v1/keys", Some(&asked));
    assert_eq!(status, 201, "{key}");
    key["key"].as_str().unwrap().to_owned()
}

/// A hundred issues, every other one to nobody, for who is said to be at this address; the items' answers.
async fn batch(phone: &Phone, address: Ipv4Addr) -> Vec<Value> {
    let item = |n: u32| {
        let recipient = if n.is_multiple_of(2) { "nobody".into() } else { format!("m{n}@example.com") };
        json!({"recipient": recipient, "client": {"ip": address.to_string()}})
    };
    let heard = phone.post("/v1/verifications:batch", &(0..100).map(item).collect()).await;
    assert_eq!(heard.status, 200, "{:?}", heard.body);
    heard.body.as_array().unwrap().clone()
}

fn is_banned(item: &Value) -> bool {
    item["problem"]["code"] == "banned"
}

#[tokio::test]
async fn six_batches_that_name_a_back_end_and_the_proxy_cut_off_nobody() {
    // Two strikes, so that one minute is enough for a ban of what the batches say.
    let trusted = format!("proxy.trusted=[\"{PROXY}\"]");
    let server = DevServer::start(&["engine.shards=2", "bans.strikes=2/10m", &trusted]);
    let mallory = Phone::connect_from(&server, Ipv4Addr::new(127, 0, 66, 1)).await;
    let mallory = mallory.with_key(&mallorys_key(&server));
    let live = Phone::connect_from(&server, BACK_END).await;
    for address in [BACK_END, PROXY].repeat(3) {
        batch(&mallory, address).await;
    }
    assert!(batch(&mallory, BACK_END).await.iter().all(is_banned), "refused to the project that says it");
    assert!(!batch(&mallory, PROXY).await.iter().any(is_banned), "a trusted proxy is limited, never banned");
    assert_eq!(server.metric("authepy_bans_active"), 0);
    let (_, list) = admin(&server, "GET", "/admin/v1/bans", None);
    assert_eq!(list["total"], 0);

    // The back end is heard, on the connection it had and over every wire; so is the proxy, for all behind it.
    live.issue("before@example.com").await;
    for wire in Wire::ALL {
        let back_end = Phone::over_from(wire, &server, BACK_END).await;
        back_end.issue(&format!("{wire:?}@example.com")).await;
        let proxy = Phone::over_from(wire, &server, PROXY).await.as_page(&server);
        let user = proxy.passing_on(&format!("203.0.113.{}", wire as u8));
        assert_eq!(ask(&user, &format!("user{wire:?}@example.com")).await.status, 202, "{wire:?}");
        // Its own page, from the very address.
        let page = back_end.as_page(&server);
        assert_eq!(ask(&page, &format!("page{wire:?}@example.com")).await.status, 202, "{wire:?}");
    }
    // Other projects may name that address, too.
    let named = ask_for(&live, "named@example.com", &BACK_END.to_string()).await;
    assert_eq!(named.status, 202, "{:?}", named.body);

    // The operator's word lifts what nobody else sees.
    assert_eq!(admin(&server, "DELETE", &format!("/admin/v1/bans/{BACK_END}"), None).0, 204);
    assert!(!batch(&mallory, BACK_END).await.iter().any(is_banned));
}

#[tokio::test]
async fn what_a_peer_did_itself_bans_it_for_projects_that_name_it() {
    let server = DevServer::start(&["engine.shards=2", "bans.strikes=1/10m", "limits.peer.denied=2/1m"]);
    let villain = Phone::connect_from(&server, Ipv4Addr::new(127, 0, 66, 2)).await.with_key("");
    for _ in 0..2 {
        assert_eq!(villain.get("/v1/x").await.status, 401);
    }
    // The third is answered by the end of the connection.
    let quic = villain.quic().connection.clone();
    let _unanswered = tokio::spawn(async move { villain.get("/v1/x").await });
    authepy_testkit::peers::shown_out(&quic).await;
    let backend = Phone::connect(&server).await;
    for _ in 0..100 {
        if ask_for(&backend, "ada@example.com", "127.0.66.2").await.code() == (403, "banned") {
            assert_eq!(ask_for(&backend, "ada@example.com", "127.0.66.3").await.status, 202);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a banned peer is served through a project");
}
