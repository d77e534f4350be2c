//! The query that servers poll with: is there a newer revision, and if so, what are all keys?
//!
//! It is one statement, so that the answer is a consistent snapshot, and so that any number of
//! unknown keys costs one query: if nothing is newer, none of them exists.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreFault, within};

/// A row of the key table, with the project's name and the origin rules.
#[derive(Debug, Default)]
pub(in crate::control) struct KeyRow {
    pub(in crate::control) id: String,
    pub(in crate::control) project: i64,
    pub(in crate::control) project_name: String,
    pub(in crate::control) class: String,
    pub(in crate::control) test: bool,
    pub(in crate::control) native: bool,
    pub(in crate::control) digest: String,
    pub(in crate::control) last_four: String,
    pub(in crate::control) created: i64,
    pub(in crate::control) expires: Option<i64>,
    pub(in crate::control) revoked: Option<i64>,
    pub(in crate::control) successor: Option<String>,
    pub(in crate::control) origins: Vec<String>,
}

/// The answer.
#[derive(Debug)]
pub(in crate::control) enum Answer {
    /// The known revision is the newest.
    NothingNew,
    /// All keys as of this revision.
    All(i64, Vec<KeyRow>),
}

/// The columns of a [`KeyRow`], in the order in which [`gather`] reads them.
macro_rules! key_columns {
    () => {
        "k.id, k.project_id, p.name, k.class, k.test, k.native, k.digest, k.last_four, k.created_at, \
         k.expires_at, k.revoked_at, k.successor, o.rule"
    };
}
pub(in crate::control) use key_columns;

/// Selects the current revision and, unless it equals `$1`, every key with each of its rules.
const ANYTHING_NEWER: &str = concat!(
    "SELECT r.number, ",
    key_columns!(),
    " FROM revision r LEFT JOIN api_key k ON r.number <> $1 LEFT JOIN project p ON p.id = k.project_id \
      LEFT JOIN key_origin o ON o.key_id = k.id ORDER BY k.id, o.rule"
);

impl Store {
    /// All keys, unless `known` is the newest revision.
    pub(in crate::control) async fn keys_since(&self, known: i64) -> Result<Answer, StoreFault> {
        within(async {
            let rows = self.read(sqlx::query(ANYTHING_NEWER).bind(known)).await?;
            let first = rows.first().ok_or(StoreFault::Down("its revision is missing"))?;
            let revision: i64 = first.try_get(0)?;
            if revision == known {
                return Ok(Answer::NothingNew);
            }
            Ok(Answer::All(revision, gather(&rows, 1)?))
        })
        .await
    }
}

/// An alert address of a project.
pub(in crate::control) struct AlertRow {
    pub(in crate::control) project: i64,
    pub(in crate::control) address: String,
}

impl Store {
    /// The alert addresses of all projects.
    pub(in crate::control) async fn alert_addresses(&self) -> Result<Vec<AlertRow>, StoreFault> {
        within(async {
            let all = "SELECT project_id, address FROM project_alert ORDER BY project_id, address";
            let rows = self.read(sqlx::query(all)).await?;
            rows.iter()
                .map(|row| Ok(AlertRow { project: row.try_get(0)?, address: row.try_get(1)? }))
                .collect()
        })
        .await
    }
}

/// Builds keys from joined rows, one per key and rule, in which rows of a key are adjacent.
pub(in crate::control) fn gather(rows: &[AnyRow], start: usize) -> Result<Vec<KeyRow>, StoreFault> {
    let mut keys: Vec<KeyRow> = Vec::new();
    for row in rows {
        let Some(id) = row.try_get::<Option<String>, _>(start)? else { continue };
        if keys.last().is_none_or(|last| last.id != id) {
            keys.push(read(row, start, id)?);
        }
        if let (Some(rule), Some(key)) = (row.try_get::<Option<String>, _>(start + 12)?, keys.last_mut()) {
            key.origins.push(rule);
        }
    }
    Ok(keys)
}

fn read(row: &AnyRow, start: usize, id: String) -> Result<KeyRow, StoreFault> {
    Ok(KeyRow {
        id,
        project: row.try_get(start + 1)?,
        project_name: row.try_get(start + 2)?,
        class: row.try_get(start + 3)?,
        test: row.try_get::<i64, _>(start + 4)? == 1,
        native: row.try_get::<i64, _>(start + 5)? == 1,
        digest: row.try_get(start + 6)?,
        last_four: row.try_get(start + 7)?,
        created: row.try_get(start + 8)?,
        expires: row.try_get(start + 9)?,
        revoked: row.try_get(start + 10)?,
        successor: row.try_get(start + 11)?,
        origins: Vec::new(),
    })
}
