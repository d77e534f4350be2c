//! One seeded run: draws commands and moments, asks the subject and the oracle, compares everything.

use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::identity::{KeyTag, Mode, Owner, ProjectId};
use authepy_engine::peer::{Peer, Prefix};
use authepy_engine::request::{
    Activity, Approved, Ban, Charge, ChargeDomain, ChargeKey, Charged, Check, Command, First, HandOver,
    Issue, KeyWindow, Outcome, Policy, RefundDomain, RefundKey, Refusal, Resend, Reserve, Settle, Slot,
    Source, Spend,
};
use authepy_engine::route::{
    AddressDigest, Digest128, DomainTag, InboxFingerprint, NonceDigest, PeerShare, StartKeys,
};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, plain_issue, unproven};

use super::oracle::Oracle;

/// What is tested: the shard, or a shard with one rule broken.
pub trait Subject {
    /// Decides about a command.
    fn handle(&mut self, now: Now, command: Command, entropy: &mut Seeded) -> Outcome;
    /// Frees a part of what is dead; whether there may be more.
    fn sweep(&mut self, now: Moment) -> bool;
    /// Live verifications, and inboxes.
    fn population(&self) -> [usize; 2];
    /// All that is held besides: bytes of inboxes, peers, bytes of their logs, bans.
    fn holdings(&self) -> [usize; 4];
}

impl Subject for Shard {
    fn handle(&mut self, now: Now, command: Command, entropy: &mut Seeded) -> Outcome {
        Self::handle(self, now, command, entropy)
    }

    fn sweep(&mut self, now: Moment) -> bool {
        Self::sweep(self, now)
    }

    fn population(&self) -> [usize; 2] {
        [self.live(), self.inboxes()]
    }

    fn holdings(&self) -> [usize; 4] {
        let holdings = Self::census(self);
        [holdings.inbox_bytes, holdings.peers, holdings.peer_log_bytes, holdings.bans]
    }
}

/// The first difference, in words: command, moment, expected, got.
type Told = String;

/// A run in progress.
pub struct Play<S> {
    subject: S,
    oracle: Oracle,
    keys: StartKeys,
    random: Seeded,
    entropy: Seeded,
    at: u64,
    inboxes: u64,
    done: usize,
    /// How often each kind of outcome was seen, to prove that the run reached it.
    pub seen: std::collections::BTreeMap<&'static str, usize>,
}

impl<S: Subject> Play<S> {
    /// A run whose choices follow from its seed.
    pub fn new(
        seed: u64,
        inboxes: u64,
        rules: &Settings,
        subject: impl FnOnce(StartKeys, &Settings) -> S,
    ) -> Self {
        Self::with(Seeded::new(seed), Seeded::new(seed ^ 0xa5a5), inboxes, rules, subject)
    }

    /// A run whose choices are `random`'s.
    pub fn with(
        random: Seeded,
        mut entropy: Seeded,
        inboxes: u64,
        rules: &Settings,
        subject: impl FnOnce(StartKeys, &Settings) -> S,
    ) -> Self {
        let keys = StartKeys::draw(&mut entropy);
        Self {
            subject: subject(keys.clone(), rules),
            oracle: Oracle::new(keys.clone(), rules.clone()),
            keys,
            random,
            entropy,
            at: 0,
            inboxes,
            done: 0,
            seen: Default::default(),
        }
    }

