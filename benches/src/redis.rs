//! A Redis of the bench's own that keeps the same rules by two Lua scripts, and the least client it needs.
//!
//! ```text
//!   issue.lua  peer's windows ─▶ inbox's window, peer's share of it ─▶ verification with MAC and tries, for 300 s
//!   check.lua  peer's window ─▶ a try less ─▶ compare ─┬─ right: delete
//!                                                      └─ wrong: the inbox's ledger
//! ```
//!
//! The windows are exact like the engine's and have the same counts and spans: lists of moments, newest first, of
//! which only the COUNT-th is looked at; that is cheaper in Redis than the usual sorted sets. MACs are made by
//! whoever asks, so Redis hashes nothing; nor does it ban, count strikes or lengthen codes.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::cpu;

/// Opens a verification: 1, or less than zero for a refusal.
pub const ISSUE: &str = include_str!("redis/issue.lua");
/// Counts a try and compares: 1 for right, 0 for wrong, less than zero for a refusal.
pub const CHECK: &str = include_str!("redis/check.lua");
/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server, on a socket in a folder of its own; it writes nothing to disk and goes with its owner.
pub struct Redis {
    child: Child,
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Commands not sent yet.
    out: Vec<u8>,
    _dir: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Redis {
    /// Starts it; `None` where it is not installed. The child stays on the calling thread's core.
    ///
    /// # Errors
    /// It is installed, but does not come up.
    pub fn start() -> Result<Option<Self>, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let socket = dir.path().join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("redis-server: {error}")),
        };
        let stream = connect(&socket)?;
        let reader = BufReader::new(stream.try_clone().map_err(|error| error.to_string())?);
        Ok(Some(Self { child, reader, writer: stream, out: Vec::new(), _dir: dir }))
    }

    /// Whose CPU time to look at.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Loads a script; returns the name it is called by.
    ///
    /// # Errors
    /// Redis refuses it, or has gone.
    pub fn load(&mut self, script: &str) -> Result<String, String> {
        self.push(&[b"SCRIPT", b"LOAD", script.as_bytes()]);
        self.flush()?;
        let header = self.line()?;
        let length = header.strip_prefix('$').and_then(|length| length.parse::<usize>().ok());
        let mut name = vec![0; length.ok_or(header)? + 2];
        self.reader.read_exact(&mut name).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&name).trim_end().to_owned())
    }

    /// Adds a command to those that go together.
    pub fn push(&mut self, parts: &[&[u8]]) {
        // Writing to a vector can't fail.
        let _ = write!(self.out, "*{}\r\n", parts.len());
        for part in parts {
            let _ = write!(self.out, "${}\r\n", part.len());
            self.out.extend_from_slice(part);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends what was pushed, then reads so many whole numbers.
    ///
    /// # Errors
    /// An answer is something else, or Redis has gone.
    pub fn numbers(&mut self, count: usize) -> Result<Vec<i64>, String> {
        self.flush()?;
        let number = |_| {
            let line = self.line()?;
            line.strip_prefix(':').and_then(|number| number.parse().ok()).ok_or(line)
        };
        (0..count).map(number).collect()
    }

    fn flush(&mut self) -> Result<(), String> {
        let out = std::mem::take(&mut self.out);
        self.writer.write_all(&out).map_err(|error| error.to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            Ok(_) => Err("redis-server has gone".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn connect(socket: &Path) -> Result<UnixStream, String> {
    let end = cpu::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if cpu::now() > end => return Err(format!("redis-server: {error}")),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
