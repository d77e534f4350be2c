//! What does a shard take to decide one command of each kind?
//!
//! A shard with all default limits and twelve hundred live verifications, at one moment; everything is drawn from
//! a seed. Counted is [`Shard::handle`] with the command ready, and what the actor does around it: it takes the
//! bans' changes and drops the outcome. By itself: the id of an issue, which the lane makes. Not asked: where an id or
//! a peer lives (keyed hashes, worked out by the lane), sweeping, cache misses.
//!
//! SHA-256 is more than half of an issue and two thirds of a check, more than on a server, since callgrind's processor
//! has no instructions for it. So a rule of a check must cost a tenth more before the gate notices.
use std::net::IpAddr;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::entropy::Entropy;
use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::peer::Peer;
use authepy_engine::request::{
    Activity, Charge, Check, Command, HandOver, Issue, Issued, Outcome, Refusal, Slot,
};
use authepy_engine::route::{InboxFingerprint, StartKeys};
use authepy_engine::shard::Shard;
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

use super::{Question, Turn};

const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };
const NOW: Now = Now { at: Moment::from_millis(60_000), unix_ms: 1_700_000_000_000 };
/// Live besides those that are asked about. So many that no table grows while turns are taken: one of 2,048 places
/// holds 1,792.
const OTHERS: usize = 1_200;
/// Commands that another lane sends in one go.
const BATCH: usize = 32;

/// Its questions.
#[must_use]
pub fn questions() -> Vec<Question> {
    vec![
        each("rulebook/charge-newcomer", Town::newcomers, let_through),
        each("rulebook/charge-known-peer", Town::known_peers, let_through),
        Question::new("rulebook/make-id", ids),
        each("rulebook/issue", Town::issues, |outcome| matches!(outcome, Outcome::Issued(_))),
        each("rulebook/hand-over", Town::hand_overs, |outcome| matches!(outcome, Outcome::Noted)),
        each("rulebook/check-right", Town::right_checks, approved),
        each("rulebook/check-wrong", Town::wrong_checks, |outcome| {
            matches!(outcome, Outcome::Incorrect { .. })
        }),
        each("rulebook/check-unknown", Town::unknown_checks, |outcome| {
            matches!(outcome, Outcome::Refused(Refusal::VerificationNotFound))
        }),
        each("rulebook/cancel", Town::cancels, |outcome| {
            matches!(outcome, Outcome::Cancelled { was_live: true })
        }),
        Question::new("rulebook/batch-of-32-checks", batches).turns(16),
    ]
}

fn approved(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Approved(_))
}

fn let_through(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Charged(charged) if charged.refusal.is_none())
}

/// One command a turn.
fn each(
    name: &'static str,
    commands: fn(&mut Town, usize) -> Result<Vec<Command>, String>,
    is_right: fn(&Outcome) -> bool,
) -> Question {
    Question::new(name, move |turns| {
        let mut town = Town::new()?;
        let mut commands = commands(&mut town, turns)?.into_iter();
        let turn: Turn =
            Box::new(move || commands.next().is_some_and(|command| is_right(&town.decide(command))));
        Ok(turn)
    })
}

/// An id a turn.
fn ids(_: usize) -> Result<Turn, String> {
    let mut entropy = Seeded::new(1);
    let keys = StartKeys::draw(&mut entropy);
    let route = InboxFingerprint::from_bytes([7; 16]).route();
    Ok(Box::new(move || {
        let id = VerificationId::new(&keys, IdSecret::draw(&mut entropy), route);
        id.route(&keys) == route
    }))
}

/// [`BATCH`] checks a turn, touched before they are decided.
fn batches(turns: usize) -> Result<Turn, String> {
    let mut town = Town::new()?;
    let batches = (0..turns).map(|_| town.right_checks(BATCH));
    let mut batches = batches.collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(Box::new(move || {
        let Some(batch) = batches.next() else { return false };
        town.shard.touch(batch.iter());
        batch.into_iter().all(|command| approved(&town.decide(command)))
    }))
}

/// A shard, and what makes people.
struct Town {
    shard: Shard,
    keys: StartKeys,
    entropy: Seeded,
    born: u32,
}

impl Town {
    fn new() -> Result<Self, String> {
        let mut entropy = Seeded::new(1);
        let keys = StartKeys::draw(&mut entropy);
        let mut town = Self { shard: Shard::new(keys.clone(), as_shipped()), keys, entropy, born: 0 };
        town.mailed(OTHERS)?;
        town.charge_all(OTHERS, Activity::Issue)?;
        Ok(town)
    }

