//! `authepy dev`: a development server that needs no installation or configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::KeyClass;
use authepy_engine::recipient::Realm;
use serde::Serialize;
use tempfile::TempDir;

use super::print::{complain, say};
use super::process::Stop;
use super::{Dev, Failure, log, memory, until_stopped};
use crate::config::{Config, Layers, ProviderConfig, ProviderKind};
use crate::control::registry::{NewKey, NewKeyRequest, Registry, RegistryFault, draw_token, token_digest};
use crate::control::store::StoreUrl;
use crate::delivery::Show;
use crate::ground::certificate::development_identity;
use crate::process::server::{Plan, Server};

const PROJECT: &str = "dev";
const ORIGINS: [&str; 3] = ["localhost", "mybrand.com", "*.mybrand.com"];

/// What the user of a development server needs to know.
#[derive(Serialize)]
pub(super) struct Ready {
    pub(super) h3: SocketAddr,
    pub(super) tcp: SocketAddr,
    pub(super) admin: String,
    pub(super) ca: PathBuf,
    pub(super) project: &'static str,
    pub(super) secret_key: String,
    pub(super) restricted_key: String,
    pub(super) secret_test_key: String,
    pub(super) restricted_test_key: String,
    pub(super) admin_token: String,
    pub(super) outbox: PathBuf,
}

/// A development server with its folder. A temporary folder is removed on drop.
pub(super) struct DevServer {
    pub(super) server: Server,
    pub(super) ready: Ready,
    _folder: Option<TempDir>,
}

pub(super) async fn run(dev: Dev) -> Result<(), Failure> {
    let mut stop = Stop::catch()?;
    let json = dev.json;
    let start = start(dev, (!json).then_some(complain as Show));
    let Some(dev_server) = stop.unless_asked(start).await? else { return Ok(()) };
    // Not done in the demo, where a warning would only distract and which ends within seconds.
    memory::lock();
    if !stop.is_asked() {
        tell_ready(&dev_server.ready, json)?;
    }
    until_stopped(dev_server.server, stop).await
}

fn tell_ready(ready: &Ready, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(ready)
            .map_err(|_| Failure::Internal("the ready line can't be encoded".into()))?;
        say(&line);
    } else {
        introduce(ready);
    }
    Ok(())
}

