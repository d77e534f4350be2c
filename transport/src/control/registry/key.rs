//! API keys: created and shown once, listed, rotated, revoked. Only a key's digest is stored.

use std::time::Duration;

use authepy_engine::entropy::Entropy as _;
use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::{ApiKey, KeyClass};
use authepy_engine::perimeter::life::{KeyLife, KeyState};
use authepy_engine::perimeter::origin::OriginRule;
use serde::{Serialize, Serializer};
use sqlx::{Any, Row, Transaction};

use super::{Registry, RegistryFault, date};
use crate::control::keys::{class_name, kind_of, life_of};
use crate::control::store::{KeyRow, gather, key_columns, within};
use crate::ground::entropy::OsEntropy;
use crate::ground::hex::hex;
use crate::limits::{KEY_PAGE, KEY_SPAN_MAX, KEYS, ORIGINS_PER_KEY};

/// Properties of a new key.
#[derive(Debug)]
pub struct NewKeyRequest {
    /// Name of its project.
    pub project: String,
    /// Its class.
    pub class: KeyClass,
    /// Whether it sends mail.
    pub mode: Mode,
    /// Whether a restricted key may come without an `Origin`.
    pub native: bool,
    /// Where a restricted key may be used.
    pub origins: Vec<String>,
    /// How long it works; `None` means without end.
    pub expires: Option<Duration>,
}

/// A new key, for the one time that it is shown.
#[derive(Serialize)]
pub struct NewKey {
    /// The store's name for it.
    pub id: String,
    /// The key itself.
    #[serde(serialize_with = "exposed")]
    pub key: ApiKey,
}

fn exposed<S: Serializer>(key: &ApiKey, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(key.expose())
}

/// A key as operators see it.
#[derive(Debug, Serialize)]
pub struct KeyView {
    /// The store's name for it.
    pub id: String,
    /// Name of its project.
    pub project: String,
    /// `secret` or `restricted`.
    pub class: String,
    /// Whether it sends no mail.
    pub test: bool,
    /// Whether it may come without an `Origin`.
    pub native: bool,
    /// The last four characters.
    pub last_four: String,
    /// `active`, `rotating`, `expired` or `revoked`.
    pub state: &'static str,
    /// Creation time.
    pub created_at: String,
    /// Time of expiry.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// Id of the key that replaces it.
    pub successor: Option<String>,
    /// Where it may be used.
    pub origins: Vec<String>,
}

/// A page of keys ordered by id, and where the next page begins.
#[derive(Debug, Serialize)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<KeyView>,
    /// Last id of this page, if there are more.
    pub next: Option<String>,
}

