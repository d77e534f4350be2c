//! What a connection costs that nobody uses: the server's resident memory with many of them, less what it had
//! before, by their number.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::phone::{Phone, Trust};
use crate::scenario::{Role, Scenario};
use crate::server::Server;
use crate::target::Target;

/// Before the first is weighed: pools and tables that any connection makes.
const WARM: usize = 50;
/// Until handshakes' memory is given back.
const SETTLING: Duration = Duration::from_secs(2);

/// In KiB, over so many connections from as many peers.
pub(super) fn kib_per_connection(authepy: &Path, connections: usize) -> Result<f64, String> {
    let settings = BTreeMap::from([("connections.idle".to_owned(), "10m".to_owned())]);
    let server = Server::start(authepy, &settings)?;
    let target = Target::from_line(&server.ready, true)?;
    crate::run::raise_descriptors();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    LocalSet::new().block_on(&runtime, async {
        let (trust, profile) = (Trust::new(&target)?, Scenario::SignupWave.profile());
        let mut phones = Vec::new();
        let mut before = None;
        for nth in 0..WARM + connections {
            if nth == WARM {
                sleep(SETTLING).await;
                before = server.rss_kib();
            }
            let phone = Phone::new(profile.source(Role::Crowd, nth), &trust)?;
            phone.connect(&target).await.map_err(|silence| silence.to_string())?;
            phones.push(phone);
        }
        sleep(SETTLING).await;
        let after = server.rss_kib().ok_or("no VmRSS")?;
        Ok(after.saturating_sub(before.ok_or("no VmRSS")?) as f64 / connections as f64)
    })
}
