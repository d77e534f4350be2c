//! The slow, obvious reading of the contract: everything that ever happened, in lists, scanned anew for
//! every question. It shares no rule with the shard; ids and codes it learns from the outcomes, as the
//! owner of the mailbox would.
//!
//! Where the contract is silent, these are the rules it holds the shard to:
//! - A new verification, claim or spent receipt is refused where its owner holds more than is free; see `shares.rs`.
//! - Of an inbox no project may hold more live verifications than are free, of 32.
//! - What has ended is out of the counters as soon as a command reached its inbox, at the latest after
//!   the first complete sweep of a later whole second; an inbox of which one mail was remembered, up to ten
//!   minutes later.
//! - A code is as long as asked for, as the one before it, or as the guess ledger wants it, whichever is
//!   most; a try is compared with live codes of as many digits, and is malformed if there is none.
//! - Claimed idempotency keys and spent receipts give their places back when they are released, and otherwise at
//!   the first sweep, or refusal, of a later second than that of their end.
//! - Where no window over all projects is as long as the others, an inbox gets twice as many mails as the largest count,
//!   at least 64, in the longest window, and half of them on behalf of peers.

use std::collections::HashMap;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::id::VerificationId;
use authepy_engine::identity::{KeyTag, Mode, Owner};
use authepy_engine::limits::Limit;
use authepy_engine::request::{
    Answered, Approved, Check, Command, First, HandOver, Issue, Issued, Outcome, Policy, Refusal, Resend,
    Reserve, Settle, Slot, Spend, Standing,
};
use authepy_engine::route::{
    BodyDigest, ClaimDigest, Digest128, IdDigest, InboxFingerprint, PeerShare, ReceiptDigest, StartKeys,
};
use authepy_engine::shard::Settings;

use super::domains::DomainOracle;
use super::peers::PeerOracle;
use super::shares::{Held, Share};

const LIVE_PER_INBOX: usize = 32;
/// Mails that an inbox may get at least, in the longest window, where no window over all projects covers it.
const MAILS_AT_LEAST: u32 = 64;
/// How long an inbox of one mail may be remembered past its end: until those are gone whose mails are newer.
const LINGERING: u64 = 600_000;
const A_SECOND: Duration = Duration::from_secs(1);
const FIVE_SECONDS: Duration = Duration::from_secs(5);
const A_DAY: Duration = Duration::from_secs(86_400);

/// A mail that was promised, and what the relay said about it.
pub(crate) struct Mail {
    pub(crate) at: u64,
    pub(crate) code: Code,
    pub(crate) taken: Option<bool>,
}

/// A verification that was opened at some time; it never leaves the list.
pub(crate) struct Opened {
    pub(crate) id: VerificationId,
    pub(crate) digest: IdDigest,
    pub(crate) issue: Issue,
    pub(crate) expires: u64,
    pub(crate) mails: Vec<Mail>,
    pub(crate) tries: u32,
    /// Used, failed or cancelled.
    pub(crate) ended: bool,
    /// Expired, and certainly out of the tables.
    freed: bool,
}

struct Delivered {
    inbox: InboxFingerprint,
    owner: Owner,
    key: KeyTag,
    by: Option<PeerShare>,
    at: u64,
}

/// A wrong code that was compared with one live code.
struct Guessed {
    inbox: InboxFingerprint,
    at: u64,
}

/// Something an inbox has to remember.
struct Trace {
    inbox: InboxFingerprint,
    until: u64,
    of_a_mail: bool,
    freed: bool,
}

struct Claim {
    key: ClaimDigest,
    body: BodyDigest,
    owner: Owner,
    salt: Digest128,
    /// For how long it is repeated, and has a place.
    expires: u64,
    first: Option<First>,
    released: bool,
    place: bool,
}

struct SpentOnce {
    receipt: ReceiptDigest,
    owner: Owner,
    expires: u64,
    place: bool,
}

/// What the next outcome has to be.
pub(crate) enum Expected {
    Exactly(Outcome),
    Issued(Issue, u8),
    /// Whether the last record that stands in the way has been swept already is not ours to know.
    OverloadedOr(Share, Box<Self>),
    Overloaded(Share),
    Resent(usize, u8, Resend),
    Reserved(Reserve),
}