    /// As the shard's actor decides it.
    fn decide(&mut self, command: Command) -> Outcome {
        let outcome = self.shard.handle(NOW, command, &mut self.entropy);
        drop(self.shard.take_ban_changes());
        outcome
    }

    fn newcomers(&mut self, count: usize) -> Result<Vec<Command>, String> {
        Ok((0..count).map(|_| charge(self.next_peer(), Activity::Check)).collect())
    }

    fn known_peers(&mut self, count: usize) -> Result<Vec<Command>, String> {
        let peers = self.charge_all(count, Activity::Check)?;
        Ok(peers.into_iter().map(|peer| charge(peer, Activity::Check)).collect())
    }

    fn issues(&mut self, count: usize) -> Result<Vec<Command>, String> {
        Ok((0..count).map(|_| self.issue()).collect())
    }

    fn hand_overs(&mut self, count: usize) -> Result<Vec<Command>, String> {
        Ok(self.issued(count)?.iter().map(hand_over).collect())
    }

    fn right_checks(&mut self, count: usize) -> Result<Vec<Command>, String> {
        let mailed = self.mailed(count)?;
        Ok(mailed.into_iter().map(|issued| self.check(issued.id, issued.code)).collect())
    }

    fn wrong_checks(&mut self, count: usize) -> Result<Vec<Command>, String> {
        let mailed = self.mailed(count)?;
        Ok(mailed.into_iter().map(|issued| self.check(issued.id, other_than(&issued.code))).collect())
    }

    fn unknown_checks(&mut self, count: usize) -> Result<Vec<Command>, String> {
        let checks = (0..count).map(|_| {
            let secret = IdSecret::draw(&mut self.entropy);
            let route = self.next_digest().route();
            let id = VerificationId::new(&self.keys, secret, route);
            self.check(id, Code::zeros(6))
        });
        Ok(checks.collect())
    }

    fn cancels(&mut self, count: usize) -> Result<Vec<Command>, String> {
        let mailed = self.mailed(count)?;
        Ok(mailed.into_iter().map(|issued| Command::Cancel(unproven(self.slot(issued.id)))).collect())
    }

    /// So many verifications whose mails a relay has taken.
    fn mailed(&mut self, count: usize) -> Result<Vec<Issued>, String> {
        let issued = self.issued(count)?;
        for one in &issued {
            self.decide(hand_over(one));
        }
        Ok(issued)
    }

    fn issued(&mut self, count: usize) -> Result<Vec<Issued>, String> {
        let issue = |_| {
            let command = self.issue();
            match self.decide(command) {
                Outcome::Issued(issued) => Ok(issued),
                other => Err(format!("not issued: {other:?}")),
            }
        };
        (0..count).map(issue).collect()
    }

    fn charge_all(&mut self, count: usize, activity: Activity) -> Result<Vec<Peer>, String> {
        let peers: Vec<Peer> = (0..count).map(|_| self.next_peer()).collect();
        let is_in = |peer: &Peer| let_through(&self.decide(charge(*peer, activity)));
        if peers.iter().all(is_in) { Ok(peers) } else { Err("a newcomer was not let through".into()) }
    }

    /// Somebody new wants a code.
    fn issue(&mut self) -> Command {
        let inbox = self.next_digest();
        let peer = self.next_peer();
        let peer = Some(self.keys.peer_share(&peer));
        Command::Issue(unproven(Issue { peer, ..plain_issue(&self.keys, inbox, OWNER, &mut self.entropy) }))
    }

    fn check(&self, id: VerificationId, code: Code) -> Command {
        Command::Check(unproven(Check { slot: self.slot(id), code, address: None, nonce: None }))
    }

    fn slot(&self, id: VerificationId) -> Slot {
        Slot::locate(&self.keys, id, OWNER)
    }

    fn next_digest(&mut self) -> InboxFingerprint {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        InboxFingerprint::from_bytes(bytes)
    }

    /// Each has a network of its own, spread over all of IPv4.
    fn next_peer(&mut self) -> Peer {
        self.born += 1;
        Peer::from(IpAddr::from(self.born.wrapping_mul(0x9e37_79b1).to_be_bytes()))
    }
}

fn charge(peer: Peer, activity: Activity) -> Command {
    Command::Charge(Charge::proved(peer, activity, Mode::Live))
}

fn hand_over(issued: &Issued) -> Command {
    Command::HandOver(HandOver { id: issued.id.digest(), send: issued.send, accepted: true })
}

fn other_than(code: &Code) -> Code {
    let zeros = Code::zeros(code.length());
    let digits = if zeros.as_str() == code.as_str() { "111111" } else { "000000" };
    Code::read(digits).unwrap_or(zeros)
}
