//! What the delivery tests share: scripted relays, certificates, and a delivery to send through.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authepy_engine::actor::{self, Seat, Teller};
use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::request::{Check, Command, Issue, MailForm, Outcome, Slot};
use authepy_engine::route::{IdDigest, StartKeys};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};
use authepy_transport::config::ProviderConfig;
use authepy_transport::delivery::events::Events;
use authepy_transport::delivery::{
    Awaited, CodeMail, Content, Delivery, DeliveryLimits, DeliveryThread, MailJob, MailQueue, Show, Templates,
};
use serde_json::Value;

use authepy_testkit::PATIENCE;
use authepy_testkit::script::Script;
use authepy_testkit::sink::Sink;

pub(crate) fn now() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let millis = START.elapsed().as_millis() as u64;
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    Now { at: Moment::from_millis(millis), unix_ms }
}

/// Whose mails these are.
pub(crate) const ACME: ProjectId = ProjectId(1);
/// Somebody else.
pub(crate) const SHOP: ProjectId = ProjectId(2);

type Outcomes = [(&'static str, u64); 4];

/// The counters after one mail with this outcome.
pub(crate) fn outcome(only: &str) -> Outcomes {
    ["sent", "failed", "expired", "maybe_sent"].map(|name| (name, u64::from(name == only)))
}

/// A relay that ends with the test.
pub(crate) struct Relay(Script);

impl Relay {
    pub(crate) fn start(mode: &str) -> Self {
        Self::with(mode, None)
    }

    pub(crate) fn with(mode: &str, certificate: Option<&Certificate>) -> Self {
        let certificate = certificate.map(|pem| (&*pem.chain, &*pem.key));
        Self(Script::start("smtp_server.py", &[mode], certificate))
    }

    pub(crate) fn config(&self, more: &str) -> String {
        self.config_at("smtp", "", "", more)
    }

    pub(crate) fn config_at(&self, scheme: &str, login: &str, option: &str, more: &str) -> String {
        smtp_config(&format!("{scheme}://{login}127.0.0.1:{}{option}", self.0.port), more)
    }

    /// What has been told so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.0.events()
    }

    /// Everything told up to the first `event`.
    pub(crate) fn until(&self, event: &str) -> Vec<Value> {
        self.0.until(event)
    }

    /// The next mail.
    pub(crate) fn mail(&self) -> Value {
        self.0.next("mail")
    }

    pub(crate) fn until_mails(&self, count: usize) -> Vec<Value> {
        (0..count).flat_map(|_| self.until("mail")).collect()
    }
}

/// What webhooks are signed with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An operator's endpoint that takes mails.
pub(crate) struct Hook(pub(crate) Script);

impl Hook {
    /// Answers in turn, the last one for ever.
    pub(crate) fn start(answers: &str) -> Self {
        Self(Script::start("webhook_server.py", &[SECRET, answers], None))
    }

    pub(crate) fn secure(answers: &str, certificate: &Certificate) -> Self {
        let pem = (&*certificate.chain, &*certificate.key);
        Self(Script::start("webhook_server.py", &[SECRET, answers], Some(pem)))
    }

    pub(crate) fn config(&self, scheme: &str, more: &str) -> String {
        format!(
            "name = 'hook'\nkind = 'webhook'\nurl = '{scheme}://127.0.0.1:{}/mails?to=us'\n\
             from = 'Acme <codes@mail.example>'\nsecret = '{SECRET}'\n{more}",
            self.0.port
        )
    }

    /// The posts since it was last asked; only of endpoints without TLS.
    pub(crate) fn posts(&self) -> usize {
        let mut barrier = std::net::TcpStream::connect(("127.0.0.1", self.0.port)).unwrap();
        std::io::Write::write_all(&mut barrier, b"BARRIER\r\n\r\n").unwrap();
        self.0.until("barrier").iter().filter(|event| event.get("post").is_some()).count()
    }
}

/// The way to Postfix' smtp-sink.
pub(crate) fn sink_config(sink: &Sink) -> String {
    smtp_config(&format!("smtp://127.0.0.1:{}", sink.port), "")
}

fn smtp_config(url: &str, more: &str) -> String {
    format!("name = 'relay'\nkind = 'smtp'\nurl = '{url}'\nfrom = 'Acme <codes@mail.example>'\n{more}")
}

/// A private CA and one server certificate.
pub(crate) struct Certificate {
    _folder: tempfile::TempDir,
    pub(crate) ca: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub(crate) fn for_loopback() -> Self {
        Self::for_name("127.0.0.1")
    }

    pub(crate) fn for_name(name: &str) -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path
        };
        Self {
            ca: write("ca.pem", root.pem()),
            chain: write("leaf.pem", leaf.pem()),
            key: write("key.pem", leaf_key.serialize_pem()),
            _folder: folder,
        }
    }
}

/// A delivery, and the mails sent through it.
pub(crate) struct Story {
    configs: Vec<ProviderConfig>,
    limits: DeliveryLimits,
    lifetime: Duration,
    show: Option<Show>,
    keys: StartKeys,
    teller: Teller,
    /// Holds the shard's door open; it has room for the word of 64 hand-overs.
    _seats: Vec<Seat>,
}

impl Story {
    pub(crate) fn new(configs: &[String]) -> Self {
        let (keys, seats, teller) = engine();
        Self {
            configs: configs.iter().map(|config| toml::from_str(config).unwrap()).collect(),
            limits: DeliveryLimits { pauses: &[], ..DeliveryLimits::default() },
            lifetime: Duration::from_secs(300),
            show: None,
            keys,
            teller,
            _seats: seats,
        }
    }

