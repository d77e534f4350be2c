//! `authepy dev`: everything embedded, nothing to install, nothing to configure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use authepy_engine::entropy::Entropy;
use authepy_engine::perimeter::api_key::{ApiKey, KeyClass, Mode};
use authepy_engine::recipient::Realm;
use serde::Serialize;
use tempfile::TempDir;

use super::print::{complain, say};
use super::{Dev, Failure, process, until_stopped};
use crate::config::{Config, Layers};
use crate::control::keyfile::{self, StoredKey};
use crate::delivery::{ProviderConfig, ProviderKind, Show};
use crate::entropy::OsEntropy;
use crate::server::{Plan, Server};
use crate::tls;

const PROJECT: &str = "dev";
const ORIGINS: [&str; 3] = ["localhost", "mybrand.com", "*.mybrand.com"];

/// What a caller needs to know of a development server.
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

/// A development server with its folder; the folder goes with it unless it was given.
pub(super) struct DevServer {
    pub(super) server: Server,
    pub(super) ready: Ready,
    _folder: Option<TempDir>,
}

pub(super) async fn run(dev: Dev) -> Result<(), Failure> {
    let json = dev.json;
    let dev_server = start(dev, (!json).then_some(complain as Show)).await?;
    if json {
        let line = serde_json::to_string(&dev_server.ready)
            .map_err(|_| Failure::Internal("the ready line".into()))?;
        say(&line);
    } else {
        introduce(&dev_server.ready);
    }
    until_stopped(dev_server.server).await
}

/// Starts a development server. `show_mail`: on the terminal, too.
pub(super) async fn start(dev: Dev, show_mail: Option<Show>) -> Result<DevServer, Failure> {
    let config = Config::from_layers(layers(&dev)?)?;
    process::log(&config);
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
    let (identity, ca) =
        tls::development_identity().map_err(|_| Failure::Internal("no certificate could be made".into()))?;
    let (ca_file, outbox) = (dir.join("ca.pem"), dir.join("outbox"));
    std::fs::write(&ca_file, ca).map_err(|_| folder_fault())?;
    let keys = Keys::create();
    keyfile::save(&dir.join("keys.json"), &keys.stored).map_err(|_| folder_fault())?;

    let delivery = match config.delivery.is_empty() {
        true => vec![outbox_provider(&outbox)],
        false => config.delivery.clone(),
    };
    let plan = Plan {
        identity,
        keys: keyfile::book(&keys.stored)?,
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
        secret_key: keys.secret.expose().into(),
        restricted_key: keys.restricted.expose().into(),
        secret_test_key: keys.secret_test.expose().into(),
        restricted_test_key: keys.restricted_test.expose().into(),
        admin_token: admin_token(),
        outbox,
    };
    Ok(DevServer { server, ready, _folder: folder })
}

/// The command's own defaults lie below everything the caller says.
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

struct Keys {
    secret: ApiKey,
    restricted: ApiKey,
    secret_test: ApiKey,
    restricted_test: ApiKey,
    stored: Vec<StoredKey>,
}

impl Keys {
    fn create() -> Self {
        let create = |class, mode| {
            let origins: &[&str] = if class == KeyClass::Restricted { &ORIGINS } else { &[] };
            keyfile::create(PROJECT, class, mode, false, origins)
        };
        let (secret, secret_stored) = create(KeyClass::Secret, Mode::Live);
        let (restricted, restricted_stored) = create(KeyClass::Restricted, Mode::Live);
        let (secret_test, secret_test_stored) = create(KeyClass::Secret, Mode::Test);
        let (restricted_test, restricted_test_stored) = create(KeyClass::Restricted, Mode::Test);
        let stored = vec![secret_stored, restricted_stored, secret_test_stored, restricted_test_stored];
        Self { secret, restricted, secret_test, restricted_test, stored }
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
    }
}

/// 256 random bits in hexadecimal.
fn admin_token() -> String {
    let mut bytes = [0; 32];
    OsEntropy::default().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn folder_fault() -> Failure {
    Failure::Unavailable("--dir: the folder can't be written".into())
}

fn introduce(ready: &Ready) {
    let Ready { h3, ca, restricted_key, secret_key, outbox, admin, .. } = ready;
    say(&format!("Authepy serves HTTP/3 on udp://{h3}, HTTP/2 and HTTP/1.1 on the same TCP port."));
    say(&format!("  secret key      {secret_key}"));
    say(&format!("  restricted key  {restricted_key}   (origins: {})", ORIGINS.join(", ")));
    say(&format!("  mail            {}/new", outbox.display()));
    say(&format!("  metrics         {admin}/metrics"));
    say("Issue a code (curl takes --http3-only where it was built with HTTP/3):");
    say(&format!("  curl --cacert {} https://localhost:{}/v1/verifications \\", ca.display(), h3.port()));
    say(&format!("    -H 'Authorization: Bearer {secret_key}' -H 'Content-Type: application/json' \\"));
    say("    -d '{\"recipient\":\"ada@example.com\",\"purpose\":\"login\"}'");
    complain("Ctrl-C ends it.");
}
