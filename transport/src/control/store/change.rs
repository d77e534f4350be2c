//! A change: a transaction that first increments the revision.
//!
//! The increment is the first statement, so that writers queue up there (SQLite would otherwise
//! reject the second of two that had read before). Servers see from the revision that something has
//! changed.

use sqlx::{Any, Transaction};

use super::{Store, StoreFault, StoreKind};

/// The channel that PostgreSQL notifies.
pub(super) const CHANNEL: &str = "authepy_keys";

/// An open transaction; dropped, it is rolled back.
pub(in crate::control) struct Change {
    pub(in crate::control) transaction: Transaction<'static, Any>,
    kind: StoreKind,
}

impl Store {
    /// Begins a change.
    pub(in crate::control) async fn begin(&self) -> Result<Change, StoreFault> {
        self.count();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE revision SET number = number + 1 WHERE one = 1")
            .execute(&mut *transaction)
            .await?;
        Ok(Change { transaction, kind: self.kind })
    }
}

impl Change {
    /// Commits the change and notifies other servers.
    pub(in crate::control) async fn commit(mut self) -> Result<(), StoreFault> {
        if self.kind == StoreKind::Postgres {
            // PostgreSQL delivers it at commit.
            sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&mut *self.transaction).await?;
        }
        Ok(self.transaction.commit().await?)
    }
}