pub(crate) struct Oracle {
    keys: StartKeys,
    pub(crate) rules: Settings,
    pub(crate) opened: Vec<Opened>,
    delivered: Vec<Delivered>,
    guessed: Vec<Guessed>,
    traces: Vec<Trace>,
    /// Lines of peers, by what the shard is told of them.
    pub(crate) lines: HashMap<PeerShare, String>,
    pub(crate) peers: PeerOracle,
    pub(crate) domains: DomainOracle,
    claims: Vec<Claim>,
    spent: Vec<SpentOnce>,
}

impl Oracle {
    pub(crate) fn new(keys: StartKeys, rules: Settings) -> Self {
        let (opened, delivered, guessed, traces, claims, spent) = Default::default();
        let (peers, domains) = (PeerOracle::new(rules.clone()), DomainOracle::new(rules.clone()));
        let lines = HashMap::new();
        Self { keys, rules, opened, delivered, guessed, traces, lines, peers, domains, claims, spent }
    }

    /// What must come out. Checks count their try here, whatever the shard will say.
    pub(crate) fn expect(&mut self, now: Now, command: &Command) -> Expected {
        let at = now.at.as_millis();
        match command {
            Command::Issue(issue) => self.issue(at, issue),
            Command::Resend(resend) => self.resend(at, resend),
            Command::Check(check) => Expected::Exactly(self.check(now, check)),
            Command::Cancel(slot) => {
                let found = self.reach(at, slot);
                if let Some(found) = found {
                    self.opened[found].ended = true;
                }
                Expected::Exactly(Outcome::Cancelled { was_live: found.is_some() })
            }
            Command::Status(slot) => Expected::Exactly(match self.reach(at, slot) {
                Some(found) => {
                    Outcome::Status(self.standing(found, now), self.opened[found].issue.metadata.clone())
                }
                None => Outcome::Refused(Refusal::VerificationNotFound),
            }),
            Command::HandOver(word) => Expected::Exactly(self.hand_over(word)),
            Command::Reserve(reserve) => self.reserve(at, reserve),
            Command::Settle(settle) => Expected::Exactly(self.settle(settle)),
            Command::Spend(spend) => self.spend(at, spend),
            Command::ChargeDomain(charge) => Expected::Exactly(self.domains.charge(at, charge, &self.lines)),
            Command::RefundDomain(refund) => Expected::Exactly(self.domains.refund(refund, &self.lines)),
            about_peers => Expected::Exactly(self.peers.expect(at, about_peers)),
        }
    }

    /// Compares, and takes in what only the shard could know: ids, codes, salts.
    pub(crate) fn learn(&mut self, now: Now, expected: Expected, got: &Outcome) -> Result<(), String> {
        let at = now.at.as_millis();
        match (expected, got) {
            (Expected::Exactly(expected), got) if same(&expected, got) => Ok(()),
            (Expected::Exactly(expected), got) => Err(format!("expected {expected:?}, got {got:?}")),
            (
                Expected::Overloaded(share) | Expected::OverloadedOr(share, _),
                Outcome::Refused(Refusal::Overloaded { retry_after }),
            ) => share.judge(at, millis(*retry_after)),
            (Expected::OverloadedOr(_, expected), got) => self.learn(now, *expected, got),
            (Expected::Overloaded(_), got) => Err(format!("expected no room, got {got:?}")),
            (Expected::Issued(issue, length), Outcome::Issued(issued)) => {
                let known = self.opened.iter().any(|o| o.id == issued.id);
                let (digest, route) = (issued.id.digest(), issued.id.route(&self.keys));
                if known || route != issue.inbox.route() {
                    return Err("an id that is not new, or leads elsewhere".into());
                }
                let asked = (issue.key, issue.peer);
                let life = issue.lifetime.unwrap_or(self.rules.lifetime);
                self.opened.push(Opened {
                    id: issued.id.clone(),
                    digest,
                    issue,
                    expires: at + millis(life),
                    mails: Vec::new(),
                    tries: 0,
                    ended: false,
                    freed: false,
                });
                self.mailed(self.opened.len() - 1, now, issued, length, asked)
            }
            (Expected::Resent(found, length, resend), Outcome::Resent(issued)) => {
                self.mailed(found, now, issued, length, (resend.key, resend.peer))
            }
            (Expected::Reserved(reserve), Outcome::Reserved { salt }) => {
                if *salt == Digest128::default() || self.claims.iter().any(|claim| claim.salt == *salt) {
                    return Err("a salt that is not fresh".into());
                }
                let (key, body, owner, salt) = (reserve.key, reserve.body, reserve.owner, *salt);
                let expires = at + millis(reserve.lifetime);
                let claim =
                    Claim { key, body, owner, salt, expires, first: None, released: false, place: true };
                self.claims.push(claim);
                Ok(())
            }
            (Expected::Issued(..), got) => Err(format!("expected an issued code, got {got:?}")),
            (Expected::Resent(..), got) => Err(format!("expected a further code, got {got:?}")),
            (Expected::Reserved(_), got) => Err(format!("expected a claimed key, got {got:?}")),
        }
    }

