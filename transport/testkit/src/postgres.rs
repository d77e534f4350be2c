//! A PostgreSQL server of the test's own: free port, temporary folder, ended with the test.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server.
pub struct Postgres {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// Starts one. Its programs refuse to run as root, so they run as Debian's `postgres` user.
    pub fn start() -> Self {
        let programs = programs();
        let folder = TempDir::with_prefix("authepy-postgres-").unwrap();
        let data = folder.path().join("data");
        let (user, group) = (number(&["-u", "postgres"]), number(&["-g", "postgres"]));
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        let run = |program: &str| {
            let mut command = Command::new(format!("{programs}/{program}"));
            command
                .current_dir(folder.path())
                .uid(user)
                .gid(group)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made =
            run("initdb").arg("-D").arg(&data).args(["-A", "trust", "-U", "postgres"]).status().unwrap();
        assert!(made.success(), "initdb failed");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = run("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-F", "-k"])
            .arg(folder.path())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !run("pg_isready")
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .unwrap()
            .success()
        {
            assert!(Instant::now() < deadline, "postgres did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port, _folder: folder }
    }

    /// The store's URL, as a config file says it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Stops every process of the server in its tracks: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Each backend leads a process group of its own, so they are found by their parent.
    fn signal(&self, signal: &str) {
        let parent = self.process.id().to_string();
        let mut all = vec![parent.clone()];
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // Behind the name in parentheses: state, parent, …
            let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
            if behind.split_whitespace().nth(1) == Some(&parent) {
                all.push(process.file_name().into_string().unwrap());
            }
        }
        // A backend may end in between; what matters is that the rest hears.
        let _some_ended = Command::new("kill").arg(signal).args(all).stderr(Stdio::null()).status().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.thaw();
        self.signal("-QUIT");
        let _reaped = self.process.wait();
    }
}

/// Where Debian keeps the server's programs.
fn programs() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut with_server =
        versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let found = with_server.next().expect("postgresql is not installed: run the tests through .ci/test");
    found.to_str().unwrap().to_owned()
}

fn number(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