    /// Plays `commands` commands, or as many as a script has, and the final sweep; `Err` holds the first
    /// difference.
    pub fn run(&mut self, commands: usize) -> Result<(), Told> {
        while self.done < commands && !self.random.is_over() {
            self.pass_time();
            if self.random.below(12) == 0 {
                self.sweep()?;
            }
            let command = self.draw();
            let again = repeatable(&command);
            let outcome = self.step(command)?;
            match (again, limited(&outcome)) {
                (Some(again), None) if matches!(outcome, Outcome::Refused(Refusal::Overloaded { .. })) => {
                    self.find_room(again, &outcome)?;
                }
                (Some(again), Some((policy, retry_after))) => self.come_back(again, policy, retry_after)?,
                (again @ Some(Command::Charge(_) | Command::ChargeKey(_)), None) => {
                    self.insist(again.as_ref())?;
                }
                _ => {}
            }
        }
        self.at += Duration::from_secs(10 * 86_400).as_millis() as u64;
        while self.subject.sweep(Moment::from_millis(self.at)) {}
        match (self.subject.population(), self.subject.holdings()) {
            ([0, 0], [0, 0, 0, 0]) => Ok(()),
            (left, held) => {
                Err(format!("after the last sweep {left:?} verifications and inboxes are left, and {held:?}"))
            }
        }
    }

    fn step(&mut self, command: Command) -> Result<Outcome, Told> {
        self.done += 1;
        let now = Now { at: Moment::from_millis(self.at), unix_ms: 1_700_000_000_000 + self.at / 3 };
        let told = format!("command {} at {} ms: {command:?}", self.done, self.at);
        let expected = self.oracle.expect(now, &command);
        let outcome = self.subject.handle(now, command, &mut self.entropy);
        *self.seen.entry(kind(&outcome)).or_default() += 1;
        self.oracle.learn(now, expected, &outcome).map_err(|why| format!("{told}\n  {why}"))?;
        self.count().map_err(|why| format!("{told}\n  {why}"))?;
        Ok(outcome)
    }