    /// A sweep that visited all it wanted to.
    pub(crate) fn swept(&mut self, at: u64) {
        let earlier_second = |end: u64| end / 1_000 < at / 1_000;
        self.opened.iter_mut().filter(|o| earlier_second(o.expires)).for_each(|o| o.freed = true);
        let over = |t: &&mut Trace| earlier_second(t.until + if t.of_a_mail { LINGERING } else { 0 });
        self.traces.iter_mut().filter(over).for_each(|t| t.freed = true);
    }

    /// Any sweep, complete or not: keys and receipts are always done in full.
    pub(crate) fn sweeping(&mut self, at: u64) {
        self.sweep_claims(at);
        self.sweep_spent(at);
    }

    fn sweep_claims(&mut self, at: u64) {
        let over = self.claims.iter_mut().filter(|c| c.expires / 1_000 < at / 1_000);
        over.for_each(|claim| claim.place = false);
    }

    fn sweep_spent(&mut self, at: u64) {
        let over = self.spent.iter_mut().filter(|s| s.expires / 1_000 < at / 1_000);
        over.for_each(|spent| spent.place = false);
    }

    /// Least and most that the shard's counters may say: live verifications, inbox records.
    pub(crate) fn population(&self, at: u64) -> [(usize, usize); 2] {
        let least = self.opened.iter().filter(|o| o.is_live(at)).count();
        let most = self.opened.iter().filter(|o| !o.ended && !o.freed).count();
        let counted = |surely: bool| {
            let codes = self.opened.iter().filter(|o| match surely {
                true => o.is_live(at),
                false => !o.ended && !o.freed,
            });
            let traces = self.traces.iter().filter(|t| match surely {
                true => t.until > at,
                false => !t.freed,
            });
            let all = codes.map(|o| o.issue.inbox).chain(traces.map(|t| t.inbox));
            all.collect::<std::collections::HashSet<_>>().len()
        };
        [(least, most), (counted(true), counted(false))]
    }

    /// Moments at which something changes by itself.
    pub(crate) fn boundaries(&self, at: u64) -> Vec<u64> {
        let codes = self.opened.iter().rev().take(30).filter(|o| o.is_live(at));
        let codes = codes.flat_map(|o| [o.expires, self.resend_at(o)]);
        let spans = |limits: &[Limit], of: u64| -> Vec<u64> {
            limits.iter().map(|limit| of + millis(limit.window)).collect()
        };
        let mails = self.delivered.iter().rev().take(30);
        let windows = mails.flat_map(|d| {
            let rules = &self.rules;
            let all = [&rules.recipient_issue, &rules.recipient_peer_issue, &rules.recipient_all_issue];
            all.map(|limits| spans(limits, d.at)).concat()
        });
        let guesses = self.guessed.iter().rev().take(30);
        let windows = windows.chain(guesses.flat_map(|g| spans(&self.rules.recipient_guess, g.at)));
        let windows = windows.chain(self.peers.boundaries()).chain(self.domains.boundaries());
        let claims = self.claims.iter().rev().take(5).map(|claim| claim.expires);
        let mut all: Vec<u64> = codes.chain(windows).chain(claims).filter(|&end| end > at).collect();
        all.sort_unstable();
        all
    }

