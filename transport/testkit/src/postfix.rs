//! A real Postfix in a folder of its own: STARTTLS, delivery into a Maildir, ended with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::PATIENCE;

/// Accepts mail for gmail.com and nobody else.
pub struct Postfix {
    process: Option<Child>,
    /// Where it listens, on `127.0.0.1`.
    pub port: u16,
    folder: TempDir,
}

impl Postfix {
    /// With this certificate and key, in PEM.
    pub fn start(certificate: &Path, key: &Path) -> Self {
        let folder = TempDir::with_prefix("authepy-postfix-").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name);
        for name in ["etc", "spool", "data", "mail", "log"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        // Its programs run as users of their own, and have to get in.
        open(folder.path());
        std::os::unix::fs::chown(at("data"), Some(number("postfix")), None).unwrap();
        std::os::unix::fs::chown(at("mail"), Some(number("nobody")), None).unwrap();
        for (file, name) in [(certificate, "etc/cert.pem"), (key, "etc/key.pem")] {
            std::fs::copy(file, at(name)).unwrap();
        }
        let dir = folder.path().display();
        let main = format!(
            "compatibility_level=3.6\nqueue_directory={dir}/spool\ndata_directory={dir}/data\n\
             command_directory=/usr/sbin\ndaemon_directory=/usr/lib/postfix/sbin\n\
             shlib_directory=/usr/lib/postfix\nmeta_directory=/etc/postfix\nmail_owner=postfix\n\
             setgid_group=postdrop\ninet_interfaces=127.0.0.1\ninet_protocols=ipv4\nmyhostname=relay.test\n\
             mydestination=\nalias_maps=\nsmtpd_relay_restrictions=reject_unauth_destination\n\
             virtual_mailbox_domains=gmail.com\nvirtual_mailbox_base={dir}/mail\n\
             virtual_mailbox_maps=static:all/\nvirtual_uid_maps=static:{nobody}\n\
             virtual_gid_maps=static:{nobody}\nvirtual_minimum_uid=1\nsmtpd_tls_security_level=encrypt\n\
             smtpd_tls_cert_file={dir}/etc/cert.pem\nsmtpd_tls_key_file={dir}/etc/key.pem\n\
             maillog_file={dir}/log/mail.log\nmaillog_file_prefixes={dir}\n",
            nobody = number("nobody"),
        );
        std::fs::write(at("etc/main.cf"), main).unwrap();
        std::fs::write(at("etc/master.cf"), format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}"))
            .unwrap();
        let mut postfix = Self { process: None, port, folder };
        postfix.resume();
        postfix
    }

    /// Starts it again after [`Self::stop`].
    pub fn resume(&mut self) {
        let process = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.folder.path().join("etc"))
            .arg("start-fg")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postfix is missing; install Debian's `postfix`");
        self.process = Some(process);
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "postfix did not start: {}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Ends it; its spool stays.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let _stopped = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.folder.path().join("etc"))
            .arg("stop")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _reaped = process.wait();
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log/mail.log")).unwrap_or_default()
    }

    /// Where it puts what it delivers.
    pub fn maildir(&self) -> PathBuf {
        self.folder.path().join("mail/all")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.stop();
    }
}

const SERVICES: &str = "cleanup unix n - n - 0 cleanup\n\
     qmgr unix n - n 300 1 qmgr\n\
     rewrite unix - - n - - trivial-rewrite\n\
     bounce unix - - n - 0 bounce\n\
     defer unix - - n - 0 bounce\n\
     trace unix - - n - 0 bounce\n\
     proxymap unix - - n - - proxymap\n\
     virtual unix - n n - - virtual\n\
     error unix - - n - - error\n\
     anvil unix - - n - 1 anvil\n\
     scache unix - - n - 1 scache\n\
     tlsmgr unix - - n 1000? 1 tlsmgr\n\
     postlog unix-dgram n - n - 1 postlogd\n";

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn number(user: &str) -> u32 {
    let output = Command::new("id").args(["-u", user]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("a user of Debian's postfix")
}
