//! Reads codes out of the server's Maildir, as inotify tells of its files.
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Between two looks; what arrives meanwhile waits in the kernel.
const PAUSE: Duration = Duration::from_millis(1);

/// The mails that arrived since the run began, by recipient. The files stay where they are.
pub(crate) struct Maildir {
    new: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mails: HashMap<String, Mail>,
    /// One sign-up waits for one address of its own, so there are never more than are under way.
    waiting: HashMap<String, oneshot::Sender<String>>,
    missed: bool,
}

struct Mail {
    code: String,
    copies: u64,
}

impl Maildir {
    /// Watches from a thread of its own until the last owner is gone. Mails that are there already are old.
    pub(crate) fn watch(outbox: &Path) -> Result<Arc<Self>, String> {
        let maildir = Arc::new(Self { new: outbox.join("new"), state: Mutex::default() });
        let blame = |error| format!("{}: {error}", maildir.new.display());
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(blame)?;
        add_watch(&inotify, &maildir.new, WatchFlags::MOVED_TO).map_err(blame)?;
        let watched = Arc::downgrade(&maildir);
        thread::spawn(move || look(&watched, &inotify));
        Ok(maildir)
    }

    /// The code of the newest mail to `recipient`; waits for the first.
    pub(crate) async fn code_for(&self, recipient: &str, patience: Duration) -> Option<String> {
        let (sender, arrival) = oneshot::channel();
        let here = self.locked(|state| match state.mails.get(recipient) {
            Some(mail) => Some(mail.code.clone()),
            None => {
                state.waiting.insert(recipient.to_owned(), sender);
                None
            }
        });
        match here {
            Some(code) => Some(code),
            None => timeout(patience, arrival).await.ok()?.ok(),
        }
    }

    /// How many mails each address got.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.locked(|state| state.mails.iter().map(|(to, mail)| (to.clone(), mail.copies)).collect())
    }

    /// Whether the kernel had to drop news: what was counted is then too little.
    pub(crate) fn has_missed(&self) -> bool {
        self.locked(|state| state.missed)
    }

    fn keep(&self, (recipient, code): (String, String)) {
        self.locked(|state| {
            if let Some(waiting) = state.waiting.remove(&recipient) {
                let _nobody_waits_any_more = waiting.send(code.clone());
            }
            let mail = state.mails.entry(recipient).or_insert(Mail { code: String::new(), copies: 0 });
            (mail.code, mail.copies) = (code, mail.copies + 1);
        });
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn look(watched: &Weak<Maildir>, inotify: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut news = Reader::new(inotify, &mut buffer);
    while let Some(maildir) = watched.upgrade() {
        while let Ok(event) = news.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                maildir.locked(|state| state.missed = true);
            }
            let file = event.file_name().and_then(|name| name.to_str().ok());
            let text = file.and_then(|name| fs::read_to_string(maildir.new.join(name)).ok());
            if let Some(mail) = text.as_deref().and_then(read_mail) {
                maildir.keep(mail);
            }
        }
        drop(maildir);
        thread::sleep(PAUSE);
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
    fn old_mails_are_ignored_and_new_ones_found_and_counted() {
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
        while maildir.counts() != [("a@example.com".to_owned(), 2)].into() {
            thread::sleep(PAUSE);
        }
    }
}
