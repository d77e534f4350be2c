//! Writes mails into a Maildir: the built-in provider of `dev`, read by tests.
//!
//! ```text
//!   DIR/tmp/NAME.eml ── complete ──▶ rename ──▶ DIR/new/NAME.eml
//! ```
//!
//! A reader of `new/` never sees an incomplete mail. There is no fsync: a mail lost in a power
//! failure is replaced by a resend. The writes block only the delivery thread, for microseconds.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use lettre::message::Mailbox;

use super::HandOverFault;
use super::message::{Mail, Spelling};

/// Shows a mail at the terminal.
pub type Show = fn(&str);

pub(super) struct Outbox {
    dir: PathBuf,
    from: Mailbox,
    show: Option<Show>,
}

impl Outbox {
    /// Opens `dir` and creates missing folders, accessible to the owner only.
    pub(super) fn open(dir: PathBuf, from: Mailbox, show: Option<Show>) -> io::Result<Self> {
        for folder in ["tmp", "new", "cur"] {
            DirBuilder::new().recursive(true).mode(0o700).create(dir.join(folder))?;
        }
        Ok(Self { dir, from, show })
    }

    /// Puts the mail into `new/`.
    pub(super) fn hand_over(&self, mail: &Mail<'_>, unix_ms: u64) -> Result<(), HandOverFault> {
        let bytes = mail.compose(&self.from, Spelling::AsTyped)?;
        let name = format!("{unix_ms}.{}.eml", mail.token());
        self.write(&name, &bytes).map_err(|_| HandOverFault::Unwritable)?;
        if let Some(show) = self.show {
            show(&format!(
                "mail to {}: {}\n  it is in {}",
                mail.address(),
                mail.subject(),
                self.dir.join("new").display()
            ));
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.dir.join("tmp").join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file.write_all(bytes);
        let moved = written.and_then(|()| fs::rename(&unfinished, self.dir.join("new").join(name)));
        if moved.is_err() {
            let _the_first_error_matters = fs::remove_file(&unfinished);
        }
        moved
    }
}