    fn issue(&mut self, at: u64, issue: &Issue) -> Expected {
        self.touch(issue.inbox, at);
        let window = self.wait_for_mail(&issue.inbox, (issue.owner, issue.peer), at);
        let asked = issue.code_length.unwrap_or(self.rules.code_length);
        let allowed = match window.max(self.wait_for_room(&issue.inbox, issue.owner, at)) {
            None => Expected::Issued(issue.clone(), asked.max(self.least_digits(&issue.inbox, at))),
            Some(wait) => Expected::Exactly(limited(Policy::Recipient, wait)),
        };
        let bound = self.rules.capacity.verifications;
        let held = |surely: bool| -> Vec<Held> {
            // What has ended in an earlier second is gone before anybody is refused.
            let lingers = |o: &&Opened| !o.ended && !o.freed && o.expires / 1_000 >= at / 1_000;
            let holds = |o: &&Opened| if surely { o.is_live(at) } else { lingers(o) };
            self.opened.iter().filter(holds).map(|o| (o.issue.owner, o.expires)).collect()
        };
        let (least, most) = (Share::of(held(true), issue.owner, bound), held(false));
        if !least.fits_now() {
            Expected::Overloaded(least)
        } else if Share::of(most, issue.owner, bound).fits_now() {
            allowed
        } else {
            Expected::OverloadedOr(least, Box::new(allowed))
        }
    }

    fn resend(&mut self, at: u64, resend: &Resend) -> Expected {
        let refused = |refusal| Expected::Exactly(Outcome::Refused(refusal));
        let Some(found) = self.reach(at, &resend.slot) else {
            return refused(Refusal::VerificationNotFound);
        };
        let verification = &self.opened[found];
        if verification.issue.address != resend.address {
            return refused(Refusal::RecipientMismatch);
        }
        if verification.mails.len() >= usize::from(self.rules.sends) {
            return Expected::Exactly(limited(Policy::Resend, verification.expires - at));
        }
        // Waiting as long as told must be enough, so the longer wait is the one to tell.
        let cooling = self.resend_at(verification).saturating_sub(at);
        let window =
            self.wait_for_mail(&verification.issue.inbox, (resend.slot.owner, resend.peer), at).unwrap_or(0);
        if cooling.max(window) > 0 {
            let policy = if window > cooling { Policy::Recipient } else { Policy::Resend };
            return Expected::Exactly(limited(policy, cooling.max(window)));
        }
        if verification.mails.iter().any(|mail| mail.taken.is_none()) {
            return refused(Refusal::DeliveryUnavailable { retry_after: FIVE_SECONDS });
        }
        let least = self.least_digits(&verification.issue.inbox, at);
        Expected::Resent(found, verification.length().max(least), resend.clone())
    }

    fn check(&mut self, now: Now, check: &Check) -> Outcome {
        let Some(found) = self.reach(now.at.as_millis(), &check.slot) else {
            return Outcome::Refused(Refusal::VerificationNotFound);
        };
        let verification = &mut self.opened[found];
        let (issue, expires) = (&verification.issue, Moment::from_millis(verification.expires));
        if check.address.is_some() && check.address != Some(issue.address) {
            return Outcome::Refused(Refusal::RecipientMismatch);
        }
        if issue.nonce.is_some() && check.nonce != issue.nonce {
            return Outcome::Refused(Refusal::NonceMismatch);
        }
        let digits = check.code.as_str().len();
        let live = verification.live_codes();
        let lengths: Vec<usize> = live.iter().map(|code| code.len()).collect();
        let known = if lengths.is_empty() {
            digits == usize::from(verification.length())
        } else {
            lengths.contains(&digits)
        };
        if !known {
            return Outcome::Refused(Refusal::MalformedCode);
        }
        let compared = lengths.iter().filter(|&&length| length == digits).count();
        let is_right = live.contains(&check.code.as_str());
        verification.tries += 1;
        if is_right {
            verification.ended = true;
            let (purpose, inbox, owner) = (issue.purpose.clone(), issue.inbox, issue.owner);
            let answered = self.answered(&inbox, owner, now.at.as_millis());
            return Outcome::Approved(Approved { purpose, unix_ms: now.unix_ms, expires, answered });
        }
        let (inbox, allowed_tries) = (issue.inbox, u32::from(self.rules.attempts));
        // Where no try is allowed at all, nothing is compared.
        let compared = if verification.tries > allowed_tries { 0 } else { compared };
        let left = allowed_tries.saturating_sub(verification.tries);
        verification.ended = left == 0;
        self.guess(inbox, now.at.as_millis(), compared);
        match left {
            0 => Outcome::Exhausted { expires },
            left => Outcome::Incorrect { attempts_remaining: left as u8, expires },
        }
    }

