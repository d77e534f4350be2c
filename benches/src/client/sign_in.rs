//! A phone's whole visit: a new connection, an issue and its check, and the close; beside it, a new connection
//! and one echo.
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cpu;

use super::{Client, Supply, Work, exchange, start_http3};

/// Visits at once: enough that the server is never waited for, too few for a Retry.
const AT_ONCE: usize = 8;

impl Client {
    /// Visits for `length`, each visitor once at least; returns how many.
    ///
    /// # Errors
    /// The first that went wrong.
    pub async fn visits(&self, length: Duration) -> Result<u64, String> {
        let end = cpu::now() + length;
        let mut visitors = JoinSet::new();
        for _ in 0..AT_ONCE {
            visitors.spawn_local(visitor(self.endpoint.clone(), self.address, self.supply.clone(), end));
        }
        let mut sum = 0;
        while let Some(done) = visitors.join_next().await {
            sum += done.map_err(|error| error.to_string())??;
        }
        Ok(sum)
    }
}

async fn visitor(
    endpoint: quinn::Endpoint,
    address: std::net::SocketAddr,
    supply: Rc<Supply>,
    end: Instant,
) -> Result<u64, String> {
    let mut done = 0;
    loop {
        let connecting = endpoint.connect(address, "localhost").map_err(|error| error.to_string())?;
        let connection = connecting.await.map_err(|error| format!("{address}: {error}"))?;
        let works = if supply.key.is_empty() { &[Work::Echo][..] } else { &[Work::Issue, Work::Check] };
        if !supply.key.is_empty() {
            start_http3(&connection).await.ok_or("no control stream")?;
        }
        for work in works {
            let (request, recipient) = supply.request(*work).ok_or("no id to check")?;
            let answer =
                exchange(&connection, &request).await.map_err(|error| format!("{work:?}: {error}"))?;
            supply.judge(*work, recipient, &answer)?;
        }
        connection.close(0x100_u32.into(), b"");
        done += 1;
        if cpu::now() >= end {
            return Ok(done);
        }
    }
}
