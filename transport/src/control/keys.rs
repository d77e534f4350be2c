//! Builds the key book from rows of the store.

use std::collections::HashMap;
use std::sync::Arc;

use authepy_engine::identity::{KeyDigest, Mode, ProjectId};
use authepy_engine::perimeter::api_key::KeyClass;
use authepy_engine::perimeter::life::KeyLife;
use authepy_engine::perimeter::origin::OriginRule;
use authepy_engine::perimeter::{KeyBook, KeyRecord};

use super::store::{AlertRow, KeyRow};
use crate::ground::hex::unhex;

/// The class as stored.
pub(super) const fn class_name(class: KeyClass) -> &'static str {
    match class {
        KeyClass::Secret => "secret",
        KeyClass::Restricted => "restricted",
    }
}

/// Parses a stored class.
pub(super) fn class_named(name: &str) -> Option<KeyClass> {
    [KeyClass::Secret, KeyClass::Restricted].into_iter().find(|&class| class_name(class) == name)
}

/// Class and mode of a row; `None` if another program wrote an unknown class.
pub(super) fn kind_of(row: &KeyRow) -> Option<(KeyClass, Mode)> {
    Some((class_named(&row.class)?, if row.test { Mode::Test } else { Mode::Live }))
}

/// The dates of a row.
pub(super) fn life_of(row: &KeyRow) -> KeyLife {
    // We never write a negative date; it is read as the epoch.
    let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
    KeyLife {
        created: seconds(row.created),
        expires: row.expires.map(seconds),
        revoked: row.revoked.map(seconds),
        rotated: row.successor.is_some(),
    }
}

/// Builds the book. A row or rule that can't be parsed is left out, which refuses what it would
/// have allowed. Returns the number left out.
pub(super) fn book(rows: Vec<KeyRow>, alerts: Vec<AlertRow>) -> (KeyBook, usize) {
    let mut unreadable = 0;
    let mut names: Vec<Arc<str>> = Vec::new();
    let alerts = Alerts::new(alerts);
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let (read, left_out) = record(row, &mut names, &alerts);
        unreadable += left_out;
        records.extend(read);
    }
    (KeyBook::new(records), unreadable)
}

fn record(row: KeyRow, names: &mut Vec<Arc<str>>, alerts: &Alerts) -> (Option<KeyRecord>, usize) {
    let digest = unhex(&row.digest);
    let (Some(digest), Some((class, mode)), Ok(project)) =
        (digest, kind_of(&row), u32::try_from(row.project))
    else {
        return (None, 1);
    };
    let life = life_of(&row);
    let rules: Vec<OriginRule> = row.origins.iter().filter_map(|rule| OriginRule::parse(rule).ok()).collect();
    let left_out = row.origins.len() - rules.len();
    let record = KeyRecord {
        id: row.id.into(),
        digest: KeyDigest::from_bytes(digest),
        project: ProjectId(project),
        project_name: shared(names, row.project_name),
        alert_to: alerts.of(row.project),
        class,
        mode,
        native: row.native,
        origins: rules.into_iter().collect(),
        life,
    };
    (Some(record), left_out)
}

/// One shared list of alert addresses per project.
struct Alerts(HashMap<i64, Arc<[Box<str>]>>);

impl Alerts {
    fn new(rows: Vec<AlertRow>) -> Self {
        let mut lists: HashMap<i64, Vec<Box<str>>> = HashMap::new();
        for AlertRow { project, address } in rows {
            lists.entry(project).or_default().push(address.into());
        }
        Self(lists.into_iter().map(|(project, list)| (project, list.into())).collect())
    }

    fn of(&self, project: i64) -> Arc<[Box<str>]> {
        self.0.get(&project).cloned().unwrap_or_default()
    }
}

/// Shares one name among a project's keys. A project's rows are often near each other but not
/// sorted, so the last 64 names are enough to share most of them.
fn shared(names: &mut Vec<Arc<str>>, name: String) -> Arc<str> {
    const RECENT: usize = 64;
    if let Some(known) = names.iter().rev().take(RECENT).find(|known| ***known == *name) {
        return known.clone();
    }
    names.push(name.into());
    names.last().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> KeyRow {
        KeyRow {
            id: "key_1".into(),
            project: 1,
            project_name: "shop".into(),
            class: "restricted".into(),
            digest: "ab".repeat(32),
            origins: vec!["mybrand.com".into()],
            ..KeyRow::default()
        }
    }

    #[test]
    fn an_unreadable_row_or_rule_lets_nobody_in() {
        let (book, unreadable) = book(
            vec![
                row(),
                KeyRow { digest: "xy".repeat(32), id: "key_2".into(), ..row() },
                KeyRow { class: "admin".into(), id: "key_3".into(), digest: "cd".repeat(32), ..row() },
                KeyRow { origins: vec!["*".into()], id: "key_4".into(), digest: "ef".repeat(32), ..row() },
            ],
            Vec::new(),
        );
        assert_eq!((book.len(), unreadable), (2, 3));
        assert!(book.lists_origin(b"https://mybrand.com"));
        assert!(!book.lists_origin(b"https://evil.com"));
    }
}