    fn hand_over(&mut self, word: &HandOver) -> Outcome {
        if let Some(found) = self.opened.iter().position(|o| o.digest == word.id) {
            let number = usize::from(word.send).wrapping_sub(1);
            if let Some(mail) = self.opened[found].mails.get_mut(number) {
                // The first word counts; a relay does not take a mail back, nor take it after all.
                mail.taken.get_or_insert(word.accepted);
            }
        }
        Outcome::Noted
    }

    fn reserve(&mut self, at: u64, reserve: &Reserve) -> Expected {
        let mut claims = self.claims.iter();
        let known = claims.rfind(|c| c.key == reserve.key && !c.released && c.expires > at);
        Expected::Exactly(match known {
            Some(claim) if claim.body != reserve.body => Outcome::Refused(Refusal::IdempotencyKeyReused),
            Some(Claim { first: Some(first), salt, .. }) => {
                Outcome::Repeated { first: first.clone(), salt: *salt }
            }
            Some(_) => Outcome::Refused(Refusal::IdempotencyInProgress { retry_after: A_SECOND }),
            None => return self.claim(at, reserve),
        })
    }

    fn claim(&mut self, at: u64, reserve: &Reserve) -> Expected {
        // One of that name has ended, and its place is taken over.
        self.claims.iter_mut().filter(|c| c.key == reserve.key).for_each(|c| c.place = false);
        if !self.share_of_claims(reserve.owner).fits_now() {
            self.sweep_claims(at);
            let share = self.share_of_claims(reserve.owner);
            if !share.fits_now() {
                return Expected::Overloaded(share);
            }
        }
        Expected::Reserved(reserve.clone())
    }

    fn share_of_claims(&self, owner: Owner) -> Share {
        let held = self.claims.iter().filter(|c| c.place).map(|c| (c.owner, c.expires)).collect();
        Share::of(held, owner, self.rules.capacity.idempotency)
    }

    fn settle(&mut self, settle: &Settle) -> Outcome {
        if let Some(claim) = self.claims.iter_mut().rfind(|c| c.key == settle.key && !c.released) {
            match &settle.first {
                Some(first) => {
                    claim.expires = claim.expires.min(first.expires().as_millis());
                    claim.first = Some(first.clone());
                }
                None => (claim.released, claim.place) = (true, false),
            }
        }
        Outcome::Noted
    }

    fn spend(&mut self, at: u64, spend: &Spend) -> Expected {
        if self.spent.iter().any(|s| s.receipt == spend.receipt && s.place) {
            return Expected::Exactly(Outcome::Spent { first: false });
        }
        if !self.share_of_spent(spend.owner).fits_now() {
            self.sweep_spent(at);
            let share = self.share_of_spent(spend.owner);
            if !share.fits_now() {
                return Expected::Overloaded(share);
            }
        }
        let (receipt, owner, expires) = (spend.receipt, spend.owner, at + millis(spend.lifetime));
        self.spent.push(SpentOnce { receipt, owner, expires, place: true });
        Expected::Exactly(Outcome::Spent { first: true })
    }

    fn share_of_spent(&self, owner: Owner) -> Share {
        let held = self.spent.iter().filter(|s| s.place).map(|s| (s.owner, s.expires)).collect();
        Share::of(held, owner, self.rules.capacity.receipts)
    }

