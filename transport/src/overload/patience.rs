//! Deadlines that cost nothing where nobody waits.

use std::pin::pin;

use futures_util::FutureExt;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// What `work` comes to, if it does by the deadline, which is asked for only if it has to wait: most reads and writes
/// are ready at once, and a timer for each would be a good part of what they cost.
pub(crate) async fn by<F: Future>(deadline: impl FnOnce() -> Instant, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    match work.as_mut().now_or_never() {
        Some(done) => Ok(done),
        None => timeout_at(deadline(), work).await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_who_waits_asks_how_long() {
        let never = || -> Instant { unreachable!("it was ready") };
        assert_eq!(by(never, ready(1)).await.ok(), Some(1));
        assert!(by(Instant::now, pending::<()>()).await.is_err());
        let minute = || Instant::now() + Duration::from_secs(60);
        assert!(by(minute, tokio::task::yield_now()).await.is_ok(), "who had to wait and was in time");
    }
}
