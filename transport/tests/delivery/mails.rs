//! What recipients see: languages, templates, and headers that nobody can add to. Mails are read by Python's
//! `email` package, so this needs `AUTHEPY_CLIENTS`, a Python venv.

mod hostile;
mod languages;
mod templates;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use authepy_testkit::PATIENCE;
use serde::Deserialize;

/// A mail as a mail program reads it.
#[derive(Debug, Deserialize)]
struct Mail {
    subject: String,
    to: String,
    language: Option<String>,
    headers: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
    parts: usize,
    defects: usize,
    text: String,
    html: String,
    /// The header lines as they were sent.
    head: String,
}

impl Mail {
    /// The code, which has to stand where the contract says.
    fn code(&self) -> &str {
        let code = self.subject.rsplit(' ').next().unwrap();
        assert!(code.len() >= 6 && code.bytes().all(|b| b.is_ascii_digit()), "{self:?}");
        assert!(
            self.first_line().starts_with(&format!("{code} ")) || self.first_line().contains(code),
            "{self:?}"
        );
        assert!(self.html.contains(code), "{self:?}");
        let raw = self.head.replace("\r\n ", " ");
        let subject = raw.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        assert!(subject.ends_with(code), "for readers that decode nothing: {subject}");
        code
    }

    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    fn last_line(&self) -> &str {
        self.text.lines().next_back().unwrap()
    }
}

/// Mails in files, one after the other.
fn read(paths: &[PathBuf]) -> Vec<Mail> {
    let venv =
        std::env::var_os("AUTHEPY_CLIENTS").expect("AUTHEPY_CLIENTS must name a Python venv; see .ci/test");
    let output = Command::new(PathBuf::from(venv).join("bin/python"))
        .arg(authepy_testkit::script::client("read_mail.py"))
        .args(paths)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All mails of an outbox, oldest first, once there are `count`.
fn mails_in(outbox: &Path, count: usize) -> Vec<Mail> {
    let began = Instant::now();
    loop {
        let files = std::fs::read_dir(outbox.join("new")).into_iter().flatten().flatten();
        let mut files: Vec<_> =
            files.map(|file| (file.metadata().unwrap().modified().unwrap(), file.path())).collect();
        if files.len() >= count {
            files.sort();
            return read(&files.into_iter().map(|(_, path)| path).collect::<Vec<_>>());
        }
        assert!(began.elapsed() < PATIENCE, "{} of {count} mails", files.len());
        std::thread::yield_now();
    }
}