    /// The live verification that `slot` names, if it is the asker's.
    fn reach(&mut self, at: u64, slot: &Slot) -> Option<usize> {
        let found = self.opened.iter().position(|o| o.id == slot.id)?;
        self.noticed(found, at);
        let verification = &self.opened[found];
        (verification.is_live(at) && verification.issue.owner == slot.owner).then_some(found)
    }

    /// A command named this verification: if it had expired, it is out of the tables now.
    fn noticed(&mut self, found: usize, at: u64) {
        if self.opened[found].is_live(at) {
            self.touch(self.opened[found].issue.inbox, at);
        } else {
            self.opened[found].freed = true;
        }
    }

    fn touch(&mut self, inbox: InboxFingerprint, at: u64) {
        let codes = self.opened.iter_mut().filter(|o| o.issue.inbox == inbox && o.expires <= at);
        codes.for_each(|o| o.freed = true);
        // An inbox of one mail may be packed, and then nobody looks at its end.
        let over = |t: &&mut Trace| t.inbox == inbox && t.until <= at && !t.of_a_mail;
        let traces = self.traces.iter_mut().filter(over);
        traces.for_each(|t| t.freed = true);
    }

    fn guess(&mut self, inbox: InboxFingerprint, at: u64, compared: usize) {
        self.guessed.extend((0..compared).map(|_| Guessed { inbox, at }));
        let counts = self.rules.recipient_guess.iter().any(|limit| limit.count > 0);
        if compared > 0 && counts {
            let until = at + longest(&self.rules.recipient_guess);
            self.traces.push(Trace { inbox, until, of_a_mail: false, freed: false });
        }
    }

    /// Six; eight once the budget of wrong codes is used up, ten once it is used up twice. Eight as well if
    /// the new code's tries, with those that live short codes still have, could take it past the budget by a
    /// verification's tries, whether or not one has gone wrong yet.
    fn least_digits(&self, inbox: &InboxFingerprint, at: u64) -> u8 {
        let wrong = |window| {
            let of = self.guessed.iter().filter(|g| g.inbox == *inbox && g.at + millis(window) > at);
            of.count()
        };
        let tries = self.rules.attempts as usize;
        let open: usize = self
            .opened
            .iter()
            .filter(|o| o.issue.inbox == *inbox && o.is_live(at))
            .map(|o| {
                let short = o.live_codes().iter().filter(|code| code.len() < 8).count();
                short * tries.saturating_sub(o.tries as usize)
            })
            .sum();
        let limits = &self.rules.recipient_guess;
        let spent = |times: usize| limits.iter().any(|l| wrong(l.window) >= times * l.count as usize);
        let foreseen =
            limits.iter().any(|limit| wrong(limit.window) + open + tries > limit.count as usize + tries);
        if spent(2) {
            10
        } else if spent(1) || foreseen {
            8
        } else {
            6
        }
    }

