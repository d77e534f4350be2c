//! `authepy ban`: lists, adds and lifts bans of a running server.

use std::time::Duration;

use authepy_engine::peer::Prefix;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::Failure;
use super::admin::AdminArgs;
use super::print::complain;

const PATH: &str = "/admin/v1/bans";

#[derive(Args)]
pub(super) struct Ban {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List active bans, the longest first
    List,
    /// Ban a peer; an existing ban gets the new end
    Add {
        /// An IPv4 address, an IPv6 address (its /64), or an IPv6 /64, /56 or /48.
        peer: Prefix,
        /// How long, such as 3h [default: as long as an automatic ban would last now, from
        /// bans.first]
        #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
        span: Option<Duration>,
    },
    /// Lift the ban of exactly this peer or network.
    Remove {
        /// As `ban list` shows it.
        peer: Prefix,
    },
}

pub(super) async fn run(ban: Ban) -> Result<(), Failure> {
    let admin = &ban.admin;
    match ban.action {
        Action::List => {
            let told = admin.ask(Method::GET, PATH).await?;
            let bans = told["bans"].as_array().map(Vec::as_slice).unwrap_or_default();
            admin.tell(&told, &bans.iter().map(|ban| line(ban) + "\n").collect::<String>());
            if !admin.json && bans.is_empty() {
                complain("nobody is banned");
            }
        }
        Action::Add { peer, span } => {
            let mut asked = json!({"peer": peer.to_string()});
            if let Some(span) = span {
                asked["for"] = humantime::format_duration(span).to_string().into();
            }
            let told = admin.ask_json(Method::POST, PATH, &asked).await?;
            admin.tell(&told, &line(&told));
        }
        Action::Remove { peer } => {
            let peer = peer.to_string();
            admin.ask_json(Method::DELETE, PATH, &json!({"peer": peer})).await?;
            admin.tell(&json!({"peer": peer, "state": "lifted"}), &format!("{peer} is no longer banned"));
        }
    }
    Ok(())
}

fn line(ban: &Value) -> String {
    let (peer, until) = (ban["peer"].as_str().unwrap_or("?"), ban["until"].as_str().unwrap_or("?"));
    let left = humantime::format_duration(Duration::from_secs(ban["seconds_left"].as_u64().unwrap_or(0)));
    format!("{peer:40} until {until}  {left} left  ban {} in a row", ban["count"])
}
