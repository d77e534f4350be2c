//! `authepy serve`: the real thing, from a config file.

use std::sync::Arc;

use authepy_engine::recipient::Realm;
use serde_json::json;
use tokio::sync::Notify;

use super::print::{complain, say};
use super::{Failure, Serve, log, memory, process, until_stopped};
use crate::config::{Config, ConfigFault};
use crate::control::reload::Reload;
use crate::control::store::StoreUrl;
use crate::server::{Plan, Server};
use crate::tls;

pub(super) async fn run(serve: Serve) -> Result<(), Failure> {
    let layers = serve.source.layers()?;
    let started = layers.digests();
    let config = Config::from_layers(layers)?;
    log::start(&config);
    memory::lock();
    serve.source.warnings(&config).iter().for_each(|warning| tracing::warn!("{warning}"));
    let asked = Arc::new(Notify::new());
    let hangup = asked.clone();
    process::on_hangup(move || hangup.notify_one())
        .map_err(|_| Failure::Internal("SIGHUP can't be caught".into()))?;
    let certificate = config.tls_files()?;
    let layers = Box::new(move || serve.source.layers());
    let reload = Reload { certificate, started, layers, asked };
    let server = Server::start(Plan { reload: Some(reload), ..plan(config)? }).await?;
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
    let plan = Plan {
        identity,
        store,
        admin_token: None,
        realm: Realm::Public,
        delivery,
        show_mail: None,
        reload: None,
        config,
    };
    Ok(plan)
}
