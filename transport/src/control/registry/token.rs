//! The admin token: generated here, shown once, stored as a digest.

use authepy_engine::entropy::Entropy as _;
use sha2::{Digest, Sha256};
use sqlx::Row;
use zeroize::Zeroizing;

use super::{Registry, RegistryFault};
use crate::control::store::{StoreFault, within};
use crate::ground::entropy::OsEntropy;
use crate::ground::hex::{hex, unhex};

const SETTING: &str = "admin_token_digest";

impl Registry {
    /// Generates a new admin token, which replaces the old one.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_admin_token(&self) -> Result<Zeroizing<String>, RegistryFault> {
        let token = draw_token();
        within(async {
            let mut change = self.store.begin().await?;
            sqlx::query(
                "INSERT INTO setting (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(SETTING)
            .bind(hex(&token_digest(token.as_bytes())))
            .execute(&mut *change.transaction)
            .await?;
            Ok::<_, RegistryFault>(change.commit().await?)
        })
        .await?;
        Ok(token)
    }

    /// The digest of the latest token, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::control) async fn admin_token_digest(&self) -> Result<Option<[u8; 32]>, StoreFault> {
        within(async {
            let query = sqlx::query("SELECT value FROM setting WHERE name = $1").bind(SETTING);
            let rows = self.store.read(query).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let text: String = row.try_get(0)?;
            Ok(unhex(&text))
        })
        .await
    }
}

/// The digest that is stored for a token. The token is random, so no salt or slow hash is needed.
pub fn token_digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// `ath_admin_` and 256 random bits in hexadecimal.
pub fn draw_token() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    OsEntropy::default().fill(&mut *bytes);
    Zeroizing::new(format!("ath_admin_{}", hex(&*bytes)))
}
