//! `authepy project`: creates and lists projects (tenants).

use clap::{Args, Subcommand};

use super::Failure;
use super::store::StoreArgs;

#[derive(Args)]
pub(super) struct Project {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a project
    Create {
        /// Its name; also the audience of its receipts
        name: String,
        /// An address for its alerts; repeatable
        #[arg(long, value_name = "ADDRESS")]
        alert_to: Vec<String>,
    },
    /// List all projects
    List,
}

pub(super) async fn run(project: Project) -> Result<(), Failure> {
    let registry = project.store.open().await?;
    match project.action {
        Action::Create { name, alert_to } => {
            let made = registry.create_project(&name, &alert_to).await?;
            project.store.tell(&made, &format!("project {} created", made.name))
        }
        Action::List => {
            let all = registry.projects().await?;
            let lines = all.projects.iter().map(|project| {
                format!("{}  since {}  alerts to {:?}\n", project.name, project.created_at, project.alert_to)
            });
            project.store.tell(&all, &lines.collect::<String>())
        }
    }
}