    /// Does the same a few times more, as those do who get banned for it.
    fn insist(&mut self, on: Option<&Command>) -> Result<(), Told> {
        for _ in 0..self.random.below(12).saturating_sub(6) {
            self.at += self.random.below(400);
            if let Some(again) = on.and_then(repeatable) {
                self.step(again)?;
            }
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), Told> {
        let now = Moment::from_millis(self.at);
        self.oracle.sweeping(self.at);
        if !self.subject.sweep(now) {
            self.oracle.swept(self.at);
        }
        self.count().map_err(|why| format!("sweep at {} ms: {why}", self.at))
    }

    fn count(&self) -> Result<(), Told> {
        let counted = self.subject.population();
        let expected = self.oracle.population(self.at);
        let fits = counted.iter().zip(&expected).all(|(n, (least, most))| (least..=most).contains(&n));
        if fits { Ok(()) } else { Err(format!("counters say {counted:?}, expected {expected:?}")) }
    }

    /// Waiting as long as told is enough, and a millisecond less is not.
    fn come_back(&mut self, command: Command, policy: Policy, wait: Duration) -> Result<(), Told> {
        let wait = wait.as_millis() as u64;
        // Rarely for the long waits: they end everything else.
        let odds = if wait > 60_000 { 30 } else { 3 };
        if self.random.below(odds) > 0 || wait == 86_400_000 {
            return Ok(());
        }
        let (early, then) = (repeatable(&command), self.at + wait);
        // What a /64 refuses, the networks around it count: trying early costs them, and is no waiting.
        let early = early.filter(|command| match command {
            Command::Charge(charge) => charge.peer.prefixes().count() == 1,
            _ => true,
        });
        self.at = then - 1;
        if let Some(early) = early
            && let Outcome::Issued(_) | Outcome::Resent(_) | Outcome::Charged(Charged { refusal: None, .. }) =
                self.step(early)?
        {
            return Err(format!("{policy:?} let go a millisecond early"));
        }
        self.at = then;
        match limited(&self.step(command)?) {
            Some(_) => Err(format!("{policy:?}: {wait} ms were not enough")),
            None => Ok(()),
        }
    }

    /// Whoever waits as long as told finds room.
    fn find_room(&mut self, command: Command, outcome: &Outcome) -> Result<(), Told> {
        let Outcome::Refused(Refusal::Overloaded { retry_after }) = outcome else { return Ok(()) };
        if self.random.below(6) > 0 {
            return Ok(());
        }
        self.at += retry_after.as_millis() as u64;
        match self.step(command)? {
            Outcome::Refused(Refusal::Overloaded { .. }) => Err(format!("{retry_after:?} were not enough")),
            _ => Ok(()),
        }
    }

    fn pass_time(&mut self) {
        let below = |random: &mut Seeded, bound| random.below(bound);
        self.at += match self.random.below(1_000) {
            0..600 => below(&mut self.random, 50),
            600..800 => below(&mut self.random, 3_000),
            800..880 => below(&mut self.random, 60_000),
            880..890 => below(&mut self.random, 600_000),
            890..891 => below(&mut self.random, 30 * 3_600_000),
            _ => {
                // To the edge of something: the moment itself, or the last or first one beside it.
                let edges = self.oracle.boundaries(self.at);
                let nearest = edges.len().min(4) as u64;
                if nearest == 0 {
                    return;
                }
                let edge = edges[self.random.below(nearest) as usize];
                (edge + self.random.below(3)).saturating_sub(1).saturating_sub(self.at)
            }
        };
    }

    fn draw(&mut self) -> Command {
        match self.random.below(168) {
            150..161 => Command::ChargeDomain(self.charge_domain()),
            161..168 => self.refund_domain(),
            100..138 => Command::Charge(self.charge()),
            138..143 => Command::ChargeKey(self.charge_key()),
            143..145 => self.refund(),
            145 => Command::Ban(self.ban()),
            146..150 => Command::Unban(self.prefix()),
            0..22 => Command::Issue(unproven(self.issue())),
            22..52 => Command::Check(unproven(self.check())),
            52..64 => Command::Resend(unproven(self.resend())),
            64..80 => Command::HandOver(self.hand_over()),
            80..84 => Command::Cancel(unproven(self.slot().0)),
            84..87 => Command::Status(unproven(self.slot().0)),
            87..93 => Command::Reserve(unproven(self.reserve())),
            93..97 => Command::Settle(self.settle()),
            _ => Command::Spend(unproven(self.spend())),
        }
    }

    fn issue(&mut self) -> Issue {
        let owner = self.owner();
        let inbox = self.random.below(self.inboxes);
        let metadata = (self.random.below(3) == 0).then(|| format!("{{\"n\":{}}}", self.at).into());
        let (name, address, peer) = (self.inbox(inbox, owner.mode), self.address(inbox), self.asker());
        let plain = plain_issue(&self.keys, name, owner, &mut self.random);
        Issue {
            address,
            peer,
            code_length: (self.random.below(4) == 0).then(|| 6 + self.random.below(5) as u8),
            lifetime: (self.random.below(4) == 0)
                .then(|| Duration::from_millis(60_000 + self.random.below(540_001))),
            nonce: (self.random.below(3) == 0).then(|| self.digest("nonce", 3)),
            key: self.key(),
            purpose: ["login", "sign-up", ""][self.random.below(3) as usize].into(),
            metadata,
            ..plain
        }
    }

    fn check(&mut self) -> Check {
        let (slot, meant) = self.slot();
        let guess = self.random.below(100);
        let odds = self.random.below(10);
        let (stray_nonce, pick) = (self.digest::<NonceDigest>("nonce", 3), self.random.draw() as usize);
        let stray_address = self.address(0);
        let wrong = Code::draw(6, &mut self.random);
        let Some(verification) = meant.map(|at| &self.oracle.opened[at]) else {
            return Check { slot, code: wrong, address: None, nonce: None };
        };
        let mails = &verification.mails;
        let code = match guess {
            0..20 => mails[mails.len() - 1].code.clone(),
            20..45 => mails[pick % mails.len()].code.clone(),
            45..60 => Code::draw(6 + (pick % 5) as u8, &mut self.random),
            _ => Code::draw(verification.length(), &mut self.random),
        };
        let (address, nonce) = (verification.issue.address, verification.issue.nonce);
        let (address, nonce) = match odds {
            0..5 => (None, nonce),
            5..8 => (Some(address), nonce),
            8 => (Some(stray_address), nonce),
            _ => (None, [None, Some(stray_nonce)][pick % 2]),
        };
        Check { slot, code, address, nonce }
    }

    fn resend(&mut self) -> Resend {
        let (slot, meant) = self.slot();
        let stray = self.address(1);
        let address = meant.map(|at| self.oracle.opened[at].issue.address).unwrap_or(stray);
        let peer = self.asker();
        let address = if self.random.below(10) == 0 { stray } else { address };
        Resend { slot, address, key: self.key(), peer }
    }

    /// One of an owner's API keys.
    fn key(&mut self) -> KeyTag {
        KeyTag(self.random.below(3) as u16)
    }

    /// The peer that asks for a mail; none for some secret keys.
    fn asker(&mut self) -> Option<PeerShare> {
        let address = self.someone();
        let share = self.keys.peer_share(&Peer::from(address));
        self.oracle.lines.insert(share, line_of(address));
        (self.random.below(6) > 0).then_some(share)
    }

    /// Mostly one of two neighbours; also other subnets and sites, and IPv4 in both spellings.
    fn someone(&mut self) -> IpAddr {
        let (net, host) = (self.random.below(3), 1 + self.random.below(2));
        let text = match self.random.below(7) {
            6 => "127.0.0.1".into(),
            0 => format!("203.0.113.{host}"),
            1 => format!("::ffff:203.0.113.{host}"),
            2 => format!("2001:db8:a:{host}0{net}::1"),
            3 => format!("2001:db8:b::{host}"),
            _ => format!("2001:db8:a:10{net}::{host}"),
        };
        text.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }

    fn charge(&mut self) -> Charge {
        let address = self.someone();
        let peer = Peer::from(address);
        self.oracle.peers.meet(peer, address);
        let activity = match self.random.below(7) {
            0 => Activity::Handshake,
            1 | 2 => Activity::Issue,
            3 => Activity::Check,
            4 => Activity::Any,
            5 => Activity::Foreign,
            _ => Activity::Denied,
        };
        let (owner, strikes) = (self.owner(), self.random.below(6) > 0);
        let source = match self.random.below(3) {
            0 => Source::Claimed(owner),
            _ => Source::Proved,
        };
        Charge { peer, source, activity, mode: owner.mode, strikes }
    }

    fn charge_key(&mut self) -> ChargeKey {
        let all = [KeyWindow::Issue, KeyWindow::Unverified, KeyWindow::Project, KeyWindow::Alerts];
        let window = all[self.random.below(4) as usize];
        ChargeKey { window, of: self.digest("api key", 2) }
    }

    fn refund(&mut self) -> Command {
        let charge = self.charge_key();
        let last = self.oracle.peers.last_charge(&charge).unwrap_or(self.at);
        let at = Moment::from_millis((last + self.random.below(3)).saturating_sub(1));
        Command::RefundKey(RefundKey { charge, at })
    }

    fn charge_domain(&mut self) -> ChargeDomain {
        ChargeDomain { domain: self.domain(), peer: self.asker() }
    }

    fn refund_domain(&mut self) -> Command {
        let mut charge = self.charge_domain();
        let (last, by) = self.oracle.domains.last_charge(charge.domain).unwrap_or((self.at, charge.peer));
        // Mostly the one that was charged; now and then whoever it is.
        if self.random.below(4) > 0 {
            charge.peer = by;
        }
        let at = Moment::from_millis((last + self.random.below(3)).saturating_sub(1));
        Command::RefundDomain(RefundDomain { charge, at })
    }

    fn domain(&mut self) -> DomainTag {
        let name = format!("{}.example", self.random.below(2));
        self.keys.inbox("ada", Some(&name), Mode::Live).domain().unwrap()
    }

    fn prefix(&mut self) -> Prefix {
        let peer = Peer::from(self.someone());
        let all: Vec<Prefix> = peer.prefixes().collect();
        all[self.random.below(all.len() as u64) as usize]
    }

    fn ban(&mut self) -> Ban {
        let span = (self.random.below(2) == 0).then(|| Duration::from_millis(self.random.below(100_000)));
        Ban { prefix: self.prefix(), span }
    }

    /// Mostly the latest mail's first word; also late, repeated, contrary and invented ones.
    fn hand_over(&mut self) -> HandOver {
        let (slot, meant) = self.slot();
        let accepted = self.random.below(3) > 0;
        let mails = meant.map_or(1, |at| self.oracle.opened[at].mails.len() as u64);
        let send = match self.random.below(4) {
            0 => self.random.below(mails + 3) as u8,
            _ => mails as u8,
        };
        HandOver { id: slot.id.digest(), send, accepted }
    }

    fn reserve(&mut self) -> Reserve {
        let lifetime = Duration::from_secs(60 + 60 * self.random.below(6));
        let owner = self.owner();
        Reserve { key: self.digest("key", 4), body: self.digest("body", 2), owner, lifetime }
    }

    fn settle(&mut self) -> Settle {
        // After the end of any claim, as a rule; else it cuts a claim short.
        let life = if self.random.below(4) == 0 { 30_000 * self.random.below(12) } else { 3_600_000 };
        let expires = Moment::from_millis(self.at + life);
        let first = match self.random.below(4) {
            0 => None,
            1 => Some(First::Exhausted { expires }),
            2 => Some(First::Incorrect { attempts_remaining: self.random.below(5) as u8, expires }),
            _ => Some(First::Approved(Approved {
                purpose: "login".into(),
                unix_ms: self.at,
                expires,
                answered: None,
            })),
        };
        Settle { key: self.digest("key", 4), first }
    }

    fn spend(&mut self) -> Spend {
        let lifetime = Duration::from_secs(30 + 30 * self.random.below(4));
        Spend { receipt: self.digest("receipt", 8), owner: self.owner(), lifetime }
    }

    /// A slot to name: mostly a live one by its owner; sometimes one that has ended, a stranger's, a
    /// misspelt one, or an id that never was.
    fn slot(&mut self) -> (Slot, Option<usize>) {
        let (stranger, odds) = (self.owner(), self.random.below(20));
        let all = 0..self.oracle.opened.len();
        let some: Vec<usize> = match self.random.below(10) {
            0 => all.collect(),
            1 | 2 => all.rev().take(4).collect(),
            _ => all.rev().filter(|&at| self.oracle.opened[at].is_live(self.at)).take(5).collect(),
        };
        let pick = self.random.draw() as usize;
        let meant = some.get(pick % some.len().max(1)).copied().filter(|_| odds > 0);
        let id = meant.map(|at| self.oracle.opened[at].id.clone()).unwrap_or_else(|| {
            let inbox = self.inbox(0, Mode::Live);
            VerificationId::new(&self.keys, IdSecret::draw(&mut self.random), inbox.route())
        });
        let id = if odds == 1 { misspelt(&id, pick) } else { id };
        let own = meant.map(|at| self.oracle.opened[at].owner()).filter(|_| odds > 3);
        (Slot::locate(&self.keys, id, own.unwrap_or(stranger)), meant)
    }

    fn owner(&mut self) -> Owner {
        let mode = if self.random.below(4) == 0 { Mode::Test } else { Mode::Live };
        Owner { project: ProjectId(self.random.below(3) as u32), mode }
    }

    fn inbox(&self, number: u64, mode: Mode) -> InboxFingerprint {
        // Every other one is at a known provider's.
        let domain = number.is_multiple_of(2).then_some("example.com");
        self.keys.inbox(&format!("ada{number}@example.com"), domain, mode)
    }

    /// One of three spellings of an inbox's address.
    fn address(&mut self, inbox: u64) -> AddressDigest {
        self.keys.exact_address(&format!("Ada{inbox}+{}@example.com", self.random.below(3)))
    }

    fn digest<D: From<Digest128>>(&mut self, kind: &str, of: u64) -> D {
        self.keys.scoped(kind, &[&self.random.below(of).to_le_bytes()])
    }
}

/// An id that differs in one of its last characters, which lead to the shard.
fn misspelt(id: &VerificationId, pick: usize) -> VerificationId {
    let mut text = id.text().as_str().to_owned().into_bytes();
    let place = text.len() - 1 - pick % 2;
    text[place] = if text[place] == b'0' { b'1' } else { b'0' };
    let text = String::from_utf8_lossy(&text);
    VerificationId::parse(&text).unwrap_or_else(|| id.clone())
}

/// The line of an address, as the contract reads it: an address of IPv4, a /56 of IPv6.
fn line_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{:x?}", &v6.octets()[..7]),
    }
}

