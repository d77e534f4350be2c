//! Looks on: every command and every outcome, nothing else, and says when an invariant is broken.

use std::collections::{BTreeMap, HashMap};

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::identity::{Mode, Owner};
use authepy_engine::limits::Limit;
use authepy_engine::request::{Issue, Issued, Outcome, Policy, Refusal};
use authepy_engine::route::{IdDigest, InboxFingerprint, NonceDigest, PeerShare, StartKeys};
use authepy_engine::shard::Settings;

use crate::bans::{BanWatch, Sight};
use crate::facts::Facts;
use crate::phone::{INBOXES, address_of};

/// What is broken, in words.
pub(crate) type Told = String;

const A_DAY_MS: u64 = 86_400_000;
/// What wrong codes of one day may sum up to in one inbox, in hits per 10⁶.
const HITS_PER_MILLION: f64 = 30.0;

/// A verification, as its outcomes told it.
pub(crate) struct Case {
    pub(crate) inbox: InboxFingerprint,
    pub(crate) owner: Owner,
    pub(crate) nonce: Option<NonceDigest>,
    deadline: Moment,
    /// Each code, and whether its mail is known to have failed.
    codes: Vec<(Code, bool)>,
    wrong: u8,
    pub(crate) approved: bool,
    ended: bool,
    arrived: Vec<u8>,
}

impl Case {
    fn is_live(&self, at: Moment) -> bool {
        !self.ended && at < self.deadline
    }

    /// The codes that must work: the last two whose mail did not fail.
    fn valid(&self) -> impl Iterator<Item = &Code> {
        self.codes.iter().rev().filter(|(_, failed)| !failed).take(2).map(|(code, _)| code)
    }

    pub(crate) fn has_code(&self, code: &Code) -> bool {
        self.codes.iter().any(|(own, _)| own.as_str() == code.as_str())
    }
}

