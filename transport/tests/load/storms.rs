//! Storms on QUIC and HTTP/3 (attack rows A42, A43, A51, A52, A54), and an overload: much of one thing, beside an
//! honest phone. Each is closed by its budget or costs what it is worth; no phone notices, no memory stays.

mod datagrams;
mod frames;
mod overload;
mod resets;
mod streams;

use authepy_testkit::canary::Canary;
use authepy_testkit::{DevServer, NO_LIMITS};

/// How much more memory than when idle the server may hold.
const ROOM_KIB: u64 = 64 << 10;

/// A server and its canary, and the memory it has when only that one has been there.
struct Calm {
    server: DevServer,
    canary: Canary,
    idle_kib: u64,
}

impl Calm {
    async fn start(name: &'static str) -> Self {
        let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat());
        let canary = Canary::without_mail(&server, server.text("secret_test_key"), name).await;
        canary.beside(async {}).await;
        let idle_kib = server.rss_kib();
        Self { server, canary, idle_kib }
    }

    /// Plays it beside the canary, and looks at the memory then.
    async fn survives<T>(&self, storm: impl Future<Output = T>) -> T {
        let outcome = self.canary.beside(storm).await;
        let held = self.server.rss_kib().saturating_sub(self.idle_kib);
        assert!(held <= ROOM_KIB, "{held} KiB more than idle");
        outcome
    }
}
