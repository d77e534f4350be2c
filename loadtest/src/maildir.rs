//! Reads codes out of the server's Maildir, by looking into `new/` every few milliseconds.
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock;

/// Time between two looks; a longer look makes the pause longer, so that reading never takes over a core.
const PAUSE: Duration = Duration::from_millis(5);

/// The mails that arrived since the run began, by recipient. The files stay where they are.
pub(crate) struct Maildir {
    new: PathBuf,
    mails: Mutex<HashMap<String, Mail>>,
}

struct Mail {
    code: String,
    copies: u64,
}

impl Maildir {
    /// Watches from a thread of its own until the last owner is gone. Mails that are there already are old.
    pub(crate) fn watch(outbox: &Path) -> Result<Arc<Self>, String> {
        let maildir = Arc::new(Self { new: outbox.join("new"), mails: Mutex::default() });
        let mut seen = HashSet::new();
        maildir.unseen(&mut seen).map_err(|error| format!("{}: {error}", maildir.new.display()))?;
        let watched = Arc::downgrade(&maildir);
        thread::spawn(move || look(&watched, seen));
        Ok(maildir)
    }

    /// The code of the first mail to `recipient`.
    pub(crate) async fn code_for(&self, recipient: &str, patience: Duration) -> Option<String> {
        let arrival = async {
            loop {
                if let Some(code) = self.locked(|mails| mails.get(recipient).map(|mail| mail.code.clone())) {
                    return code;
                }
                sleep(PAUSE).await;
            }
        };
        timeout(patience, arrival).await.ok()
    }

    /// Mails beyond the first for one recipient: nobody asked for those.
    pub(crate) fn surplus(&self) -> u64 {
        self.locked(|mails| mails.values().map(|mail| mail.copies - 1).sum())
    }

    fn unseen(&self, seen: &mut HashSet<OsString>) -> io::Result<Vec<PathBuf>> {
        let names = fs::read_dir(&self.new)?.filter_map(|entry| Some(entry.ok()?.file_name()));
        let fresh: Vec<_> = names.filter(|name| !seen.contains(name)).collect();
        seen.extend(fresh.iter().cloned());
        Ok(fresh.into_iter().map(|name| self.new.join(name)).collect())
    }

    fn keep(&self, (recipient, code): (String, String)) {
        self.locked(|mails| mails.entry(recipient).or_insert(Mail { code, copies: 0 }).copies += 1);
    }

    fn locked<T>(&self, act: impl FnOnce(&mut HashMap<String, Mail>) -> T) -> T {
        act(&mut self.mails.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn look(watched: &Weak<Maildir>, mut seen: HashSet<OsString>) {
    while let Some(maildir) = watched.upgrade() {
        let begun = clock::now();
        for file in maildir.unseen(&mut seen).unwrap_or_default() {
            if let Some(mail) = fs::read_to_string(file).ok().as_deref().and_then(read_mail) {
                maildir.keep(mail);
            }
        }
        drop(maildir);
        thread::sleep(PAUSE.max(begun.elapsed() * 4));
    }
}

/// Recipient and code: the address of `To`, and the last word of the subject.
fn read_mail(text: &str) -> Option<(String, String)> {
    let text = text.replace("\r\n", "\n");
    let (head, _) = text.split_once("\n\n")?;
    let head = head.replace("\n ", " ").replace("\n\t", " ");
    let field = |name: &str| {
        let named =
            |line: &'_ &str| line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name));
        Some(head.lines().find(named)?.split_once(':')?.1.trim().to_owned())
    };
    let to = field("to")?;
    let address = to.rsplit('<').next()?.trim_end_matches('>').to_owned();
    let code = field("subject")?.split_whitespace().next_back()?.to_owned();
    code.bytes().all(|byte| byte.is_ascii_digit()).then_some((address, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_gives_its_recipient_and_code() {
        let mail = "From: a@b\r\nTo: <user1-2@example.com>\r\nSubject: Your code for\r\n Dev is 482913\r\n\r\n482913\r\n";
        assert_eq!(read_mail(mail), Some(("user1-2@example.com".into(), "482913".into())));
        assert_eq!(read_mail("To: a@b\n\n123456"), None);
    }

    #[test]
    fn old_mails_are_ignored_new_ones_found_and_copies_counted() {
        let outbox = tempfile::tempdir().unwrap();
        let new = outbox.path().join("new");
        fs::create_dir(&new).unwrap();
        let mail = |name: &str, code: &str| {
            let part = outbox.path().join(name);
            fs::write(&part, format!("To: a@example.com\nSubject: Code {code}\n\n{code}\n")).unwrap();
            fs::rename(part, new.join(name)).unwrap();
        };
        mail("0.eml", "000000");
        let maildir = Maildir::watch(outbox.path()).unwrap();
        mail("1.eml", "111111");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wait = maildir.code_for("a@example.com", Duration::from_secs(5));
        assert_eq!(runtime.block_on(wait), Some("111111".into()));
        mail("2.eml", "222222");
        while maildir.surplus() == 0 {
            thread::sleep(PAUSE);
        }
        assert_eq!(maildir.surplus(), 1);
    }
}
