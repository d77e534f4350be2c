//! The engine alone, held at so many live verifications while all of them change.
//!
//! ```text
//!   a pair   newcomer: charge its peer, issue, the mail's hand-over │ somebody: charge its peer, check, purge
//!   whom     the newcomer's inbox and peer are new; who checks is drawn by lot from all that live
//!   time     virtual: in 10 s of it as many pairs pass as verifications live
//! ```
//!
//! Counted is what a shard does for a pair with a live key under all default counts (issue and check windows of
//! the peer, the inbox's window and the peer's share, the guess ledger, MAC, compare, purge, sweeping), and
//! what a lane does to find the shard: an id's digest and route, a peer's route and digest. The spans of the
//! windows are [`SPAN`] in place of minutes, hours and a day, or the memory of past inboxes would grow from
//! window to window; counts, and what is done for them, stay as they are.
//!
//! Not counted: naming the inbox (two HMACs before the shard is asked), the operating system's randomness (a
//! seeded generator stands in for it; about 30 ns a pair), clocks, channels, and the caller's memory of ids and codes.
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::id::VerificationId;
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::limits::Limit;
use authepy_engine::peer::Peer;
use authepy_engine::request::{Activity, Charge, Check, Command, HandOver, Issue, Outcome, Slot};
use authepy_engine::route::{InboxFingerprint, StartKeys};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

use crate::cpu;

const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };
/// Every window's, of inboxes and peers alike.
pub const SPAN: Duration = Duration::from_secs(20);
/// How long all that live take to be replaced once. A life is 300 s: nobody expires.
const TURNOVER: Duration = Duration::from_secs(10);
/// As the shard's actor does.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// Pairs, at least, for one look at the clock, which is a call of the system: 0.6 µs.
const BETWEEN_LOOKS: usize = 256;

/// One shard, and the people whose codes it holds.
pub struct Rulebook {
    shard: Shard,
    keys: StartKeys,
    /// What secrets and codes are drawn from.
    entropy: Seeded,
    /// Who checks next, and how inboxes are called.
    lot: Seeded,
    waiting: Vec<Person>,
    size: usize,
    batch: usize,
    /// Issues so far; the clock.
    issued: u64,
    swept: Duration,
}

/// Somebody with a mail in hand.
struct Person {
    id: VerificationId,
    code: Code,
    number: u32,
}

impl Rulebook {
    /// Filled with `size` live verifications. Commands are decided in batches of `batch`, as another lane's
    /// are; with 1 each by itself, as those of the shard's own lane.
    ///
    /// # Errors
    /// The engine did not do as it must.
    pub fn filled(size: usize, batch: usize) -> Result<Self, String> {
        let mut entropy = Seeded::new(1);
        let keys = StartKeys::draw(&mut entropy);
        let shard = Shard::new(keys.clone(), settings());
        let (lot, waiting) = (Seeded::new(2), Vec::with_capacity(size + batch));
        let mut book =
            Self { shard, keys, entropy, lot, waiting, size, batch, issued: 0, swept: Duration::ZERO };
        while book.waiting.len() < size {
            let newcomers = book.newcomers(0);
            book.welcome(newcomers)?;
            book.sweep();
        }
        Ok(book)
    }

