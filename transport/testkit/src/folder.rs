//! An operator's view: files in a folder, the built binary, its exit codes, signals and log.

use std::process::{Command, Output, Stdio};

use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::{DevServer as Server, binary};

/// Runs the binary to its end, in this folder and with these variables.
pub fn authepy(folder: &Folder, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder.temp.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a program wrote, without its last line end.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// A folder with a config, a certificate and a store with one secret key.
pub struct Folder {
    temp: tempfile::TempDir,
    /// A secret key of the store; empty without one.
    pub secret_key: String,
}

/// A self-signed certificate for `localhost`.
pub struct Pair {
    /// The certificate as a client trusts it.
    pub der: CertificateDer<'static>,
    /// The certificate in PEM.
    pub chain: String,
    /// Its private key in PEM.
    pub key: String,
}

impl Pair {
    /// Makes a new one.
    pub fn make() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (der, chain) = (made.cert.der().clone(), made.cert.pem());
        Self { der, chain, key: made.signing_key.serialize_pem() }
    }
}

impl Folder {
    /// Without a store: for commands that open none.
    pub fn empty() -> Self {
        Self { temp: tempfile::TempDir::new().unwrap(), secret_key: String::new() }
    }

    /// With the store that a development server made.
    pub fn with_store() -> Self {
        let mut folder = Self::empty();
        let dir = folder.path("dev");
        let dev = Server::run(&["dev", "--json", "--listen", "127.0.0.1:0", "--dir", &dir]);
        folder.secret_key = dev.text("secret_key").to_owned();
        folder
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.temp.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file as a careful program does: a reader sees the old one or the new one.
    pub fn write(&self, name: &str, text: &str) -> String {
        let (path, next) = (self.path(name), self.path(&format!("{name}.next")));
        self.write_with_mode(&format!("{name}.next"), text, 0o600);
        std::fs::rename(next, &path).unwrap();
        path
    }

    /// Writes a file with these permissions; returns its path.
    pub fn write_with_mode(&self, name: &str, text: &str, mode: u32) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Key first: the other order would show one more pair that does not match.
    pub fn install(&self, pair: &Pair) {
        self.write("key.pem", &pair.key);
        self.write("cert.pem", &pair.chain);
    }

    /// The settings a start needs; `more` may hold sections.
    pub fn config(&self, more: &str) -> String {
        let store = format!("sqlite://{}", self.path("dev/authepy.db"));
        format!(
            "listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\nengine.shards = 2\n\
             tls = {{cert = \"{}\", key = \"{}\"}}\nstore.url = \"{store}\"\n\
             delivery = [{{name = \"outbox\", kind = \"outbox\", url = \"{}\", from = \"codes@acme.example\"}}]\n{more}\n",
            self.path("cert.pem"),
            self.path("key.pem"),
            self.path("outbox"),
        )
    }

    /// Starts `serve` on what stands in the folder's `authepy.toml`.
    pub fn serve(&self) -> Server {
        let mut server = Server::run(&["serve", "--json", "--config", &self.path("authepy.toml")]);
        server.ready["secret_key"] = Value::from(self.secret_key.as_str());
        server
    }
}

/// What the log says of a config that was taken.
pub const TAKEN: &str = "the config was read again";
/// What the log says of a config that was not taken.
pub const NOT_TAKEN: &str = "the config can't be used";
