//! A table full of struck peers refuses no newcomer (S5).

use std::net::Ipv4Addr;

use futures_util::StreamExt;
use futures_util::stream;

use super::{ask, limit_met};
use authepy_testkit::DevServer;
use authepy_testkit::phone::{Phone, Wire};

/// More than the table has places for: the peers' part of 16 MiB is below 6,000.
const PEERS: u32 = 9_000;

#[tokio::test]
async fn thousands_of_struck_peers_refuse_no_fresh_one() {
    let proxy = Ipv4Addr::new(127, 0, 93, 1);
    let trusted = format!("proxy.trusted=[\"{proxy}\"]");
    let server =
        DevServer::start(&["engine.shards=2", "memory.ceiling=16MiB", "limits.peer.denied=1/10m", &trusted]);
    // Thousands of addresses, each refused twice without a key: the second time is a strike.
    let crowd = Phone::connect_from(&server, proxy).await.with_key("");
    let strike = async |n: u32| {
        let peer = crowd.passing_on(&Ipv4Addr::from(0x0a00_0000 | n).to_string());
        assert_eq!(peer.get("/v1/x").await.status, 401, "{n}");
        assert_eq!(limit_met(&peer.get("/v1/x").await), (429, "peer"), "{n}");
    };
    stream::iter(0..PEERS).map(strike).buffer_unordered(32).collect::<()>().await;
    // Addresses that were never seen, by themselves and over every wire: 40 of 40.
    for n in 0..40 {
        let wire = Wire::ALL[n % 3];
        let phone = Phone::over_from(wire, &server, Ipv4Addr::new(127, 0, 94, 1 + n as u8)).await;
        let heard = ask(&phone.as_page(&server), &format!("fresh{n}@example.com")).await;
        assert_eq!(heard.status, 202, "{n} over {wire:?}: {:?}", heard.body);
        assert!(heard.header("ratelimit").contains("\"peer\";r=19"), "it is counted: {:?}", heard.headers);
    }
    assert!(server.metric("authepy_memory_bytes") <= 16 << 20);
}
