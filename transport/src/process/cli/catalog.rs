//! `authepy catalog`: the catalog of disposable domains of a running server.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use authepy_engine::recipient::disposable::Catalog as Lists;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::Failure;
use super::admin::AdminArgs;

const PATH: &str = "/admin/v1/catalog";

#[derive(Args)]
pub(super) struct Catalog {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show how the server classifies a domain
    Lookup {
        /// The part of an address after the @
        domain: String,
    },
    /// Replace the base list, as a whole or not at all; lasts until the server ends
    Load {
        /// UTF-8 text, one domain per line, comments begin with #
        file: PathBuf,
        /// Accept a list with fewer than half the entries of the current one
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(catalog: Catalog) -> Result<(), Failure> {
    let admin = &catalog.admin;
    match catalog.action {
        Action::Lookup { domain } => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("domain", domain.trim())
                .finish();
            let told = admin.ask(Method::GET, &format!("{PATH}?{query}")).await?;
            let class = told["class"].as_str().unwrap_or("?");
            let then = if told["refused"] == true { "refused" } else { "accepted" };
            admin.tell(&told, &format!("{}: {class}, {then}", told["domain"].as_str().unwrap_or("?")));
        }
        Action::Load { file, force } => {
            let path = if force { format!("{PATH}?force=true") } else { PATH.to_owned() };
            let told = admin.send_text(Method::POST, &path, read(&file)?).await?;
            admin.tell(&told, &report(&told));
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let fault = |kind: ErrorKind| Failure::Usage(format!("{}: {kind}", file.display()));
    let mut text = Vec::new();
    let most = Lists::MAX_BYTES as u64;
    let opened = File::open(file).map_err(|why| fault(why.kind()))?;
    opened.take(most + 1).read_to_end(&mut text).map_err(|why| fault(why.kind()))?;
    if text.len() as u64 > most {
        return Err(Failure::Usage(format!("{}: larger than {most} bytes", file.display())));
    }
    Ok(text)
}

fn report(told: &Value) -> String {
    let mut text = format!("{}: {} entries", told["version"].as_str().unwrap_or("?"), told["entries"]);
    let skipped = told["skipped"].as_array().map(Vec::as_slice).unwrap_or_default();
    for entry in skipped {
        let part = |name: &str| entry[name].as_str().unwrap_or("?").to_owned();
        text.push_str(&format!("\nskipped {} ({})", part("domain"), part("why")));
    }
    let unnamed = told["skipped_total"].as_u64().unwrap_or(0).saturating_sub(skipped.len() as u64);
    if unnamed > 0 {
        text.push_str(&format!("\nand {unnamed} more"));
    }
    if told["bad_lines"] != 0 {
        text.push_str(&format!("\nlines that are not a domain: {}", told["bad_lines"]));
    }
    text
}
