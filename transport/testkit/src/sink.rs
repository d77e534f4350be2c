//! Debian's `smtp-sink`, a relay that takes every mail and keeps it in one file.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::PATIENCE;

/// A running one; ends with the test, and the mails with it.
pub struct Sink {
    process: Child,
    folder: TempDir,
    /// Where it listens, on `127.0.0.1`.
    pub port: u16,
}

impl Sink {
    /// Starts one on a free port.
    pub fn start() -> Self {
        // It can't choose a port itself; should another process take it in between, start again.
        for _ in 0..5 {
            let folder = folder();
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = Command::new("/usr/sbin/smtp-sink")
                .args(["-u", "root", "-R", folder.path().to_str().unwrap(), "-D", "mails"])
                .args([&format!("127.0.0.1:{port}"), "100"])
                .stderr(Stdio::null())
                .spawn()
                .expect("smtp-sink is not installed: run the tests through .ci/test");
            let deadline = Instant::now() + PATIENCE;
            while process.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, folder, port };
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let _has_ended_already = process.kill();
            let _status = process.wait();
        }
        panic!("smtp-sink does not start");
    }

    /// How to reach it, as a config file says it.
    pub fn config(&self) -> String {
        format!(
            "[[delivery]]\nname = \"sink\"\nkind = \"smtp\"\nurl = \"smtp://127.0.0.1:{}\"\n\
             from = \"no-reply@mybrand.com\"\n",
            self.port
        )
    }

    /// Everything that came.
    pub fn text(&self) -> String {
        let mails = std::fs::read(self.folder.path().join("mails")).unwrap_or_default();
        String::from_utf8_lossy(&mails).into_owned()
    }

    /// The first mail to this address, whole; waits for it.
    pub fn mail_to(&self, address: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let is_whole =
            |mail: &&str| mail.contains(&format!("X-Rcpt-Args: <{address}>")) && mail.contains("--\n");
        loop {
            if let Some(mail) = self.text().split("X-Client-Addr: ").find(is_whole) {
                return mail.to_owned();
            }
            assert!(Instant::now() < deadline, "no mail to {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many mails came for each address of an envelope.
    pub fn mails(&self) -> HashMap<String, usize> {
        let mut mails = HashMap::new();
        for rest in self.text().split("X-Rcpt-Args: <").skip(1) {
            let address = rest.split('>').next().unwrap();
            *mails.entry(address.to_owned()).or_default() += 1;
        }
        mails
    }
}

/// In memory where there is such a place: it writes as it takes mails, and a busy disk would make it a slow relay.
fn folder() -> TempDir {
    let in_memory = TempDir::with_prefix_in("authepy-sink-", "/dev/shm");
    in_memory.or_else(|_| TempDir::with_prefix("authepy-sink-")).unwrap()
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
