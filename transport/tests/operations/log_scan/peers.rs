//! How lines name peers: by the hash that events use, whatever the filter asks for and however a peer comes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Scan;
use authepy_testkit::operator::{admin, admin_bytes};
use authepy_testkit::peers::knock_too_often;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::json;

const ARGUMENTS: [&str; 4] = ["dev", "--json", "--listen", "[::]:0"];

/// A server on both families, with everything that a filter can ask for.
fn server(filter: &str) -> DevServer {
    let mut arguments = ARGUMENTS.to_vec();
    NO_LIMITS.iter().for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run_with(&[("RUST_LOG", filter)], &arguments)
}

/// What there is to hear of one phone on one wire: a request that is served, and one that is not.
async fn calls(server: &mut DevServer, wire: Wire, source: IpAddr, scan: &mut Scan) {
    let home = if source.is_ipv4() { "127.0.0.1" } else { "[::1]" };
    for member in ["h3", "tcp"] {
        let port = server.text(member).rsplit(':').next().unwrap().to_owned();
        server.ready[member] = json!(format!("{home}:{port}"));
    }
    let (phone, ports) = Phone::over_from_ports(wire, server, source).await;
    assert_eq!(phone.get("/readyz").await.status, 200);
    assert_eq!(phone.get("/v1/nothing").await.status, 404);
    phone.issue("ada@example.com").await;
    scan.peers.push((source, ports));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_filter_brings_an_address_into_the_log() {
    for filter in ["trace", "trace,quinn=trace,quinn_proto=trace,h2=trace,hyper=trace,rustls=trace", "=trace"]
    {
        let mut server = server(filter);
        let mut scan = Scan::default();
        for (nth, wire) in Wire::ALL.into_iter().enumerate() {
            let v4 = Ipv4Addr::new(127, 84, 42, 212 + nth as u8);
            calls(&mut server, wire, v4.into(), &mut scan).await;
            calls(&mut server, wire, Ipv6Addr::LOCALHOST.into(), &mut scan).await;
        }
        server.log_says("answered", 3 * 2 * 3);
        scan.log(&server);
        scan.finds_nothing(filter);
    }
}

/// A filter that says nothing of us leaves `log.level` in force, and says so; it brings nobody else in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_of_others_is_no_filter() {
    for (filter, told) in [
        ("quinn_proto=trace", "RUST_LOG is not a filter of this program's log"),
        ("quinn_proto=trace,warn", "libraries write nothing to this log: quinn_proto"),
        ("lou=d=er", "RUST_LOG is not a filter of this program's log"),
    ] {
        let server = server(filter);
        server.log_says(told, 1);
        Scan::default().log(&server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_and_wrong_tokens_are_told_by_the_hash_that_the_list_of_bans_shows() {
    let strict = ["limits.peer.handshake=3/10m", "bans.strikes=1/10m", "bans.first=1h", "log.level=trace"];
    let server = DevServer::start(&[&NO_LIMITS[..], &strict].concat());
    let (by_strikes, by_hand) = (Ipv4Addr::new(127, 85, 43, 213), Ipv4Addr::new(127, 85, 43, 214));
    knock_too_often(&server, by_strikes).await;
    let asked = json!({"peer": by_hand.to_string(), "for": "1h"});
    assert_eq!(admin(&server, "POST", "/admin/v1/bans", Some(&asked)).0, 201);
    let wrong = admin_bytes(&server, "GET", "/admin/v1/status", &[("Authorization", "Bearer wrong")], None);
    assert_eq!(wrong.status, 401);
    server.log_says("\"event\":\"peer.banned\"", 2);
    server.log_says("a request had a wrong admin token", 1);
    let bans = admin(&server, "GET", "/admin/v1/bans", None).1;
    let log = server.log();
    for peer in [by_strikes, by_hand] {
        let listed =
            bans["bans"].as_array().unwrap().iter().find(|ban| ban["peer"] == peer.to_string()).unwrap();
        let hash = listed["hash"].as_str().unwrap();
        assert!(hash.len() == 16 && log.contains(hash), "{bans}: {log}");
    }
    let unban = format!("/admin/v1/bans/{by_hand}");
    assert_eq!(admin(&server, "DELETE", &unban, None).0, 204);
    let mut scan = Scan::default();
    let peers = [by_strikes, by_hand, Ipv4Addr::LOCALHOST];
    scan.peers.extend(peers.map(|peer| (peer.into(), Default::default())));
    scan.log(&server);
    scan.finds_nothing("trace");
}
