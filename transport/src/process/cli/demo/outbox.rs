//! The person: reads the code from the outbox.

use std::path::Path;
use std::time::Duration;

/// Waits for a mail in the Maildir and returns the code at the end of its subject.
pub(super) async fn newest_code(outbox: &Path) -> Option<String> {
    let new = outbox.join("new");
    for _ in 0..500 {
        if let Some(code) =
            std::fs::read_dir(&new).ok().and_then(|mut files| code_of(&files.next()?.ok()?.path()))
        {
            return Some(code);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

fn code_of(mail: &Path) -> Option<String> {
    let text = std::fs::read_to_string(mail).ok()?;
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "))?;
    let code = subject.rsplit(' ').next()?;
    code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.to_owned())
}