    fn mailed(
        &mut self,
        found: usize,
        now: Now,
        issued: &Issued,
        length: u8,
        (key, by): (KeyTag, Option<PeerShare>),
    ) -> Result<(), String> {
        let at = now.at.as_millis();
        let verification = &mut self.opened[found];
        let test = verification.issue.owner.mode == Mode::Test;
        let digits = issued.code.as_str();
        if digits.len() != usize::from(length) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("a code of {} characters, {length} expected", digits.len()));
        }
        if test && digits.bytes().any(|b| b != b'0') {
            return Err("a test key got a secret code".into());
        }
        let taken = test.then_some(true);
        verification.mails.push(Mail { at, code: issued.code.clone(), taken });
        let (inbox, owner) = (verification.issue.inbox, verification.issue.owner);
        self.delivered.push(Delivered { inbox, owner, key, by, at });
        // A mail that no peer asked for is in nobody's share.
        let share = by.map_or(0, |_| longest(&self.rules.recipient_peer_issue));
        let span =
            longest(&self.rules.recipient_issue).max(longest(&self.rules.recipient_all_issue)).max(share);
        if span > 0 {
            self.traces.push(Trace { inbox, until: at + span, of_a_mail: true, freed: false });
        }
        let number = self.opened[found].mails.len();
        let standing = self.standing(found, now);
        if issued.id != self.opened[found].id || usize::from(issued.send) != number {
            return Err(format!("mail {number} of a verification came as mail {}", issued.send));
        }
        if issued.standing != standing {
            return Err(format!("expected {standing:?}, got {:?}", issued.standing));
        }
        Ok(())
    }

    fn standing(&self, found: usize, now: Now) -> Standing {
        let verification = &self.opened[found];
        Standing {
            purpose: verification.issue.purpose.clone(),
            code_length: verification.length(),
            at: now.at,
            unix_ms: now.unix_ms,
            expires: Moment::from_millis(verification.expires),
            resend_at: Moment::from_millis(self.resend_at(verification)),
            sends_remaining: self.rules.sends.saturating_sub(verification.mails.len() as u8),
            attempts_remaining: self.rules.attempts - verification.tries as u8,
        }
    }

    fn resend_at(&self, verification: &Opened) -> u64 {
        verification.mails.last().map_or(0, |mail| mail.at + millis(self.rules.resend_after))
    }

    /// The windows of the project, of the peer who asks, if one does, and of all projects.
    fn wait_for_mail(
        &self,
        inbox: &InboxFingerprint,
        (owner, by): (Owner, Option<PeerShare>),
        at: u64,
    ) -> Option<u64> {
        let rules = &self.rules;
        let line = |by: &Option<PeerShare>| by.map(|by| &self.lines[&by]);
        let here = || self.delivered.iter().filter(|d| d.inbox == *inbox);
        let own = || here().filter(|d| d.owner.project == owner.project);
        let moments =
            |mails: &mut dyn Iterator<Item = &Delivered>| -> Vec<u64> { mails.map(|d| d.at).collect() };
        let budget = wait_for_window(&rules.recipient_issue, &moments(&mut own()), at);
        let share = by.and_then(|_| {
            let mails = moments(&mut own().filter(|d| line(&d.by) == line(&by)));
            wait_for_window(&rules.recipient_peer_issue, &mails, at)
        });
        let all = wait_for_window(&rules.recipient_all_issue, &moments(&mut here()), at);
        let full = self.full(by).and_then(|limit| {
            let mails = moments(&mut here().filter(|d| self.sees(d.by)));
            wait_for_window(&[limit], &mails, at)
        });
        budget.max(share).max(all).max(full)
    }

    /// Whether some window sees the mails of this peer, or of none.
    fn sees(&self, by: Option<PeerShare>) -> bool {
        let Settings { recipient_issue, recipient_peer_issue, recipient_all_issue, .. } = &self.rules;
        let share = by.is_some() && !recipient_peer_issue.is_empty();
        share || !recipient_issue.is_empty() || !recipient_all_issue.is_empty()
    }

    /// What bounds the mails of an inbox where no window over all projects does.
    fn full(&self, by: Option<PeerShare>) -> Option<Limit> {
        let Settings { recipient_issue, recipient_peer_issue, recipient_all_issue, .. } = &self.rules;
        let own = [recipient_issue.clone(), recipient_peer_issue.clone()].concat();
        let is_covered = recipient_all_issue.iter().any(|limit| millis(limit.window) >= longest(&own));
        if is_covered || !self.sees(by) {
            return None;
        }
        let all = [own, recipient_all_issue.clone()].concat();
        let largest = all.iter().map(|limit| limit.count).max().unwrap_or(0);
        let most = (2 * largest).max(MAILS_AT_LEAST);
        let count = if by.is_some() { most / 2 } else { most };
        Some(Limit { count, window: Duration::from_millis(longest(&all)) })
    }

    /// The last mail of the project that this inbox is remembered to have got.
    fn answered(&self, inbox: &InboxFingerprint, owner: Owner, at: u64) -> Option<Answered> {
        let rules = &self.rules;
        let all = [&rules.recipient_issue, &rules.recipient_peer_issue, &rules.recipient_all_issue];
        let span = all.map(|limits| longest(limits)).into_iter().max().unwrap_or(0);
        let remembered = |d: &&Delivered| d.inbox == *inbox && d.at + span > at && self.sees(d.by);
        let last = self.delivered.iter().filter(remembered).rfind(|d| d.owner == owner)?;
        let at = Moment::from_millis(last.at);
        Some(Answered { at, key: last.key, peer: last.by, domain: inbox.domain() })
    }

    /// One project may hold at most as many as are free.
    fn wait_for_room(&self, inbox: &InboxFingerprint, owner: Owner, at: u64) -> Option<u64> {
        let here = self.opened.iter().filter(|o| o.issue.inbox == *inbox && o.is_live(at));
        let held: Vec<Held> = here.map(|o| (o.issue.owner, o.expires)).collect();
        let mut ends: Vec<u64> = held.iter().map(|(_, end)| *end).collect();
        ends.sort_unstable();
        let share = Share::of(held, owner, LIVE_PER_INBOX);
        if share.fits_now() {
            None
        } else {
            ends.into_iter().find(|end| share.fits(*end)).map(|end| end - at)
        }
    }
}

