//! The store: projects, digests of API keys, origins. SQLite in a file, or PostgreSQL for a fleet.
//!
//! ```text
//!   registry ──▶ Change (one transaction, increments the revision) ─▶ tables
//!   keeper   ──▶ keys_since(revision): one statement, either "nothing new" or everything
//! ```
//!
//! The same SQL runs on both. No call waits longer than [`STORE_PATIENCE`], and error texts of the
//! database are never passed on, because they may quote values.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::any::{Any, AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, ConnectOptions, Executor, SqlSafeStr, Transaction};
use zeroize::Zeroizing;

use crate::config::ConfigFault;
use crate::limits::{STORE_CONNECTIONS, STORE_GOODBYE, STORE_PATIENCE};

mod change;
mod news;
mod question;

pub(super) use news::News;
pub(super) use question::{AlertRow, Answer, KeyRow, gather, key_columns};

const SCHEMA: &str = include_str!("store/schema.sql");

/// Location of the store. May hold a password, so `Debug` shows only the kind.
#[derive(Clone)]
pub struct StoreUrl {
    url: Zeroizing<String>,
    kind: StoreKind,
}

/// Kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl StoreUrl {
    /// Reads `store.url`.
    ///
    /// The URL is neither a `sqlite:` nor a `postgres:` URL.
    pub fn parse(url: &str) -> Result<Self, ConfigFault> {
        let kind = match url.split_once(':') {
            Some(("sqlite", _)) => StoreKind::Sqlite,
            Some(("postgres" | "postgresql", _)) => StoreKind::Postgres,
            _ => return Err(ConfigFault("store.url: sqlite://FILE or postgres://…".into())),
        };
        if url.parse::<AnyConnectOptions>().is_err() {
            return Err(ConfigFault("store.url: is not a URL".into()));
        }
        Ok(Self { url: Zeroizing::new(url.to_owned()), kind })
    }

    /// A SQLite file.
    pub fn file(path: &std::path::Path) -> Self {
        Self { url: Zeroizing::new(format!("sqlite://{}", path.display())), kind: StoreKind::Sqlite }
    }

    fn path(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path).split('?').next()?;
        (!path.is_empty() && path != ":memory:").then(|| path.into())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({:?}, redacted)", self.kind)
    }
}

/// Why a call to the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It failed; the text says at what.
    Down(&'static str),
    /// It did not answer in time.
    Silent,
    /// The name is already in use.
    Taken,
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(doing) => write!(f, "the store can't be used: {doing}"),
            Self::Silent => f.write_str("the store can't be used: it does not answer"),
            Self::Taken => f.write_str("the store already has an entry of that name"),
        }
    }
}

impl std::error::Error for StoreFault {}

impl From<sqlx::Error> for StoreFault {
    fn from(fault: sqlx::Error) -> Self {
        match fault {
            sqlx::Error::Database(fault) if fault.is_unique_violation() => Self::Taken,
            sqlx::Error::Database(_) => Self::Down("a statement failed"),
            sqlx::Error::PoolTimedOut => Self::Silent,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Down("unreadable rows"),
            _ => Self::Down("the connection failed"),
        }
    }
}

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    kind: StoreKind,
    /// Statements so far, for the metrics.
    queries: Arc<AtomicU64>,
}

impl Store {
    /// Opens the store on this runtime and brings its schema up to date.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreFault> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.path() {
            create_private(&path).map_err(|_| StoreFault::Down("the file can't be opened"))?;
        }
        let options: AnyConnectOptions = url.url.parse()?;
        // Statements hold no secrets, but logging them would add a line per poll.
        let options = options.disable_statement_logging();
        let kind = url.kind;
        let pool = AnyPoolOptions::new()
            .max_connections(STORE_CONNECTIONS)
            .acquire_timeout(STORE_PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in preparations(kind) {
                        connection.execute(*statement).await?;
                    }
                    Ok(())
                })
            });
        let pool = within(async { pool.connect_with(options).await.map_err(StoreFault::from) }).await?;
        let store = Self { pool, kind, queries: Arc::default() };
        within(store.migrate()).await?;
        Ok(store)
    }

    /// Closes all connections; one that hangs is dropped after [`STORE_GOODBYE`].
    pub async fn close(&self) {
        let _in_time = tokio::time::timeout(STORE_GOODBYE, self.pool.close()).await;
    }

    /// The kind of database.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Statements so far.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Runs a query.
    pub(super) async fn read(
        &self,
        query: sqlx::query::Query<'_, Any, AnyArguments>,
    ) -> Result<Vec<AnyRow>, StoreFault> {
        self.count();
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// Begins a read transaction, for several queries on one snapshot.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'static, Any>, StoreFault> {
        self.count();
        Ok(self.pool.begin().await?)
    }

    fn count(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }

    async fn migrate(&self) -> Result<(), StoreFault> {
        let first = Migration::new(1, "first".into(), MigrationType::Simple, SCHEMA.into_sql_str(), false);
        let migrator = Migrator::with_migrations(vec![first]);
        migrator.run(&self.pool).await.map_err(|_| StoreFault::Down("its schema can't be brought up to date"))
    }
}

/// Statements that every new connection runs.
const fn preparations(kind: StoreKind) -> &'static [&'static str] {
    match kind {
        // Readers and the writer don't block each other, and no commit is lost in a power failure.
        StoreKind::Sqlite => &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA busy_timeout = 1500",
            "PRAGMA foreign_keys = ON",
        ],
        // Without this, every start would log that the schema exists.
        StoreKind::Postgres => &["SET client_min_messages = warning"],
    }
}

/// Bounds a call to the store in time. Also catches panics: the library panics on malformed answers
/// (for example rows with fewer columns than announced).
pub(super) async fn within<T, E: From<StoreFault>>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let patience = STORE_PATIENCE + Duration::from_millis(500);
    let asked = AssertUnwindSafe(asked).catch_unwind();
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(StoreFault::Down("its answer is malformed").into()),
        Err(_) => Err(StoreFault::Silent.into()),
    }
}

/// Creates the file readable by its owner only, before SQLite would create it readable for
/// everyone.
fn create_private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}
