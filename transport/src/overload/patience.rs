//! Deadlines that cost nothing unless there is something to wait for.

use std::pin::pin;

use futures_util::FutureExt;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Returns the result of `work`, or an error at the deadline. `deadline` is computed only if `work`
/// is not ready at once: most reads and writes are, and a timer for each would be a good part of
/// their cost.
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
        assert!(by(minute, tokio::task::yield_now()).await.is_ok(), "waited, and finished in time");
    }
}
