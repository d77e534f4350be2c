//! `authepy admin-token create`: creates the token for the admin API.

use clap::{Args, Subcommand};

use super::Failure;
use super::print::complain;
use super::store::StoreArgs;

#[derive(Args)]
pub(super) struct AdminToken {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a new token, which replaces the old one, and show it once
    Create,
}

pub(super) async fn run(token: AdminToken) -> Result<(), Failure> {
    let Action::Create = token.action;
    let made = token.store.open().await?.create_admin_token().await?;
    token.store.tell(&serde_json::json!({"admin_token": *made}), &made)?;
    complain("This is the only time the token is shown; the one before no longer works.");
    Ok(())
}
