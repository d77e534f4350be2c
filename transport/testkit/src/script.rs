//! A program in `testkit/clients` that plays somebody's server and tells what it sees, one JSON line an event.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{DevServer, PATIENCE};

/// A running script; ends with the test.
pub struct Script {
    process: Child,
    /// Where it listens, on `127.0.0.1`.
    pub port: u16,
    events: flume::Receiver<Value>,
}

impl Script {
    /// Starts a program of `testkit/clients`, with TLS if it gets a chain and a key; waits for its port.
    pub fn start(name: &str, arguments: &[&str], certificate: Option<(&Path, &Path)>) -> Self {
        let mut command = Command::new(python());
        command.arg(client(name)).args(arguments);
        if let Some((chain, key)) = certificate {
            command.arg("--cert").arg(chain).arg("--key").arg(key);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, events) = flume::unbounded();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _test_is_over = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let first: Value = events.recv_timeout(PATIENCE).expect("the script did not start");
        let port = first["port"].as_u64().unwrap() as u16;
        Self { process, port, events }
    }

    /// What has been told so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.try_iter().collect()
    }

    /// Everything told up to the first `event`.
    pub fn until(&self, event: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last: &Value| last.get(event).is_none()) {
            seen.push(
                self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {event} in {seen:?}")),
            );
        }
        seen
    }

    /// The next event of this name.
    pub fn next(&self, event: &str) -> Value {
        self.until(event).pop().unwrap()[event].take()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _has_ended_already = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Runs a script against a server, to its end, and returns what it reports on its last line.
pub fn report(script: &str, server: &DevServer, arguments: &[&str]) -> Value {
    report_by(&mut Command::new(python()), script, server, arguments)
}

/// The same for a script of JavaScript, with the packages of `.ci/node`.
pub fn report_of_node(script: &str, server: &DevServer, arguments: &[&str]) -> Value {
    let packages = clients().join("node/node_modules");
    assert!(packages.is_dir(), "{} is missing: run the tests through .ci/test", packages.display());
    let mut node = Command::new("node");
    node.env("AUTHEPY_CLIENTS", clients()).env("NODE_EXTRA_CA_CERTS", server.text("ca"));
    report_by(&mut node, script, server, arguments)
}

fn report_by(interpreter: &mut Command, script: &str, server: &DevServer, arguments: &[&str]) -> Value {
    let output =
        interpreter.arg(client(script)).arg(server.ready.to_string()).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(line).unwrap()
}

/// The path of a program in `testkit/clients`.
pub fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// The interpreter that has what the clients need.
pub fn python() -> PathBuf {
    clients().join("bin/python")
}

/// Where clients that are not ours are installed.
fn clients() -> PathBuf {
    let venv = std::env::var_os("AUTHEPY_CLIENTS").expect(
        "AUTHEPY_CLIENTS must name a Python venv with what .ci/clients.txt lists: \
         python3 -m venv DIR && DIR/bin/pip install -r .ci/clients.txt && export AUTHEPY_CLIENTS=DIR",
    );
    PathBuf::from(venv)
}