    /// How many live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shard.live()
    }

    /// Bytes that the engine counts for all it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shard.census().bytes
    }

    /// At least so many pairs. Returns how many, and the CPU they took in ns.
    ///
    /// # Errors
    /// A right code was not approved, or an issue refused.
    pub fn pairs(&mut self, least: u64) -> Result<(u64, u64), String> {
        let (mut done, mut nanos) = (0, 0);
        while done < least {
            // Looking at the clock costs more than a check: many batches for one look.
            let batches = BETWEEN_LOOKS.div_ceil(self.batch);
            let coming: Vec<_> = (0..batches).map(|batch| self.newcomers(batch)).collect();
            let leaving: Vec<Vec<Person>> = (0..batches).map(|_| self.leavers()).collect();
            let mut arrived = Vec::with_capacity(batches);
            let from = cpu::own_nanos();
            for (newcomers, leavers) in coming.into_iter().zip(leaving) {
                arrived.push(self.issue(newcomers)?);
                done += self.check(leavers)?;
                self.sweep();
            }
            nanos += cpu::own_nanos().saturating_sub(from);
            self.waiting.extend(arrived.into_iter().flatten());
        }
        Ok((done, nanos))
    }

    /// Goes on until what the first ones left behind has been forgotten twice over. Tables that have just been filled
    /// lie in the order in which they will be swept, which is a fifth cheaper than they will ever be again.
    ///
    /// # Errors
    /// As [`Self::pairs`].
    pub fn settle(&mut self) -> Result<(), String> {
        let turnovers = 2 * SPAN.as_secs() / TURNOVER.as_secs();
        self.pairs(turnovers * self.size as u64).map(drop)
    }

    fn welcome(&mut self, newcomers: Vec<(u32, InboxFingerprint)>) -> Result<(), String> {
        let arrived = self.issue(newcomers)?;
        self.waiting.extend(arrived);
        Ok(())
    }

    /// Numbers and inboxes of the next batch, or of one to come.
    fn newcomers(&mut self, batch: usize) -> Vec<(u32, InboxFingerprint)> {
        let inbox = |lot: &mut Seeded| {
            let mut bytes = [0; 16];
            authepy_engine::entropy::Entropy::fill(lot, &mut bytes);
            InboxFingerprint::from_bytes(bytes)
        };
        let first = self.issued as u32 + (batch * self.batch) as u32;
        (0..self.batch as u32).map(|nth| (first + nth, inbox(&mut self.lot))).collect()
    }

    fn leavers(&mut self) -> Vec<Person> {
        (0..self.batch).filter_map(|_| self.draw()).collect()
    }

    fn draw(&mut self) -> Option<Person> {
        let at = self.lot.below(self.waiting.len().max(1) as u64) as usize;
        (at < self.waiting.len()).then(|| self.waiting.swap_remove(at))
    }

    fn issue(&mut self, newcomers: Vec<(u32, InboxFingerprint)>) -> Result<Vec<Person>, String> {
        let charges = newcomers.iter().map(|(number, _)| self.charge(*number, Activity::Issue)).collect();
        self.decide_charges(charges)?;
        let issues = newcomers.iter().map(|(number, inbox)| {
            let peer = Some(self.keys.peer_share(&peer(*number)));
            Command::Issue(unproven(Issue {
                peer,
                ..plain_issue(&self.keys, *inbox, OWNER, &mut self.entropy)
            }))
        });
        let issues = issues.collect();
        let (mut people, mut mails) = (Vec::with_capacity(self.batch), Vec::with_capacity(self.batch));
        for (outcome, (number, _)) in self.decide(issues).into_iter().zip(newcomers) {
            let Outcome::Issued(issued) = outcome else { return Err(format!("not issued: {outcome:?}")) };
            mails.push(Command::HandOver(HandOver {
                id: issued.id.digest(),
                send: issued.send,
                accepted: true,
            }));
            people.push(Person { id: issued.id, code: issued.code, number });
        }
        self.issued += people.len() as u64;
        self.decide(mails);
        Ok(people)
    }

    fn check(&mut self, leaving: Vec<Person>) -> Result<u64, String> {
        let charges = leaving.iter().map(|person| self.charge(person.number, Activity::Check)).collect();
        self.decide_charges(charges)?;
        let checks = leaving.into_iter().map(|Person { id, code, .. }| {
            let slot = Slot::locate(&self.keys, id, OWNER);
            Command::Check(unproven(Check { slot, code, address: None, nonce: None }))
        });
        let checks = checks.collect();
        let mut done = 0;
        for outcome in self.decide(checks) {
            match outcome {
                Outcome::Approved(_) => done += 1,
                other => return Err(format!("not approved: {other:?}")),
            }
        }
        Ok(done)
    }

    fn charge(&self, number: u32, activity: Activity) -> Command {
        let peer = peer(number);
        black_box(self.keys.peer_route(&peer));
        Command::Charge(Charge::proved(peer, activity, Mode::Live))
    }

    fn decide_charges(&mut self, charges: Vec<Command>) -> Result<(), String> {
        for outcome in self.decide(charges) {
            match outcome {
                Outcome::Charged(charged) if charged.refusal.is_none() => {}
                other => return Err(format!("not let through: {other:?}")),
            }
        }
        Ok(())
    }

    /// As the shard's actor decides a batch.
    fn decide(&mut self, commands: Vec<Command>) -> Vec<Outcome> {
        let now = self.now();
        if self.batch > 1 {
            self.shard.touch(commands.iter());
        }
        let decide = |command| {
            let outcome = self.shard.handle(now, command, &mut self.entropy);
            drop(self.shard.take_ban_changes());
            outcome
        };
        commands.into_iter().map(decide).collect()
    }

    fn sweep(&mut self) {
        let present = self.elapsed();
        if present >= self.swept + SWEEP_EVERY {
            self.swept = present;
            while self.shard.sweep(self.now().at) {}
        }
    }

    fn elapsed(&self) -> Duration {
        TURNOVER.mul_f64(self.issued as f64 / self.size as f64)
    }

    fn now(&self) -> Now {
        let millis = self.elapsed().as_millis() as u64;
        Now { at: Moment::from_millis(millis), unix_ms: millis }
    }
}

/// As shipped, but for the spans.
fn settings() -> Settings {
    let mut settings = as_shipped();
    let shorten = |limits: &mut Vec<Limit>| limits.iter_mut().for_each(|limit| limit.window = SPAN);
    let Settings { recipient_issue, recipient_peer_issue, recipient_all_issue, .. } = &mut settings;
    [recipient_issue, recipient_peer_issue, recipient_all_issue].into_iter().for_each(shorten);
    let Settings { recipient_guess, peer, .. } = &mut settings;
    shorten(recipient_guess);
    [&mut peer.issue, &mut peer.check, &mut peer.denied, &mut peer.handshake].into_iter().for_each(shorten);
    settings
}

/// A peer for each number, spread over all of IPv4.
fn peer(number: u32) -> Peer {
    Peer::from(IpAddr::from(number.wrapping_mul(0x9e37_79b1).to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rulebook_stays_as_full_as_it_was() {
        for batch in [1, 32] {
            let mut book = Rulebook::filled(2_000, batch).unwrap();
            assert!((2_000..2_032).contains(&book.live()), "{}", book.live());
            let (live, bytes) = (book.live(), book.bytes());
            book.settle().unwrap();
            let settled = book.bytes();
            let (pairs, nanos) = book.pairs(20_000).unwrap();
            assert!(pairs >= 20_000 && nanos > 0);
            assert_eq!(book.live(), live);
            assert!(
                settled < bytes * 3 && book.bytes() < settled * 5 / 4,
                "{bytes} {settled} {}",
                book.bytes()
            );
        }
    }
}
