//! Word of a change made elsewhere: PostgreSQL's notification. SQLite has none; there polling is enough.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use sqlx::postgres::PgListener;
use tokio::time::{sleep, timeout};

use super::change::CHANNEL;
use super::{StoreKind, StoreUrl};
use crate::limits::{STORE_PATIENCE, STORE_RETRY};

/// Where to listen.
pub(in crate::control) struct News {
    url: StoreUrl,
    listener: Option<PgListener>,
}

impl News {
    pub(in crate::control) fn of(url: StoreUrl) -> Self {
        Self { url, listener: None }
    }

    /// Waits until something may have changed. A lost connection counts: a word may have been lost with
    /// it. May be dropped at any await.
    pub(in crate::control) async fn wait(&mut self) {
        if self.url.kind == StoreKind::Sqlite {
            return std::future::pending().await;
        }
        // Whatever the library makes of what the store says (see `within`): the poll goes on.
        if AssertUnwindSafe(self.word()).catch_unwind().await.is_err() {
            self.listener = None;
            sleep(STORE_RETRY).await;
        }
    }

    async fn word(&mut self) {
        loop {
            match &mut self.listener {
                Some(listener) => {
                    if listener.recv().await.is_err() {
                        self.listener = None;
                    }
                    return;
                }
                None => match timeout(STORE_PATIENCE, listen(&self.url)).await {
                    Ok(Ok(listener)) => self.listener = Some(listener),
                    // The poll goes on meanwhile.
                    Ok(Err(_)) | Err(_) => sleep(STORE_RETRY).await,
                },
            }
        }
    }
}

async fn listen(url: &StoreUrl) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(&url.url).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
