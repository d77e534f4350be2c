//! Notifications of changes by other processes, with PostgreSQL. With SQLite polling is enough.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use sqlx::postgres::PgListener;
use tokio::time::{sleep, timeout};

use super::change::CHANNEL;
use super::{StoreKind, StoreUrl};
use crate::limits::{STORE_PATIENCE, STORE_RETRY};

/// A listener for notifications.
pub(in crate::control) struct News {
    url: StoreUrl,
    listener: Option<PgListener>,
}

impl News {
    pub(in crate::control) fn of(url: StoreUrl) -> Self {
        Self { url, listener: None }
    }

    /// Waits until something may have changed. A lost connection counts as a change, because a
    /// notification may have been lost. Cancel safe.
    pub(in crate::control) async fn wait(&mut self) {
        if self.url.kind == StoreKind::Sqlite {
            return std::future::pending().await;
        }
        // Catches panics of the library on malformed answers (see `within`). Polling continues
        // meanwhile.
        if AssertUnwindSafe(self.notification()).catch_unwind().await.is_err() {
            self.listener = None;
            sleep(STORE_RETRY).await;
        }
    }

    async fn notification(&mut self) {
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
                    // Polling continues meanwhile.
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
