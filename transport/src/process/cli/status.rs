//! `authepy status`: shows the status of a running server.

use clap::Args;
use http::Method;

use super::Failure;
use super::admin::AdminArgs;
use super::print::say;

#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) async fn run(status: Status) -> Result<(), Failure> {
    let told = status.admin.ask(Method::GET, "/admin/v1/status").await?;
    if status.admin.json {
        say(&told.to_string());
        return Ok(());
    }
    for (name, value) in told.as_object().into_iter().flatten() {
        match value.as_object() {
            None => say(&format!("{name:16} {}", plain(value))),
            Some(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|(part, value)| format!("{part} {}", plain(value))).collect();
                say(&format!("{name:16} {}", parts.join(", ")));
            }
        }
    }
    Ok(())
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