impl Registry {
    /// Creates a key.
    ///
    /// The project is unknown, a rule is malformed, a secret key has origins, or the store is full.
    pub async fn create_key(&self, request: &NewKeyRequest) -> Result<NewKey, RegistryFault> {
        let origins = check(request)?;
        within(async {
            let mut change = self.store.begin().await?;
            let project: i64 = sqlx::query("SELECT id FROM project WHERE name = $1")
                .bind(&request.project)
                .fetch_optional(&mut *change.transaction)
                .await?
                .ok_or(RegistryFault::Unknown("project"))?
                .try_get(0)?;
            let life = KeyLife::begin(self.now().unsigned_abs(), request.expires.map(|span| span.as_secs()));
            let row = KeyRow {
                project,
                class: class_name(request.class).into(),
                test: request.mode == Mode::Test,
                native: request.native,
                origins,
                ..KeyRow::default()
            };
            let made = insert(&mut change.transaction, row, request.class, request.mode, life).await?;
            change.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Lists a page of keys, of one project or of all.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self, project: Option<&str>, after: Option<&str>) -> Result<KeyPage, RegistryFault> {
        const PAGE: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM (SELECT k.* FROM api_key k JOIN project p ON p.id = k.project_id \
               WHERE ($1 = '' OR p.name = $1) AND k.id > $2 ORDER BY k.id LIMIT $3) k \
              JOIN project p ON p.id = k.project_id LEFT JOIN key_origin o ON o.key_id = k.id \
              ORDER BY k.id, o.rule"
        );
        within(async {
            let (project, after) = (project.unwrap_or_default(), after.unwrap_or_default());
            let page = sqlx::query(PAGE).bind(project).bind(after).bind(KEY_PAGE);
            let rows = gather(&self.store.read(page).await?, 0)?;
            let now = self.now().unsigned_abs();
            let full = rows.len() as i64 == KEY_PAGE;
            let next = rows.last().filter(|_| full).map(|last| last.id.clone());
            Ok(KeyPage { keys: rows.into_iter().map(|row| view(row, now)).collect(), next })
        })
        .await
    }

    /// Creates a successor; the old key works until the grace period ends.
    ///
    /// The key is unknown, has ended, or was already rotated.
    pub async fn rotate_key(&self, id: &str, grace: Duration) -> Result<NewKey, RegistryFault> {
        if grace > KEY_SPAN_MAX {
            return Err(RegistryFault::Invalid("grace", "must be at most ten years".into()));
        }
        within(async {
            let mut change = self.store.begin().await?;
            let old = find(&mut change.transaction, id).await?;
            let mut life = life_of(&old);
            let next = life.rotate(self.now().unsigned_abs(), grace.as_secs())?;
            let (class, mode) = kind_of(&old).ok_or(RegistryFault::Unknown("key"))?;
            let made = insert(&mut change.transaction, old, class, mode, next).await?;
            sqlx::query("UPDATE api_key SET expires_at = $1, successor = $2 WHERE id = $3")
                .bind(seconds(life.expires))
                .bind(&made.id)
                .bind(id)
                .execute(&mut *change.transaction)
                .await?;
            change.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Revokes a key permanently. Revoking it again changes nothing.
    ///
    /// # Errors
    /// An unknown key.
    pub async fn revoke_key(&self, id: &str) -> Result<(), RegistryFault> {
        within(async {
            let mut change = self.store.begin().await?;
            let update = "UPDATE api_key SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2";
            let done =
                sqlx::query(update).bind(self.now()).bind(id).execute(&mut *change.transaction).await?;
            if done.rows_affected() == 0 {
                return Err(RegistryFault::Unknown("key"));
            }
            Ok(change.commit().await?)
        })
        .await
    }
}

/// The key with this id, with its rules.
pub(super) async fn find(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
) -> Result<KeyRow, RegistryFault> {
    const ONE: &str = concat!(
        "SELECT ",
        key_columns!(),
        " FROM api_key k JOIN project p ON p.id = k.project_id \
          LEFT JOIN key_origin o ON o.key_id = k.id WHERE k.id = $1 ORDER BY o.rule"
    );
    let rows = sqlx::query(ONE).bind(id).fetch_all(&mut **transaction).await?;
    gather(&rows, 0)?.pop().ok_or(RegistryFault::Unknown("key"))
}

/// Generates a key of this kind and stores its digest with `row`.
async fn insert(
    transaction: &mut Transaction<'static, Any>,
    row: KeyRow,
    class: KeyClass,
    mode: Mode,
    life: KeyLife,
) -> Result<NewKey, RegistryFault> {
    let all: i64 =
        sqlx::query("SELECT COUNT(*) FROM api_key").fetch_one(&mut **transaction).await?.try_get(0)?;
    if all >= KEYS {
        return Err(RegistryFault::Full("keys"));
    }
    let mut entropy = OsEntropy::default();
    let key = ApiKey::generate(class, mode, |out| entropy.fill(out));
    let text = key.as_text();
    let last_four: String = text.last_four().iter().map(|&byte| char::from(byte)).collect();
    let id = draw_id(&mut entropy);
    sqlx::query(
        "INSERT INTO api_key (id, project_id, class, test, native, digest, last_four, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&id)
    .bind(row.project)
    .bind(&row.class)
    .bind(i64::from(row.test))
    .bind(i64::from(row.native))
    .bind(hex(text.digest().as_bytes()))
    .bind(last_four)
    .bind(seconds(Some(life.created)))
    .bind(seconds(life.expires))
    .execute(&mut **transaction)
    .await?;
    for rule in &row.origins {
        sqlx::query("INSERT INTO key_origin (key_id, rule) VALUES ($1, $2)")
            .bind(&id)
            .bind(rule)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(NewKey { id, key })
}

/// Validates the request. Returns its origin rules as stored, without duplicates.
fn check(request: &NewKeyRequest) -> Result<Vec<String>, RegistryFault> {
    let invalid = |what, why: &str| Err(RegistryFault::Invalid(what, why.into()));
    if request.class == KeyClass::Secret && !request.origins.is_empty() {
        return invalid("origin", "a secret key has no origins: it is for servers only");
    }
    if request.class == KeyClass::Secret && request.native {
        return invalid("native", "only a restricted key may be used in apps");
    }
    if request.origins.len() > ORIGINS_PER_KEY {
        return Err(RegistryFault::Full("origins of a key"));
    }
    if request.expires.is_some_and(|span| span.as_secs() == 0 || span > KEY_SPAN_MAX) {
        return invalid("expires", "must be between one second and ten years");
    }
    let rule = |text: &String| OriginRule::parse(text).map(|rule| rule.to_string());
    let mut rules: Vec<String> =
        request.origins.iter().map(rule).collect::<Result<_, _>>().map_err(RegistryFault::rule)?;
    rules.sort_unstable();
    rules.dedup();
    Ok(rules)
}

/// `key_` and 96 random bits. Not a secret: it identifies the key and grants nothing.
fn draw_id(entropy: &mut OsEntropy) -> String {
    let mut bytes = [0_u8; 12];
    entropy.fill(&mut bytes);
    format!("key_{}", hex(&bytes))
}

fn view(row: KeyRow, now: u64) -> KeyView {
    let state: KeyState = life_of(&row).state(now);
    KeyView {
        state: state.name(),
        id: row.id,
        project: row.project_name,
        class: row.class,
        test: row.test,
        native: row.native,
        last_four: row.last_four,
        created_at: date(row.created),
        expires_at: row.expires.map(date),
        revoked_at: row.revoked.map(date),
        successor: row.successor,
        origins: row.origins,
    }
}

fn seconds(at: Option<u64>) -> Option<i64> {
    at.map(|at| i64::try_from(at).unwrap_or(i64::MAX))
}
