//! An honest phone beside a fault: it signs up all the time, and each sign-up must succeed.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::phone::Phone;
use crate::{DevServer, PATIENCE, code_in};

/// Sign-ups at least, however short the fault.
const LEAST: usize = 5;

/// A phone, and where its mails come to.
pub struct Canary {
    phone: Phone,
    name: &'static str,
    /// `None`: its key is a test key, and all its codes are `000000`.
    outbox: Option<PathBuf>,
    signed_up: Cell<usize>,
}

impl Canary {
    /// With a live key: it issues, reads its mail in the outbox, and checks.
    pub async fn with_mail(server: &DevServer, name: &'static str) -> Self {
        let outbox = Some(PathBuf::from(server.text("outbox")));
        Self { phone: Phone::connect(server).await, name, outbox, signed_up: Cell::new(0) }
    }

    /// With a test key, where the mail is what fails.
    pub async fn without_mail(server: &DevServer, key: &str, name: &'static str) -> Self {
        let phone = Phone::connect_with(server, key).await;
        Self { phone, name, outbox: None, signed_up: Cell::new(0) }
    }

    /// Signs up all the time while the fault lasts; returns what came of the fault.
    pub async fn beside<T>(&self, fault: impl Future<Output = T>) -> T {
        let (is_over, before) = (Cell::new(false), self.signed_up.get());
        let fault = async {
            let outcome = fault.await;
            is_over.set(true);
            outcome
        };
        let sign_ups = async {
            while !is_over.get() || self.signed_up.get() < before + LEAST {
                self.sign_up().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::join!(fault, sign_ups).0
    }

    /// One sign-up, a wrong code first.
    pub async fn sign_up(&self) {
        let address = format!("{}{}@gmail.com", self.name, self.signed_up.get());
        self.signed_up.set(self.signed_up.get() + 1);
        let id = self.phone.issue(&address).await;
        let code = match &self.outbox {
            Some(outbox) => mailed(outbox, &address).await,
            None => "000000".to_owned(),
        };
        let wrong = if code == "111111" { "222222" } else { "111111" };
        assert_eq!(self.phone.check(&id, wrong).await.body["valid"], false, "a wrong code");
        assert_eq!(self.phone.check(&id, &code).await.body["valid"], true, "the right code");
        assert_eq!(self.phone.check(&id, &code).await.status, 404, "the same once more");
    }
}

/// The code in the mail to this address, which is then gone.
async fn mailed(outbox: &Path, address: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for file in std::fs::read_dir(outbox.join("new")).into_iter().flatten().flatten() {
            let mail = std::fs::read_to_string(file.path()).unwrap_or_default();
            if mail.contains(&format!("To: {address}")) {
                std::fs::remove_file(file.path()).unwrap();
                return code_in(&mail);
            }
        }
        assert!(Instant::now() < deadline, "no mail to {address}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