    pub(crate) fn with_timeout(mut self, send_timeout: Duration) -> Self {
        self.limits.send_timeout = send_timeout;
        self
    }

    pub(crate) fn with_places(mut self, queue_places: usize) -> Self {
        self.limits.queue_places = queue_places;
        self
    }

    /// Another try after each of these pauses.
    pub(crate) fn trying_again(mut self, pauses: &'static [Duration]) -> Self {
        self.limits.pauses = pauses;
        self
    }

    pub(crate) fn one_at_a_time(mut self) -> Self {
        self.limits.sends_in_progress = 1;
        self
    }

    pub(crate) fn expiring(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    pub(crate) fn showing(mut self, show: Show) -> Self {
        self.show = Some(show);
        self
    }

    pub(crate) fn start(&self) -> (MailQueue, DeliveryThread) {
        Delivery {
            providers: self.configs.clone(),
            teller: self.teller.clone(),
            keys: self.keys.clone(),
            clock: now,
            limits: self.limits,
            show: self.show,
            events: Events::default(),
            poster: None,
        }
        .start()
        .unwrap()
    }

    pub(crate) fn job(&self, to: &str, send: u8) -> MailJob {
        let id = self.keys.fingerprint(to, Mode::Live);
        let (code, expires) = (Code::read("482913").unwrap(), now().at.after(self.lifetime));
        code_job(
            to,
            code,
            expires,
            Awaited { id: IdDigest::from_bytes(*id.as_bytes()), route: id.route(), send },
        )
    }

    /// Sends one mail; returns what became of it.
    pub(crate) async fn send(&self, to: &str) -> &'static str {
        let (queue, thread) = self.start();
        queue.reserve(now().at, ACME).unwrap().submit(self.job(to, 1));
        assert_eq!(thread.drain(PATIENCE).await, 0);
        queue.counters().outcomes().into_iter().find(|(_, count)| *count == 1).unwrap().0
    }

    /// Sends `count` mails; returns what became of them.
    pub(crate) async fn send_many(&self, count: u8) -> Outcomes {
        let (queue, thread) = self.start();
        for send in 1..=count {
            queue.reserve(now().at, ACME).unwrap().submit(self.job("ada@example.org", send));
        }
        assert_eq!(thread.drain(PATIENCE).await, 0);
        queue.counters().outcomes()
    }
}

fn code_job(to: &str, code: Code, expires: Moment, awaited: Awaited) -> MailJob {
    let (project, lifetime) = ("Acme".into(), Duration::from_secs(300));
    let wording = Templates::load(None, None).unwrap().wording("Acme", MailForm::default());
    let content = Content::Code(CodeMail { code, project, wording, domain: None, lifetime, awaited });
    MailJob { to: to.into(), content, expires }
}

/// Waits until the fate of so many mails is known.
pub(crate) async fn settled(queue: &MailQueue, mails: u64) {
    let deadline = Instant::now() + PATIENCE;
    while queue.counters().outcomes().iter().map(|(_, count)| count).sum::<u64>() < mails {
        assert!(Instant::now() < deadline, "mails are still under way: {:?}", queue.counters());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn engine() -> (StartKeys, Vec<Seat>, Teller) {
    let keys = StartKeys::draw(&mut Seeded::new(7));
    let settings = as_shipped();
    let (seats, teller, _readiness) = actor::seats(1, &settings, &keys, now, || Box::new(Seeded::new(9)));
    (keys, seats, teller)
}

/// One verification with a real shard: issue, mail, then the right code. Returns what became of the
/// mail, and whether the code was right.
pub(crate) fn issue_send_check(configs: &[String]) -> (Outcomes, bool) {
    let story = Story::new(configs);
    // The lanes bring their own runtime, which can't start inside the test's.
    std::thread::spawn(move || actor::run(verify(story))).join().unwrap()
}

async fn verify(mut story: Story) -> (Outcomes, bool) {
    let (queue, thread) = story.start();
    let (keys, seat) = (story.keys.clone(), story._seats.remove(0));
    let (issued, jobs) = flume::bounded(1);
    let (handed_over, proceed) = flume::bounded::<()>(1);
    let (tell, verdict) = flume::bounded(1);
    let owner = Owner { project: ProjectId(1), mode: Mode::Live };
    let address = keys.exact_address("ada@example.org");
    let lane = seat.start(move |lane| async move {
        let inbox = keys.fingerprint("ada@example.org", Mode::Live);
        let issue = Issue { address, ..plain_issue(&keys, inbox, owner, &mut Seeded::new(11)) };
        let Outcome::Issued(mail) = lane.ask(inbox.route(), Command::Issue(unproven(issue))).await else {
            panic!()
        };
        let slot = Slot::locate(&keys, mail.id.clone(), owner);
        issued
            .send((slot.id.digest(), slot.route, mail.code.clone(), mail.send, mail.standing.expires))
            .unwrap();
        proceed.recv_async().await.unwrap();
        let check = Check { slot: slot.clone(), code: mail.code, address: None, nonce: None };
        let outcome = lane.ask(slot.route, Command::Check(unproven(check))).await;
        tell.send(matches!(outcome, Outcome::Approved(_))).unwrap();
    });
    let (id, route, code, send, expires) = jobs.recv_async().await.unwrap();
    let job = code_job("ada@example.org", code, expires, Awaited { id, route, send });
    queue.reserve(now().at, ACME).unwrap().submit(job);
    assert_eq!(thread.drain(PATIENCE).await, 0);
    handed_over.send(()).unwrap();
    let right = verdict.recv_async().await.unwrap();
    lane.stop();
    (queue.counters().outcomes(), right)
}