fn repeatable(command: &Command) -> Option<Command> {
    match command {
        Command::Issue(issue) => Some(Command::Issue(unproven(Issue::clone(issue)))),
        Command::Resend(resend) => Some(Command::Resend(unproven(Resend::clone(resend)))),
        Command::Charge(charge) => Some(Command::Charge(*charge)),
        Command::ChargeKey(key) => Some(Command::ChargeKey(*key)),
        Command::ChargeDomain(domain) => Some(Command::ChargeDomain(*domain)),
        Command::Reserve(reserve) => Some(Command::Reserve(unproven(Reserve::clone(reserve)))),
        Command::Spend(spend) => Some(Command::Spend(unproven(Spend::clone(spend)))),
        _ => None,
    }
}

/// Which window refused, and how long it said to wait.
fn limited(outcome: &Outcome) -> Option<(Policy, Duration)> {
    match outcome {
        Outcome::Refused(Refusal::RateLimited { policy, retry_after })
        | Outcome::Charged(Charged { refusal: Some(Refusal::RateLimited { policy, retry_after }), .. }) => {
            Some((*policy, *retry_after))
        }
        _ => None,
    }
}

/// The name of an outcome, for counting.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Issued(_) => "issued",
        Outcome::Resent(_) => "resent",
        Outcome::Approved(_) => "approved",
        Outcome::Incorrect { .. } => "incorrect",
        Outcome::Exhausted { .. } => "exhausted",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::Status(..) => "status",
        Outcome::Noted => "noted",
        Outcome::Reserved { .. } => "reserved",
        Outcome::Repeated { .. } => "repeated",
        Outcome::Spent { .. } => "spent",
        Outcome::Charged(charged) => match charged.refusal {
            None => "charged",
            Some(Refusal::RateLimited { policy: Policy::Peer, .. }) => "peer limit",
            Some(Refusal::RateLimited { policy: Policy::Project, .. }) => "project limit",
            Some(Refusal::RateLimited { policy: Policy::Domain, .. }) => "domain limit",
            Some(Refusal::RateLimited { .. }) => "key limit",
            Some(Refusal::Banned { .. }) => "peer banned",
            Some(_) => "not counted",
        },
        Outcome::Banned(_) => "banned",
        Outcome::Exempt => "exempt",
        Outcome::Unbanned { was_banned: true } => "unbanned",
        Outcome::Unbanned { was_banned: false } => "was not banned",
        Outcome::Refused(refusal) => match refusal {
            Refusal::Banned { .. } => "banned out of turn",
            Refusal::VerificationNotFound => "not found",
            Refusal::RecipientMismatch => "recipient mismatch",
            Refusal::NonceMismatch => "nonce mismatch",
            Refusal::MalformedCode => "malformed code",
            Refusal::RateLimited { policy: Policy::Recipient, .. } => "recipient limit",
            Refusal::RateLimited { .. } => "resend limit",
            Refusal::Overloaded { .. } => "overloaded",
            Refusal::DeliveryUnavailable { .. } => "still sending",
            Refusal::IdempotencyInProgress { .. } => "in progress",
            Refusal::IdempotencyKeyReused => "key reused",
            Refusal::NotReady { .. } => "not ready",
        },
    }
}