/// Owned by the world; knows no shard.
pub(crate) struct Watch {
    stated: Settings,
    ceiling: usize,
    numbers: HashMap<InboxFingerprint, u64>,
    cases: HashMap<IdDigest, Case>,
    /// Accepted mails of each inbox, by time.
    mails: HashMap<InboxFingerprint, Vec<(u64, Owner, Option<PeerShare>)>>,
    /// Wrong codes compared in each inbox: when, and with how many hits in a million.
    guesses: HashMap<InboxFingerprint, Vec<(u64, f64)>>,
    pub(crate) bans: BanWatch,
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Watch {
    pub(crate) fn new(keys: &StartKeys, stated: Settings, ceiling: usize) -> Self {
        let number = |n| [Mode::Live, Mode::Test].map(|mode| (keys.fingerprint(&address_of(n), mode), n));
        let numbers = (0..INBOXES).flat_map(number).collect();
        let strikes = stated.bans.strikes.iter().map(|limit| limit.count).min().unwrap_or(u32::MAX);
        Self {
            stated,
            ceiling,
            numbers,
            cases: HashMap::new(),
            mails: HashMap::new(),
            guesses: HashMap::new(),
            bans: BanWatch::new(strikes),
            seen: BTreeMap::new(),
        }
    }

    pub(crate) fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn see_if(&mut self, sight: Sight) {
        sight.into_iter().for_each(|what| self.see(what));
    }

    pub(crate) fn stated(&self) -> Settings {
        self.stated.clone()
    }

    pub(crate) fn case(&self, id: &IdDigest) -> Option<&Case> {
        self.cases.get(id)
    }

    /// Whether another verification of this inbox was opened before.
    pub(crate) fn is_known(&self, inbox: &InboxFingerprint) -> bool {
        self.mails.contains_key(inbox)
    }

    /// The number of the inbox that a verification is about.
    pub(crate) fn inbox_of(&self, id: IdDigest) -> u64 {
        self.numbers[&self.cases[&id].inbox]
    }

    /// A shard has decided.
    pub(crate) fn decided(&mut self, now: Now, facts: &Facts, outcome: &Outcome) -> Result<(), Told> {
        self.stays_ended(now.at, facts, outcome)?;
        match (facts, outcome) {
            (Facts::Issue(issue), Outcome::Issued(issued)) => self.opened(now.at, issue, issued),
            (Facts::Resend { id, peer, .. }, Outcome::Resent(issued)) => {
                self.see("resent");
                let case = self.cases.get_mut(id).ok_or("a resend for nothing")?;
                case.codes.push((issued.code.clone(), false));
                same("the mail's number", &usize::from(issued.send), &case.codes.len())?;
                let left = self.stated.attempts - case.wrong;
                same("tries left after a resend", &issued.standing.attempts_remaining, &left)?;
                let (inbox, owner) = (case.inbox, case.owner);
                self.mailed(now.at, inbox, owner, *peer)
            }
            (Facts::Check { id, owner, code, nonce }, _) => {
                self.checked(now.at, (*id, *owner), code, *nonce, outcome)
            }
            (Facts::Cancel(id, owner), Outcome::Cancelled { was_live }) => {
                let live = self.own(id, *owner).is_some_and(|case| case.is_live(now.at));
                same("whether it was live", was_live, &live)?;
                if live {
                    self.see("cancelled");
                    self.cases.get_mut(id).into_iter().for_each(|case| case.ended = true);
                }
                Ok(())
            }
            (Facts::HandOver(word), _) => {
                let code = self.cases.get_mut(&word.id).map(|case| &mut case.codes);
                let code = code.and_then(|codes| codes.get_mut(usize::from(word.send) - 1));
                code.into_iter().for_each(|(_, failed)| *failed |= !word.accepted);
                Ok(())
            }
            (Facts::Charge(charge), Outcome::Charged(charged)) => {
                let sight = self.bans.charged(now.at, charge, charged.refusal.as_ref())?;
                self.see_if(sight);
                Ok(())
            }
            (_, Outcome::Refused(Refusal::RateLimited { policy: Policy::Recipient, .. })) => {
                self.see("recipient limit");
                Ok(())
            }
            (_, Outcome::Refused(Refusal::Overloaded { .. })) => {
                self.see("overloaded");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// 2, 6 and 11: what is live is found by its owner, and what has ended by nobody.
    fn stays_ended(&mut self, at: Moment, facts: &Facts, outcome: &Outcome) -> Result<(), Told> {
        let Some((id, owner)) = facts.names() else { return Ok(()) };
        let found = !matches!(
            outcome,
            Outcome::Refused(Refusal::VerificationNotFound) | Outcome::Cancelled { was_live: false }
        );
        let (live, expired) = match self.own(&id, owner) {
            Some(case) => (case.is_live(at), !case.ended && at >= case.deadline),
            None => (false, false),
        };
        if !found {
            self.see(if expired { "expired" } else { "not found" });
        }
        match (live, found) {
            (true, false) => Err("a live verification was not found by its owner".into()),
            (false, true) => Err(format!("an ended or foreign verification was found: {outcome:?}")),
            _ => Ok(()),
        }
    }

    fn own(&self, id: &IdDigest, owner: Owner) -> Option<&Case> {
        self.cases.get(id).filter(|case| case.owner == owner)
    }

    /// 5 and 10: what an accepted issue says follows from the request and the settings alone.
    fn opened(&mut self, at: Moment, issue: &Issue, issued: &Issued) -> Result<(), Told> {
        self.see("issued");
        let (stated, standing) = (&self.stated, &issued.standing);
        let deadline = at.after(issue.lifetime.unwrap_or(stated.lifetime));
        same("the first mail's number", &issued.send, &1)?;
        same("tries left", &standing.attempts_remaining, &stated.attempts)?;
        same("mails left", &standing.sends_remaining, &(stated.sends - 1))?;
        same("its end", &standing.expires, &deadline)?;
        same("its next mail", &standing.resend_at, &at.after(stated.resend_after))?;
        let case = Case {
            inbox: issue.inbox,
            owner: issue.owner,
            nonce: issue.nonce,
            deadline,
            codes: vec![(issued.code.clone(), false)],
            wrong: 0,
            approved: false,
            ended: false,
            arrived: Vec::new(),
        };
        if self.cases.insert(issued.id.digest(), case).is_some() {
            return Err("an id was drawn twice".into());
        }
        self.mailed(at, issue.inbox, issue.owner, issue.peer)
    }

    /// 4: no span holds more than its count.
    fn mailed(
        &mut self,
        at: Moment,
        inbox: InboxFingerprint,
        owner: Owner,
        peer: Option<PeerShare>,
    ) -> Result<(), Told> {
        let mails = self.mails.entry(inbox).or_default();
        mails.push((at.as_millis(), owner, peer));
        let within = |limits: &[Limit], counts: &dyn Fn(Owner, Option<PeerShare>) -> bool| {
            limits.iter().all(|limit| {
                let span = limit.window.as_millis() as u64;
                let recent = mails.iter().filter(|(then, ..)| then + span > at.as_millis());
                recent.filter(|(_, owner, by)| counts(*owner, *by)).count() <= limit.count as usize
            })
        };
        if !within(&self.stated.recipient_issue, &|of, _| of == owner) {
            return Err("an inbox got more mails of a project than its budget".into());
        }
        if !within(&self.stated.recipient_peer_issue, &|of, by| of == owner && peer.is_some() && by == peer) {
            return Err("a peer used more than its share of an inbox".into());
        }
        if !within(&self.stated.recipient_all_issue, &|_, _| true) {
            return Err("an inbox got more mails of all projects than its budget".into());
        }
        Ok(())
    }

    /// 1, 2, 3 and 6.
    fn checked(
        &mut self,
        at: Moment,
        (id, owner): (IdDigest, Owner),
        code: &Code,
        nonce: Option<NonceDigest>,
        outcome: &Outcome,
    ) -> Result<(), Told> {
        let tries = self.stated.attempts;
        let Some(case) = self.cases.get_mut(&id).filter(|case| case.owner == owner && case.is_live(at))
        else {
            return Ok(());
        };
        let nonce_fits = case.nonce.is_none() || case.nonce == nonce;
        let right = case.valid().any(|valid| valid.as_str() == code.as_str());
        match outcome {
            Outcome::Approved(_) if case.approved => return Err("a second success".into()),
            Outcome::Approved(_) if !nonce_fits => return Err("a success with another nonce".into()),
            Outcome::Approved(_) if !case.has_code(code) => {
                return Err("a success with a code that is none of its own".into());
            }
            Outcome::Approved(_) => {
                (case.approved, case.ended) = (true, true);
                self.see("approved");
            }
            _ if right && nonce_fits => return Err(format!("a right code was answered {outcome:?}")),
            Outcome::Incorrect { attempts_remaining, .. } => {
                case.wrong += 1;
                same("tries left", attempts_remaining, &tries.saturating_sub(case.wrong))?;
                self.see("incorrect");
                return self.guessed(at, id, code);
            }
            Outcome::Exhausted { .. } => {
                (case.wrong, case.ended) = (case.wrong + 1, true);
                same("wrong codes", &case.wrong, &tries)?;
                self.see("exhausted");
                return self.guessed(at, id, code);
            }
            _ => {}
        }
        Ok(())
    }

    /// 12: one peer's trying, or everybody's, in one inbox and any day.
    fn guessed(&mut self, at: Moment, id: IdDigest, code: &Code) -> Result<(), Told> {
        let case = &self.cases[&id];
        let alike = case.valid().filter(|valid| valid.length() == code.length()).count();
        let hits = alike as f64 * 10f64.powi(6 - i32::from(code.length()));
        let guesses = self.guesses.entry(case.inbox).or_default();
        guesses.push((at.as_millis(), hits));
        let today = guesses.iter().filter(|(then, _)| then + A_DAY_MS > at.as_millis());
        let sum: f64 = today.map(|(_, hits)| hits).sum();
        if sum < HITS_PER_MILLION {
            Ok(())
        } else {
            Err(format!("{sum:.1} hits in 10⁶ in one inbox and day"))
        }
    }

    /// 9: once the word has had its time, a revoked key opens nothing.
    pub(crate) fn admitted(
        &mut self,
        admitted: bool,
        revoked: Option<u64>,
        at: u64,
        bound: u64,
    ) -> Result<(), Told> {
        match (admitted, revoked) {
            (true, Some(then)) if at > then + bound => Err("a revoked key was let in".into()),
            (false, None) => Err("a key that works was not let in".into()),
            (false, Some(_)) => {
                self.see("revoked");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// 5: a mail goes out once.
    pub(crate) fn mail_arrived(&mut self, id: IdDigest, send: u8) -> Result<(), Told> {
        let arrived = self.cases.get_mut(&id).map(|case| &mut case.arrived).ok_or("a mail about nothing")?;
        if arrived.contains(&send) {
            return Err("a mail came twice".into());
        }
        arrived.push(send);
        self.see("sign-up");
        Ok(())
    }

    /// 7.
    pub(crate) fn weighed(&mut self, bytes: usize) -> Result<(), Told> {
        if bytes <= self.ceiling { Ok(()) } else { Err(format!("{bytes} bytes, over {}", self.ceiling)) }
    }
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, told: &T, expected: &T) -> Result<(), Told> {
    if told == expected { Ok(()) } else { Err(format!("{what}: {told:?}, expected {expected:?}")) }
}
