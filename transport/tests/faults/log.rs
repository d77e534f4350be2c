//! Nobody reads what the server says: its log fills the pipe, or the pipe is gone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use authepy_testkit::DevServer;
use authepy_testkit::canary::Canary;

/// A pipe with a name, full from the start: what is written to it is not taken.
struct Pipe {
    path: PathBuf,
    /// Open for reading, though nobody does.
    end: File,
    _folder: TempDir,
}

impl Pipe {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // For both, as opening one end alone waits for the other.
        let end =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        while (&end).write(&[b'x'; 4_096]).is_ok() {}
        Self { path, end, _folder: folder }
    }

    /// A server that writes its log, all of it, here.
    fn server(&self) -> DevServer {
        let script = format!("exec \"$@\" 2>'{}'", self.path.display());
        DevServer::run_under(
            "sh",
            &["-c", &script, "sh"],
            &["dev", "--json", "--listen", "127.0.0.1:0", "--set", "log.level=trace"],
        )
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nobody() {
    let pipe = Pipe::new();
    let mut server = pipe.server();
    let canary = Canary::with_mail(&server, "unread").await;
    canary.beside(tokio::time::sleep(std::time::Duration::from_secs(1))).await;
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_ends_nothing() {
    let pipe = Pipe::new();
    let mut server = pipe.server();
    let canary = Canary::with_mail(&server, "gone").await;
    drop(pipe.end);
    canary.beside(tokio::time::sleep(std::time::Duration::from_secs(1))).await;
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}
