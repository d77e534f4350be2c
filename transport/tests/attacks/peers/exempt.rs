//! `bans.exempt`, and who is exempt without being named: limited like anybody, never banned (R38).

use std::net::Ipv4Addr;

use serde_json::json;

use super::{limit_met, until};
use authepy_testkit::DevServer;
use authepy_testkit::operator::admin;
use authepy_testkit::peers::{is_answered, shown_out};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::serve::Site;

/// A request that is one denial too many strikes, and a strike bans.
const STRICT: [&str; 3] = ["engine.shards=2", "limits.peer.denied=3/10m", "bans.strikes=1/10m"];

async fn keyless_from(server: &DevServer, wire: Wire, source: Ipv4Addr) -> Phone {
    Phone::over_from(wire, server, source).await.with_key("")
}

/// Breaks the window of denials by far; it is refused, and no more than that.
async fn is_only_limited(server: &DevServer, source: Ipv4Addr) {
    for wire in Wire::ALL {
        let phone = keyless_from(server, wire, source).await;
        for _ in 0..20 {
            let heard = phone.get("/v1/x").await;
            assert!(heard.status == 401 || limit_met(&heard) == (429, "peer"), "{source}: {heard:?}");
        }
        assert_eq!(limit_met(&phone.get("/v1/x").await), (429, "peer"));
        assert_eq!(phone.get("/healthz").await.status, 200, "{source} over {wire:?}");
    }
}

/// Breaks the window and is banned: its connection ends.
async fn is_banned(server: &DevServer, source: Ipv4Addr) {
    let phone = keyless_from(server, Wire::H3, source).await;
    for _ in 0..3 {
        assert_eq!(phone.get("/v1/x").await.status, 401);
    }
    let quic = phone.quic().connection.clone();
    let _unanswered = tokio::spawn(async move { phone.get("/v1/x").await });
    shown_out(&quic).await;
}

#[tokio::test]
async fn exempt_networks_and_this_host_are_limited_and_never_banned() {
    let exempt = r#"bans.exempt=["127.0.90.0/24", "2001:db8:9::7"]"#;
    let server = DevServer::start(&[&STRICT[..], &[exempt]].concat());
    is_only_limited(&server, Ipv4Addr::new(127, 0, 90, 77)).await;
    is_only_limited(&server, Ipv4Addr::LOCALHOST).await;
    is_banned(&server, Ipv4Addr::new(127, 0, 91, 1)).await;
    // By nobody's word, and the operator hears why.
    let peers = ["127.0.90.1", "127.0.0.1", "::ffff:127.0.0.1", "::1", "::/48", "2001:db8:9::/56"];
    for peer in peers {
        let (status, told) = admin(&server, "POST", "/admin/v1/bans", Some(&json!({"peer": peer})));
        assert_eq!((status, told["code"].as_str()), (422, Some("invalid-value")), "{peer}");
        assert!(told["detail"].as_str().unwrap().contains("bans.exempt"), "{told}");
    }
    for (peer, status) in [("127.0.0.2", 201), ("127.0.91.2", 201), ("2001:db8:9:1::/64", 201)] {
        assert_eq!(
            admin(&server, "POST", "/admin/v1/bans", Some(&json!({"peer": peer}))).0,
            status,
            "{peer}"
        );
    }
}

#[tokio::test]
async fn a_network_that_becomes_exempt_on_sighup_is_heard_again() {
    const LIMITS: &str =
        "engine.shards = 2\n[limits.peer]\ndenied = \"3/10m\"\n[bans]\nstrikes = \"1/10m\"\n";
    let folder = tempfile::TempDir::with_prefix("authepy-exempt-").unwrap();
    let store = Site::sqlite(&folder);
    let more = |exempt: &str| format!("{LIMITS}{exempt}{}", Site::outbox(&folder));
    let site = Site::new(&store, &more(""));
    let path = site.path("authepy.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let server = site.serve();
    let villain = Ipv4Addr::new(127, 0, 92, 1);
    let other = Ipv4Addr::new(127, 0, 92, 2);
    is_banned(&server, villain).await;
    is_banned(&server, other).await;
    let exempt = format!("exempt = [\"{villain}\"]\n");
    std::fs::write(&path, config.replace(&more(""), &more(&exempt))).unwrap();
    server.reload("the config was read again", 1);
    for _ in 0..2_000 {
        if (0..2).all(|lane| is_answered(&server, villain, lane)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let phone = keyless_from(&server, Wire::H3, villain).await;
    until(&phone, "/healthz", 200).await;
    assert_eq!(limit_met(&phone.get("/v1/x").await), (429, "peer"), "its windows are what they were");
    assert!((0..2).all(|lane| !is_answered(&server, other, lane)), "others stay banned");
}