impl Opened {
    pub(crate) fn is_live(&self, at: u64) -> bool {
        !self.ended && self.expires > at
    }

    pub(crate) fn owner(&self) -> Owner {
        self.issue.owner
    }

    /// Digits of the code that was drawn last.
    pub(crate) fn length(&self) -> u8 {
        self.mails.last().map_or(0, |mail| mail.code.length())
    }

    /// The last two that a relay took work, and the one on its way.
    fn live_codes(&self) -> Vec<&str> {
        let taken = self.mails.iter().rev().filter(|mail| mail.taken == Some(true)).take(2);
        let on_its_way = self.mails.iter().filter(|mail| mail.taken.is_none());
        taken.chain(on_its_way).map(|mail| mail.code.as_str()).collect()
    }
}

/// The shortest wait after which every span of every limit has room for one more event.
pub(crate) fn wait_for_window(limits: &[Limit], events: &[u64], at: u64) -> Option<u64> {
    if limits.iter().any(|limit| limit.count == 0) {
        return Some(millis(A_DAY));
    }
    let fits = |then: u64| {
        limits.iter().all(|limit| {
            let span = millis(limit.window);
            events.iter().filter(|&&event| event + span > then).count() < limit.count as usize
        })
    };
    if fits(at) {
        return None;
    }
    // Room appears only in the moment in which some event leaves some window.
    let windows = limits.iter().map(|limit| millis(limit.window));
    let leaves = windows.flat_map(|span| events.iter().map(move |event| event + span));
    leaves.filter(|&then| then > at && fits(then)).min().map(|then| then - at)
}

fn longest(limits: &[Limit]) -> u64 {
    limits.iter().map(|limit| millis(limit.window)).max().unwrap_or(0)
}

fn limited(policy: Policy, wait: u64) -> Outcome {
    Outcome::Refused(Refusal::RateLimited { policy, retry_after: Duration::from_millis(wait) })
}

pub(crate) fn millis(span: Duration) -> u64 {
    span.as_millis() as u64
}

fn same(one: &Outcome, other: &Outcome) -> bool {
    use Outcome::*;
    match (one, other) {
        (Approved(a), Approved(b)) => a == b,
        (
            Incorrect { attempts_remaining: a, expires },
            Incorrect { attempts_remaining: b, expires: other_expires },
        ) => a == b && expires == other_expires,
        (Exhausted { expires: a }, Exhausted { expires: b }) => a == b,
        (Noted, Noted) | (Exempt, Exempt) => true,
        (Cancelled { was_live: a }, Cancelled { was_live: b }) => a == b,
        (Status(a, notes), Status(b, other_notes)) => a == b && notes == other_notes,
        (Repeated { first: a, salt }, Repeated { first: b, salt: other_salt }) => {
            a == b && salt == other_salt
        }
        (Spent { first: a }, Spent { first: b }) => a == b,
        (Refused(a), Refused(b)) => a == b,
        (Charged(a), Charged(b)) => a == b,
        (Banned(a), Banned(b)) => a == b,
        (Unbanned { was_banned: a }, Unbanned { was_banned: b }) => a == b,
        _ => false,
    }
}
