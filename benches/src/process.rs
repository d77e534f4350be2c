//! The servers, each its own process, gone when the bench is.
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A page that the restricted keys of `dev` are for.
pub const PAGE: &str = "https://mybrand.com";

/// Where a server listens, and the certificate (PEM text) to trust it by.
#[derive(Serialize, Deserialize)]
pub struct Ready {
    /// Its UDP address.
    pub h3: SocketAddr,
    /// PEM.
    pub ca: String,
    /// The service's alone; an echo has no keys.
    #[serde(default)]
    pub secret_test_key: String,
    /// As above; for [`PAGE`].
    #[serde(default)]
    pub restricted_test_key: String,
    /// The service's alone: where its operator asks, and the word that lets him.
    #[serde(default)]
    pub admin: String,
    /// As above.
    #[serde(default)]
    pub admin_token: String,
}

impl Ready {
    /// Of a server that has neither keys nor an operator.
    #[must_use]
    pub fn bare(h3: SocketAddr, ca: String) -> Self {
        let none = String::new;
        let (secret_test_key, restricted_test_key) = (none(), none());
        Self { h3, ca, secret_test_key, restricted_test_key, admin: none(), admin_token: none() }
    }
}

/// A child that does not outlive its owner.
struct Leashed(Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The yardstick's process: this program once more, with a hidden command.
pub struct Yardstick {
    /// Its ready line.
    pub ready: Ready,
    child: Leashed,
}

impl Yardstick {
    /// Starts it.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn start(command: &str) -> Result<Self, String> {
        let itself = std::env::current_exe().map_err(|error| error.to_string())?;
        let (child, line, _) = start(Command::new(itself).arg(command))?;
        Ok(Self { ready: parse(&line)?, child })
    }

    /// Whose CPU time to look at.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

/// The service under measurement, and a test key for it.
pub struct Authepy {
    /// Its ready line.
    pub ready: Ready,
    /// A secret test key.
    pub key: String,
    child: Leashed,
    // Held open: a server that finds its stdout closed may stop.
    _stdout: BufReader<ChildStdout>,
    _dir: TempDir,
}

/// Every limit that would turn load into refusals, off; the rest as shipped.
const SETTINGS: [&str; 14] = [
    "engine.shards=1",
    "memory.ceiling=\"2GiB\"",
    "codes.lifetime=\"600s\"",
    "limits.recipient.issue=\"off\"",
    "limits.recipient_peer.issue=\"off\"",
    "limits.recipient_all.issue=\"off\"",
    "limits.domain.unverified=\"off\"",
    "limits.domain_peer.unverified=\"off\"",
    "limits.recipient.guess=\"off\"",
    "limits.peer.issue=\"off\"",
    "limits.peer.check=\"off\"",
    "limits.peer.denied=\"off\"",
    "limits.peer.handshake=\"off\"",
    "limits.peer.any=\"off\"",
];

impl Authepy {
    /// Starts it with these settings above those that every bench has.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn start(binary: &Path, more: &[String]) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new(binary);
        command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dir"]);
        command.arg(dir.path());
        for setting in SETTINGS.into_iter().chain(more.iter().map(String::as_str)) {
            command.args(["--set", setting]);
        }
        let (child, line, stdout) = start(&mut command)?;
        let mut ready: Ready = parse(&line)?;
        // The service names its CA file; the client wants the text.
        ready.ca = fs::read_to_string(&ready.ca).map_err(|error| format!("{}: {error}", ready.ca))?;
        // No peer windows, no mail, code 000000.
        let key = ready.secret_test_key.clone();
        Ok(Self { ready, key, child, _stdout: stdout, _dir: dir })
    }

    /// Starts it as an operator would, its mail going to this relay; the key is a live one.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn start_with_relay(binary: &Path, relay: SocketAddr) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let dir = tempfile::tempdir().map_err(|error| text(&error))?;
        let at = |name: &str| dir.path().join(name).display().to_string();
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| text(&error))?;
        fs::write(at("cert.pem"), made.cert.pem()).map_err(|error| text(&error))?;
        fs::write(at("key.pem"), made.signing_key.serialize_pem()).map_err(|error| text(&error))?;
        let store = format!("sqlite://{}", at("authepy.db"));
        let config = format!(
            "listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\nstore.url = \"{store}\"\n\
             tls.cert = \"{}\"\ntls.key = \"{}\"\n[[delivery]]\nname = \"relay\"\nkind = \"smtp\"\n\
             url = \"smtp://{relay}\"\nfrom = \"no-reply@example.com\"\n",
            at("cert.pem"),
            at("key.pem")
        );
        fs::write(at("authepy.toml"), config).map_err(|error| text(&error))?;
        said(binary, &["project", "create", "bench", "--store", &store, "--json"])?;
        let how = ["--project", "bench", "--class", "secret", "--store", &store, "--json"];
        let key = said(binary, &[&["key", "create"][..], &how].concat())?;
        let key: serde_json::Value = parse(&key)?;
        let key = key["key"].as_str().ok_or("no key")?.to_owned();
        let mut command = Command::new(binary);
        command.args(["serve", "--json", "--config", &at("authepy.toml")]);
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        let (child, line, stdout) = start(&mut command)?;
        let addresses: serde_json::Value = parse(&line)?;
        let h3 = addresses["h3"].as_str().and_then(|h3| h3.parse().ok()).ok_or("no address")?;
        let ready = Ready::bare(h3, made.cert.pem());
        Ok(Self { ready, key, child, _stdout: stdout, _dir: dir })
    }

    /// Bans a network by the operator's command, for an hour.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn ban(&self, binary: &Path, peer: &str) -> Result<(), String> {
        let mut command = Command::new(binary);
        command.args(["ban", "add", peer, "--for", "1h", "--admin", &self.ready.admin]);
        command.env("AUTHEPY_ADMIN_TOKEN", &self.ready.admin_token).stdout(Stdio::null());
        let status = command.status().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("ban add {peer}: {status}")) }
    }

    /// Whose CPU time to look at.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

/// What a command of the service prints.
fn said(binary: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(binary).args(arguments).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Starts a server and waits for its ready line.
fn start(command: &mut Command) -> Result<(Leashed, String, BufReader<ChildStdout>), String> {
    let name = command.get_program().display().to_string();
    let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
    let mut child = Leashed(child.map_err(|error| format!("{name}: {error}"))?);
    let mut stdout = BufReader::new(child.0.stdout.take().ok_or("no stdout")?);
    let mut line = String::new();
    stdout.read_line(&mut line).map_err(|error| format!("{name}: {error}"))?;
    if line.is_empty() {
        return Err(format!("{name} ended without its ready line"));
    }
    Ok((child, line, stdout))
}

fn parse<T: for<'de> Deserialize<'de>>(line: &str) -> Result<T, String> {
    serde_json::from_str(line.trim()).map_err(|error| format!("not the JSON line expected: {error}"))
}