/// Starts a development server. `show_mail` also shows mails on the terminal.
pub(super) async fn start(dev: Dev, show_mail: Option<Show>) -> Result<DevServer, Failure> {
    let config = Config::from_layers(layers(&dev)?)?;
    log::start(&config);
    let folder = match &dev.dir {
        Some(_) => None,
        None => Some(TempDir::with_prefix("authepy-").map_err(|_| folder_fault())?),
    };
    let dir = match (&dev.dir, &folder) {
        (Some(dir), _) => dir.clone(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => return Err(folder_fault()),
    };
    std::fs::create_dir_all(&dir).map_err(|_| folder_fault())?;
    let dir = dir.canonicalize().map_err(|_| folder_fault())?;
    let (identity, ca) = development_identity()
        .map_err(|_| Failure::Internal("the development certificate can't be created".into()))?;
    let (ca_file, outbox) = (dir.join("ca.pem"), dir.join("outbox"));
    std::fs::write(&ca_file, ca).map_err(|_| folder_fault())?;
    let store = StoreUrl::file(&dir.join("authepy.db"));
    let keys = Keys::create(&Registry::open(&store).await?).await?;
    let admin_token = draw_token();

    let delivery = match config.delivery.is_empty() {
        true => vec![outbox_provider(&outbox)],
        false => config.delivery.clone(),
    };
    let token = Some(token_digest(admin_token.as_bytes()));
    let plan = Plan {
        identity,
        store,
        admin_token: token,
        realm: Realm::Dev,
        delivery,
        show_mail,
        reload: None,
        config,
    };
    let server = Server::start(plan).await?;
    let ready = Ready {
        h3: server.h3[0],
        tcp: server.tcp[0],
        admin: format!("http://{}", server.admin),
        ca: ca_file,
        project: PROJECT,
        secret_key: keys.secret.key.expose().into(),
        restricted_key: keys.restricted.key.expose().into(),
        secret_test_key: keys.secret_test.key.expose().into(),
        restricted_test_key: keys.restricted_test.key.expose().into(),
        admin_token: admin_token.to_string(),
        outbox,
    };
    Ok(DevServer { server, ready, _folder: folder })
}

/// The command's own defaults are overridden by everything that the user sets.
fn layers(dev: &Dev) -> Result<Layers, Failure> {
    let listen = match dev.listen.is_empty() {
        true => vec!["127.0.0.1:8443".to_owned(), "[::1]:8443".to_owned()],
        false => dev.listen.iter().map(SocketAddr::to_string).collect(),
    };
    let picks_port = dev.listen.iter().any(|address| address.port() == 0);
    let default_admin = if picks_port { "127.0.0.1:0" } else { "127.0.0.1:9443" };
    let admin = dev.admin.map_or(default_admin.to_owned(), |address| address.to_string());
    let listen: Vec<toml::Value> = listen.into_iter().map(toml::Value::String).collect();
    let own = Layers::new()?
        .set("listen", toml::Value::Array(listen))?
        .set("admin.listen", toml::Value::String(admin))?
        .set("engine.pin", toml::Value::Boolean(false))?;
    Ok(dev.settings.over(own)?)
}

/// A key of each class and mode.
struct Keys {
    secret: NewKey,
    restricted: NewKey,
    secret_test: NewKey,
    restricted_test: NewKey,
}

impl Keys {
    /// Creates new keys at each start: earlier keys still work, but can't be shown again.
    async fn create(registry: &Registry) -> Result<Self, RegistryFault> {
        match registry.create_project(PROJECT, &[]).await {
            Ok(_) | Err(RegistryFault::Taken) => {}
            Err(fault) => return Err(fault),
        }
        let create = async |class, mode| {
            let origins = if class == KeyClass::Restricted { &ORIGINS[..] } else { &[] };
            let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            let project = PROJECT.to_owned();
            registry
                .create_key(&NewKeyRequest { project, class, mode, native: false, origins, expires: None })
                .await
        };
        Ok(Self {
            secret: create(KeyClass::Secret, Mode::Live).await?,
            restricted: create(KeyClass::Restricted, Mode::Live).await?,
            secret_test: create(KeyClass::Secret, Mode::Test).await?,
            restricted_test: create(KeyClass::Restricted, Mode::Test).await?,
        })
    }
}

fn outbox_provider(outbox: &Path) -> ProviderConfig {
    ProviderConfig {
        name: "outbox".into(),
        kind: ProviderKind::Outbox,
        url: outbox.to_string_lossy().as_ref().into(),
        from: "Authepy <no-reply@authepy.example>".into(),
        ca_file: None,
        username: None,
        password: None,
        password_file: None,
        secret: None,
        secret_file: None,
    }
}

fn folder_fault() -> Failure {
    Failure::Unavailable("--dir: the folder can't be written".into())
}

fn introduce(ready: &Ready) {
    let Ready { h3, ca, restricted_key, secret_key, outbox, admin, admin_token, .. } = ready;
    say(&format!("Authepy serves HTTP/3 on udp://{h3}, HTTP/2 and HTTP/1.1 on the same TCP port."));
    say(&format!("  secret key      {secret_key}"));
    say(&format!("  restricted key  {restricted_key}   (origins: {})", ORIGINS.join(", ")));
    say(&format!("  mail            {}/new", outbox.display()));
    say(&format!("  console         {admin}/   (admin token: {admin_token})"));
    say(&format!("  metrics         {admin}/metrics"));
    say(&format!("  status          AUTHEPY_ADMIN_TOKEN={admin_token} authepy status --admin {admin}"));
    say("Issue a code (add --http3-only if your curl supports HTTP/3):");
    say(&format!("  curl --cacert {} https://localhost:{}/v1/verifications \\", ca.display(), h3.port()));
    say(&format!("    -H 'Authorization: Bearer {secret_key}' -H 'Content-Type: application/json' \\"));
    say("    -d '{\"recipient\":\"ada@example.com\",\"purpose\":\"login\"}'");
    complain("Press Ctrl-C to stop.");
}
