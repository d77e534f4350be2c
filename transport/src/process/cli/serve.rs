//! `authepy serve`: a server from a config file.

use std::sync::Arc;

use authepy_engine::recipient::Realm;
use serde_json::json;

use super::print::{complain, say};
use super::process::{Stop, on_hangup};
use super::{Failure, Serve, log, memory, until_stopped};
use crate::config::{Config, ConfigFault};
use crate::control::reload::{Hangup, Reload};
use crate::control::store::StoreUrl;
use crate::ground::certificate::identity_from_files;
use crate::process::check;
use crate::process::server::{Plan, Server};

pub(super) async fn run(serve: Serve) -> Result<(), Failure> {
    // Before anything is opened, and before the server is announced as ready.
    let mut stop = Stop::catch()?;
    let json = serve.json;
    let Some(server) = stop.unless_asked(start(serve)).await? else { return Ok(()) };
    if !stop.is_asked() {
        tell_ready(&server, json);
    }
    until_stopped(server, stop).await
}

fn tell_ready(server: &Server, json: bool) {
    let Server { h3, tcp, admin, .. } = server;
    if json {
        say(&json!({"h3": h3[0], "tcp": tcp[0], "admin": format!("http://{admin}")}).to_string());
    } else {
        complain(&format!("serving HTTP/3 on udp://{}, HTTP/2 and HTTP/1.1 on tcp://{}", h3[0], tcp[0]));
    }
}

async fn start(serve: Serve) -> Result<Server, Failure> {
    let layers = serve.source.layers()?;
    let started = layers.digests();
    let config = Config::from_layers(layers)?;
    log::start(&config);
    memory::lock();
    serve.source.warnings(&config).iter().for_each(|warning| tracing::warn!("{warning}"));
    let asked = Arc::<Hangup>::default();
    let hangup = asked.clone();
    on_hangup(move || hangup.ask()).map_err(|_| Failure::Internal("SIGHUP can't be caught".into()))?;
    let certificate = config.tls_files()?;
    let read = Box::new(move || {
        let layers = serve.source.layers()?;
        let digests = layers.digests();
        let config = Config::from_layers(layers)?;
        check::start(&config)?;
        Ok((config, digests))
    });
    let reload = Reload { certificate, started, read, asked };
    Ok(Server::start(Plan { reload: Some(reload), ..plan(config)? }).await?)
}

fn plan(config: Config) -> Result<Plan, ConfigFault> {
    let (chain, key) = config.tls_files()?;
    let identity = identity_from_files(&chain, &key)?;
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
