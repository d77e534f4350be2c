//! `authepy serve`: the real thing, from a config file.

use authepy_engine::recipient::Realm;
use serde_json::json;

use super::print::{complain, say};
use super::{Failure, Serve, process, until_stopped};
use crate::config::{Config, ConfigFault, Layers};
use crate::control::store::StoreUrl;
use crate::server::{Plan, Server};
use crate::tls;

pub(super) async fn run(serve: Serve) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&serve.config)
        .map_err(|_| ConfigFault(format!("{}: can't be read", serve.config.display())))?;
    let config = Config::from_layers(serve.settings.over(Layers::new()?.file(&text)?)?)?;
    process::log(&config);
    let server = Server::start(plan(config)?).await?;
    if serve.json {
        say(&json!({"h3": server.h3[0], "tcp": server.tcp[0], "admin": format!("http://{}", server.admin)})
            .to_string());
    } else {
        complain(&format!(
            "serving HTTP/3 on udp://{}, HTTP/2 and HTTP/1.1 on tcp://{}",
            server.h3[0], server.tcp[0]
        ));
    }
    until_stopped(server).await
}

fn plan(config: Config) -> Result<Plan, ConfigFault> {
    let (chain, key) = config.tls_files()?;
    let identity = tls::identity_from_files(&chain, &key)?;
    let store = StoreUrl::parse(&config.store.url)?;
    if config.delivery.is_empty() {
        return Err(ConfigFault("delivery: at least one way out for mail".into()));
    }
    let delivery = config.delivery.clone();
    Ok(Plan { identity, store, admin_token: None, realm: Realm::Public, delivery, show_mail: None, config })
}
