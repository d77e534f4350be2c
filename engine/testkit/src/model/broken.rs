//! Canaries: a shard with one rule broken, made by tampering with what goes in and what comes out.
//! The comparison must notice each of them, or it proves nothing.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::entropy::Entropy as _;
use authepy_engine::identity::{KeyTag, Mode, Owner, ProjectId};
use authepy_engine::limits::Limit;
use authepy_engine::peer::Peer;
use authepy_engine::request::{
    Activity, Answered, Approved, Charge, Check, Command, First, Issue, Issued, KeyWindow, Outcome, Policy,
    Quota, Refusal, Reserve, Slot, Source, Standing,
};
use authepy_engine::route::{BodyDigest, ClaimDigest, IdDigest, InboxFingerprint, PeerShare, StartKeys};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, falsify, unproven};

use super::oracle::wait_for_window;
use super::play::Subject;

macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        /// One broken rule each.
        #[allow(missing_docs, reason = "each name is the rule")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule { $($rule),* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$rule),*];
        }
    };
}

rules! {
    // By other settings than the oracle's.
    OneTryTooMany, ACodeLivesAMillisecondLonger, OneMailMore, TheWindowIsAMillisecondShort,
    ResendAMillisecondEarly, OneSendMore, OneRecordMore, OneGuessMore, GuessesAreForgottenEarly,
    OneMailMoreForAPeer, OneRequestMoreForAPeer, ThePeersWindowIsAMillisecondShort, OneStrikeMore,
    StrikesAreForgottenEarly, BansDoNotDouble, BansGrowWithoutEnd, OneIssueMoreForAKey,
    OneIssueMoreForAProject, ProjectsShareOneBudget, TheWindowOfAllProjectsIsIgnored, OneMailMoreForAllProjects,
    OneOwnerMayFillATable, OneMailMoreForADomain, OneMailMoreForAPeersDomain,
    // By changing or withholding what goes in.
    WrongCodesCostNothing, ResendAddsATry, ACodeWorksTwice, ACodeDiesWithAFailedResend,
    AFailedMailsCodeWorks, OnlyTheLatestCodeWorks, AnOldCodeWorksForEver, APendingCodeDoesNotWork,
    AMismatchSpendsATry, AWrongLengthSpendsATry, TheNonceIsNotCompared, TheAddressIsNotCompared,
    AStrangerMayCheck, AStrangerMayCancel, CancelDoesNothing, MetadataIsLost, AnyBodyIsRepeated,
    KeysLiveTooLong, AnswersOutliveTheirVerification, ReleasedKeysStay, TheFirstAnswerIsLost, AllPeersShareOneBudget,
    TestKeysCountAsLive, NeighboursAreStrangers, KeysAreNotRefunded, UnbanDoesNothing, BansAreUnbannedByNoise,
    RefusedRequestsCountTwice, ExemptNetworksAreBanned, TheGuiltlessAreStruck, ClaimsCountAgainstPeers,
    ProjectsShareTheirClaims, ForeignPagesUseUpWindows, BansDoNotHoldForClaims, ALineHasTwoShares,
    AShareGoesOverAllProjects, ReleasedClaimsKeepTheirPlace, ARefusedIssueLosesThePackedMail,
    DomainsAreNotRefunded, AllWindowsOfKeysAreOne, ProjectsShareTheirTables, TestKeysUseLiveKeysShare,
    // By changing what comes out.
    RetryAfterIsAMillisecondShort, ALiveCodeMakesRoom, NothingIsSwept, TestCodesAreDrawn,
    ReceiptsAreActiveTwice, TheBannedMayGoOn, QuotasFlatter, CodesInHandAreNotForeseen, AnswersNameAnothersMail,
    TheWaitForAShareIsShort, TheWaitForAShareIsLong, TheKeyOfAMailIsForgotten,
}

const A_MILLISECOND: Duration = Duration::from_millis(1);

/// What the wrapper remembers of a verification, so that it can break its rules.
struct Known {
    slot: Slot,
    issue: Issue,
    codes: Vec<Code>,
    a_mail_failed: bool,
    free_try: bool,
    used: Option<Approved>,
}

/// A shard that breaks `rule` and keeps all others.
pub struct Broken {
    rule: Rule,
    settings: Settings,
    keys: StartKeys,
    shard: Shard,
    known: Vec<Known>,
    /// Every accepted mail, by inbox.
    mails: Vec<(InboxFingerprint, Answered)>,
    /// Inboxes that met a wrong code, and how often an issue of each was refused.
    guessed_at: HashSet<InboxFingerprint>,
    refused: HashMap<InboxFingerprint, u8>,
    /// Second shares of lines, by the ones that were told.
    shares: HashMap<PeerShare, PeerShare>,
    /// Who claimed each idempotency key.
    claims: HashMap<ClaimDigest, Owner>,
    asked: u32,
}

impl Subject for Broken {
    fn handle(&mut self, now: Now, command: Command, entropy: &mut Seeded) -> Outcome {
        let (digest, issue, asked) = match &command {
            Command::Issue(issue) => (None, Some(Issue::clone(issue)), Some((issue.key, issue.peer))),
            Command::Check(check) => (Some(check.slot.id.digest()), None, None),
            Command::Resend(resend) => (Some(resend.slot.id.digest()), None, Some((resend.key, resend.peer))),
            _ => (None, None, None),
        };
        let meant = digest.and_then(|digest| self.find(digest)).map(|known| known.issue.clone());
        let meant = issue.clone().or(meant);
        let command = match self.tamper(now, command, entropy) {
            Ok(command) => command,
            Err(answer) => return answer,
        };
        let outcome = self.shard.handle(now, command, entropy);
        self.remember(digest, issue, &outcome);
        let outcome = self.falsify_mail(now, meant, asked, outcome);
        self.falsify(now, outcome, entropy)
    }

    fn sweep(&mut self, now: Moment) -> bool {
        self.rule != Rule::NothingIsSwept && self.shard.sweep(now)
    }

    fn population(&self) -> [usize; 2] {
        [self.shard.live(), self.shard.inboxes()]
    }

    fn holdings(&self) -> [usize; 4] {
        Subject::holdings(&self.shard)
    }
}

impl Broken {
    /// A shard without commands so far.
    pub fn new(rule: Rule, keys: StartKeys, settings: &Settings) -> Self {
        let mut other = settings.clone();
        match rule {
            Rule::OneTryTooMany => other.attempts += 1,
            Rule::ACodeLivesAMillisecondLonger => other.lifetime += A_MILLISECOND,
            Rule::OneMailMore => more(&mut other.recipient_issue),
            Rule::TheWindowIsAMillisecondShort => hasten(&mut other.recipient_issue),
            Rule::ResendAMillisecondEarly => other.resend_after = shorter(other.resend_after),
            Rule::OneSendMore => other.sends = other.sends.saturating_add(1),
            Rule::OneRecordMore => other.capacity.verifications += 1,
            Rule::OneGuessMore => more(&mut other.recipient_guess),
            Rule::GuessesAreForgottenEarly => hasten(&mut other.recipient_guess),
            Rule::OneMailMoreForAPeer => more(&mut other.recipient_peer_issue),
            Rule::OneRequestMoreForAPeer => more(&mut other.peer.denied),
            Rule::ThePeersWindowIsAMillisecondShort => hasten(&mut other.peer.handshake),
            Rule::OneStrikeMore => more(&mut other.bans.strikes),
            Rule::StrikesAreForgottenEarly => {
                other.bans.strikes.iter_mut().for_each(|limit| limit.window /= 2)
            }
            Rule::BansDoNotDouble => other.bans.max = other.bans.first.min(other.bans.max),
            Rule::BansGrowWithoutEnd => other.bans.max = Duration::MAX,
            Rule::ExemptNetworksAreBanned => other.bans.exempt = Default::default(),
            Rule::OneIssueMoreForAKey => more(&mut other.key_issue),
            Rule::OneIssueMoreForAProject => more(&mut other.project_issue),
            Rule::ProjectsShareOneBudget => other.recipient_all_issue.extend(&settings.recipient_issue),
            Rule::TheWindowOfAllProjectsIsIgnored => other.recipient_all_issue.clear(),
            Rule::OneMailMoreForAllProjects => more(&mut other.recipient_all_issue),
            Rule::OneOwnerMayFillATable => {
                other.capacity.verifications *= 2;
                other.capacity.idempotency *= 2;
                other.capacity.receipts *= 2;
            }
            Rule::OneMailMoreForADomain => more(&mut other.domain_unverified),
            Rule::OneMailMoreForAPeersDomain => more(&mut other.domain_peer_unverified),
            _ => {}
        }
        let (known, mails, guessed_at, refused, shares, claims) = Default::default();
        let shard = Shard::new(keys.clone(), other);
        Self {
            rule,
            settings: settings.clone(),
            shard,
            keys,
            known,
            mails,
            guessed_at,
            refused,
            shares,
            claims,
            asked: 0,
        }
    }

    /// What goes in. `Err` holds an answer for which the shard is not even asked.
    fn tamper(&mut self, now: Now, command: Command, entropy: &mut Seeded) -> Result<Command, Outcome> {
        let rule = self.rule;
        match command {
            Command::Check(mut check) => {
                self.tamper_check(now, falsify(&mut check), entropy)?;
                return Ok(Command::Check(check));
            }
            Command::Cancel(_) if rule == Rule::CancelDoesNothing => {
                return Err(Outcome::Cancelled { was_live: true });
            }
            Command::RefundKey(_) if rule == Rule::KeysAreNotRefunded => return Err(Outcome::Noted),
            Command::RefundDomain(_) if rule == Rule::DomainsAreNotRefunded => return Err(Outcome::Noted),
            Command::Unban(_) if rule == Rule::UnbanDoesNothing => {
                return Err(Outcome::Unbanned { was_banned: true });
            }
            Command::HandOver(word) if !word.accepted => {
                if rule == Rule::AFailedMailsCodeWorks {
                    return Err(Outcome::Noted);
                }
                self.find(word.id).into_iter().for_each(|known| known.a_mail_failed = true);
                return Ok(Command::HandOver(word));
            }
            Command::Settle(mut settle) => {
                if rule == Rule::AnswersOutliveTheirVerification {
                    settle.first = settle.first.map(lengthened);
                }
                let withheld = match settle.first {
                    None => Rule::ReleasedKeysStay,
                    Some(_) => Rule::TheFirstAnswerIsLost,
                };
                if settle.first.is_none() && rule == Rule::ReleasedClaimsKeepTheirPlace {
                    self.keep_place(now, settle.key, entropy);
                }
                return if rule == withheld { Err(Outcome::Noted) } else { Ok(Command::Settle(settle)) };
            }
            _ => {}
        }
        let mut command = command;
        self.asked += 1;
        match (rule, &mut command) {
            (Rule::ALineHasTwoShares, command) if self.asked.is_multiple_of(2) => {
                if let Some(share) = share_of(command) {
                    let second = Peer::from(IpAddr::from([0, 0, 0, self.shares.len() as u8]));
                    let second = self.keys.peer_share(&second);
                    *share = *self.shares.entry(*share).or_insert(second);
                }
            }
            (Rule::AShareGoesOverAllProjects, Command::Issue(issue)) => {
                let settings = &self.settings.recipient_peer_issue;
                let own = |(inbox, mail): &&(InboxFingerprint, Answered)| {
                    *inbox == issue.inbox && mail.peer == issue.peer && issue.peer.is_some()
                };
                let own: Vec<u64> =
                    self.mails.iter().filter(own).map(|(_, mail)| mail.at.as_millis()).collect();
                if let Some(wait) = wait_for_window(settings, &own, now.at.as_millis()) {
                    let retry_after = Duration::from_millis(wait);
                    let refusal = Refusal::RateLimited { policy: Policy::Recipient, retry_after };
                    return Err(Outcome::Refused(refusal));
                }
            }
            (Rule::ARefusedIssueLosesThePackedMail, Command::Issue(issue)) => {
                let mut name = *issue.inbox.as_bytes();
                name[8] ^= self.refused.get(&issue.inbox).copied().unwrap_or(0);
                falsify(issue).inbox = InboxFingerprint::from_bytes(name);
            }
            (Rule::AllWindowsOfKeysAreOne, Command::ChargeKey(charge)) => charge.window = KeyWindow::Issue,
            (Rule::ProjectsShareTheirTables, command) => {
                owner_of(command).into_iter().for_each(|owner| owner.project = ProjectId(0));
            }
            (Rule::TestKeysUseLiveKeysShare, command) => {
                owner_of(command).into_iter().for_each(|owner| owner.mode = Mode::Live);
            }
            (_, Command::Reserve(reserve)) if rule == Rule::ReleasedClaimsKeepTheirPlace => {
                self.claims.insert(reserve.key, reserve.owner);
            }

            (Rule::ACodeLivesAMillisecondLonger, Command::Issue(issue)) => {
                falsify(issue).lifetime = issue.lifetime.map(|life| life + A_MILLISECOND);
            }
            (Rule::MetadataIsLost, Command::Issue(issue)) => falsify(issue).metadata = None,
            (Rule::AStrangerMayCancel, Command::Cancel(slot)) => self.adopt(falsify(slot)),
            (Rule::AnyBodyIsRepeated, Command::Reserve(reserve)) => {
                falsify(reserve).body = BodyDigest::default()
            }
            (Rule::KeysLiveTooLong, Command::Reserve(reserve)) => falsify(reserve).lifetime += A_MILLISECOND,
            (Rule::AllPeersShareOneBudget, Command::Issue(issue)) => {
                let anybody = Peer::from(IpAddr::from([127, 0, 0, 1]));
                falsify(issue).peer = issue.peer.map(|_| self.keys.peer_share(&anybody));
            }
            (Rule::TestKeysCountAsLive, Command::Charge(charge)) => charge.mode = Mode::Live,
            (Rule::NeighboursAreStrangers, Command::Charge(charge)) if charge.peer.prefixes().count() > 1 => {
                // Each subnet as if it were alone in its site.
                let alone = self.keys.peer_digest(&charge.peer).to_string();
                let text = format!("2001:{}:{}::1", &alone[..4], &alone[4..8]);
                charge.peer = Peer::from(text.parse::<IpAddr>().unwrap());
            }
            (Rule::TheGuiltlessAreStruck, Command::Charge(charge)) => charge.strikes = true,
            (Rule::ClaimsCountAgainstPeers, Command::Charge(charge)) => charge.source = Source::Proved,
            (
                Rule::ProjectsShareTheirClaims,
                Command::Charge(Charge { source: Source::Claimed(owner), .. }),
            ) => owner.project = ProjectId(7),
            (Rule::ForeignPagesUseUpWindows, Command::Charge(charge))
                if charge.activity == Activity::Foreign =>
            {
                charge.activity = Activity::Any;
            }
            (Rule::BansDoNotHoldForClaims, Command::Charge(charge)) if charge.source != Source::Proved => {
                // As if it were another address: one that nobody has banned.
                charge.peer = Peer::from(IpAddr::from([192, 0, 2, 1]));
            }
            (Rule::BansAreUnbannedByNoise, Command::Charge(charge)) => {
                let lifted = Command::Unban(charge.peer.unit());
                self.shard.handle(now, lifted, entropy);
            }
            (Rule::RefusedRequestsCountTwice, Command::Charge(charge))
                if charge.activity == Activity::Denied =>
            {
                self.shard.handle(now, Command::Charge(*charge), entropy);
            }
            _ => {}
        }
        Ok(command)
    }

    fn tamper_check(&mut self, now: Now, check: &mut Check, entropy: &mut Seeded) -> Result<(), Outcome> {
        let left = self.attempts(now, &check.slot, entropy);
        if self.rule == Rule::AStrangerMayCheck {
            self.adopt(&mut check.slot);
        }
        let Some(at) = self.known.iter().position(|known| known.slot.id.digest() == check.slot.id.digest())
        else {
            return Ok(());
        };
        let known = &mut self.known[at];
        let typed = check.code.as_str();
        let latest = &known.codes[known.codes.len() - 1];
        let (is_latest, fits) = (latest.as_str() == typed, latest.length() == check.code.length());
        let right = known.codes.iter().any(|code| code.as_str() == typed);
        let wrong_code = Code::draw(latest.length(), entropy);
        let mismatch = check.address.is_some_and(|address| address != known.issue.address);
        let spends_a_try = match self.rule {
            Rule::AMismatchSpendsATry => mismatch,
            Rule::AWrongLengthSpendsATry => !fits,
            _ => false,
        };
        match (self.rule, left, &known.used) {
            (Rule::WrongCodesCostNothing, Some(attempts_remaining), _) if !right && fits => {
                return Err(Outcome::Incorrect { attempts_remaining, expires: now.at });
            }
            (Rule::ResendAddsATry, Some(attempts_remaining), _) if !right && fits && known.free_try => {
                known.free_try = false;
                return Err(Outcome::Incorrect { attempts_remaining, expires: now.at });
            }
            (Rule::ACodeWorksTwice, _, Some(used)) if right => return Err(Outcome::Approved(used.clone())),
            (Rule::ACodeDiesWithAFailedResend, ..) if known.a_mail_failed => check.code = wrong_code,
            (Rule::OnlyTheLatestCodeWorks, ..) if !is_latest && fits => check.code = wrong_code,
            (Rule::APendingCodeDoesNotWork, ..) if is_latest && known.issue.owner.mode == Mode::Live => {
                check.code = wrong_code;
            }
            (Rule::AnOldCodeWorksForEver, ..) if right => check.code = latest.clone(),
            (Rule::TheNonceIsNotCompared, ..) => check.nonce = known.issue.nonce,
            (Rule::TheAddressIsNotCompared, ..) => check.address = None,
            _ if spends_a_try => {
                let (slot, nonce) = (check.slot.clone(), known.issue.nonce);
                let spent = Check { slot, code: wrong_code, address: None, nonce };
                self.shard.handle(now, Command::Check(unproven(spent)), entropy);
            }
            _ => {}
        }
        Ok(())
    }

    /// Claims another key for whoever releases this one.
    fn keep_place(&mut self, now: Now, key: ClaimDigest, entropy: &mut Seeded) {
        let Some(owner) = self.claims.remove(&key) else { return };
        let mut other = ClaimDigest::default();
        while other == ClaimDigest::default() {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            other = ClaimDigest::from_bytes(bytes);
        }
        let reserve =
            Reserve { key: other, body: BodyDigest::default(), owner, lifetime: Duration::from_secs(300) };
        self.shard.handle(now, Command::Reserve(unproven(reserve)), entropy);
    }

    /// What an inbox says of its mails and guesses. `meant` is the issue that the command is, or is about.
    fn falsify_mail(
        &mut self,
        now: Now,
        meant: Option<Issue>,
        asked: Option<(KeyTag, Option<PeerShare>)>,
        mut outcome: Outcome,
    ) -> Outcome {
        let Some(Issue { inbox, code_length, .. }) = meant else { return outcome };
        match &mut outcome {
            Outcome::Issued(issued) | Outcome::Resent(issued) => {
                let foreseen = issued.code.length() == 8 && code_length.is_none_or(|length| length < 8);
                if self.rule == Rule::CodesInHandAreNotForeseen
                    && foreseen
                    && !self.guessed_at.contains(&inbox)
                {
                    issued.code = Code::read(&issued.code.as_str()[..6]).unwrap();
                    issued.standing.code_length = 6;
                }
                let Some((key, peer)) = asked else { return outcome };
                self.mails.push((inbox, Answered { at: now.at, key, peer, domain: inbox.domain() }));
            }
            Outcome::Incorrect { .. } | Outcome::Exhausted { .. } => {
                self.guessed_at.insert(inbox);
            }
            Outcome::Refused(Refusal::RateLimited { policy: Policy::Recipient, .. }) => {
                *self.refused.entry(inbox).or_default() += 1;
            }
            Outcome::Approved(Approved { answered: Some(answered), .. }) => {
                let last = self.mails.iter().rfind(|(other, _)| *other == inbox);
                match (self.rule, last) {
                    (Rule::AnswersNameAnothersMail, Some((_, last))) => *answered = *last,
                    (Rule::TheKeyOfAMailIsForgotten, _) => answered.key = KeyTag::default(),
                    // So that it is noticed for its windows only.
                    (Rule::ALineHasTwoShares | Rule::AllPeersShareOneBudget, _) => {
                        let meant = |(other, mail): &&(InboxFingerprint, Answered)| {
                            *other == inbox && (mail.at, mail.key) == (answered.at, answered.key)
                        };
                        answered.peer = self.mails.iter().rfind(meant).and_then(|(_, mail)| mail.peer);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        outcome
    }

    fn remember(&mut self, asked: Option<IdDigest>, issue: Option<Issue>, outcome: &Outcome) {
        match (outcome, issue, asked.and_then(|digest| self.find(digest))) {
            (Outcome::Issued(issued), Some(issue), _) => self.known.push(Known {
                slot: Slot::locate(&self.keys, issued.id.clone(), issue.owner),
                issue,
                codes: vec![issued.code.clone()],
                a_mail_failed: false,
                free_try: false,
                used: None,
            }),
            (Outcome::Resent(issued), _, Some(known)) => {
                known.codes.push(issued.code.clone());
                known.free_try = true;
            }
            (Outcome::Approved(approved), _, Some(known)) => known.used = Some(approved.clone()),
            _ => {}
        }
    }

    /// What comes out: the facts are made to look as if the rule were kept.
    fn falsify(&mut self, now: Now, mut outcome: Outcome, entropy: &mut Seeded) -> Outcome {
        match (self.rule, &mut outcome) {
            (Rule::TestCodesAreDrawn, Outcome::Issued(Issued { code, .. }))
                if code.as_str().bytes().all(|digit| digit == b'0') =>
            {
                *code = Code::draw(code.length(), entropy);
            }
            (_, Outcome::Issued(Issued { standing, .. }) | Outcome::Resent(Issued { standing, .. }))
            | (_, Outcome::Status(standing, _)) => self.flatter(standing),
            (Rule::OneTryTooMany, Outcome::Incorrect { attempts_remaining, .. }) => {
                *attempts_remaining = (*attempts_remaining - 1).max(1);
            }
            (
                Rule::RetryAfterIsAMillisecondShort,
                Outcome::Refused(Refusal::RateLimited { retry_after, .. }),
            ) => {
                *retry_after = shorter(*retry_after);
            }
            (Rule::TheWaitForAShareIsShort, Outcome::Refused(Refusal::Overloaded { retry_after })) => {
                *retry_after = retry_after.mul_f64(0.9);
            }
            (Rule::TheWaitForAShareIsLong, Outcome::Refused(Refusal::Overloaded { retry_after })) => {
                *retry_after += Duration::from_secs(11);
            }
            (Rule::ALiveCodeMakesRoom, Outcome::Refused(Refusal::Overloaded { .. })) => {
                for known in &self.known {
                    self.shard.handle(now, Command::Cancel(unproven(known.slot.clone())), entropy);
                }
            }
            (Rule::ReceiptsAreActiveTwice, Outcome::Spent { first }) => *first = true,
            (Rule::TheBannedMayGoOn, Outcome::Charged(charged)) => {
                charged.refusal.take_if(|refusal| matches!(refusal, Refusal::Banned { .. }));
            }
            (Rule::QuotasFlatter, Outcome::Charged(charged)) => {
                let kind = |quota: &Quota| Quota { remaining: quota.remaining.max(1), ..*quota };
                charged.quotas = charged.quotas.as_slice().iter().map(kind).collect();
            }
            _ => {}
        }
        outcome
    }

    fn flatter(&self, standing: &mut Standing) {
        match self.rule {
            Rule::OneTryTooMany => standing.attempts_remaining -= 1,
            Rule::OneSendMore => standing.sends_remaining = standing.sends_remaining.saturating_sub(1),
            Rule::ACodeLivesAMillisecondLonger => {
                standing.expires = Moment::from_millis(standing.expires.as_millis() - 1);
            }
            Rule::ResendAMillisecondEarly => standing.resend_at = standing.resend_at.after(A_MILLISECOND),
            _ => {}
        }
    }

    /// Tries left, asked of the inner shard; `None` where the asker may not know.
    fn attempts(&mut self, now: Now, slot: &Slot, entropy: &mut Seeded) -> Option<u8> {
        match self.shard.handle(now, Command::Status(unproven(slot.clone())), entropy) {
            Outcome::Status(standing, _) => Some(standing.attempts_remaining),
            _ => None,
        }
    }

    fn find(&mut self, digest: IdDigest) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.slot.id.digest() == digest)
    }

    fn adopt(&self, slot: &mut Slot) {
        if let Some(known) = self.known.iter().find(|known| known.slot.id.digest() == slot.id.digest()) {
            slot.owner = known.slot.owner;
        }
    }
}

/// Whose share of a budget a command uses.
fn share_of(command: &mut Command) -> Option<&mut PeerShare> {
    match command {
        Command::Issue(issue) => falsify(issue).peer.as_mut(),
        Command::Resend(resend) => falsify(resend).peer.as_mut(),
        Command::ChargeDomain(charge) => charge.peer.as_mut(),
        _ => None,
    }
}

/// In whose share of a table a command's record is.
fn owner_of(command: &mut Command) -> Option<&mut Owner> {
    match command {
        Command::Reserve(reserve) => Some(&mut falsify(reserve).owner),
        Command::Spend(spend) => Some(&mut falsify(spend).owner),
        _ => None,
    }
}

fn more(limits: &mut [Limit]) {
    limits.iter_mut().for_each(|limit| limit.count += 1);
}

fn hasten(limits: &mut [Limit]) {
    limits.iter_mut().for_each(|limit| limit.window = shorter(limit.window));
}

fn shorter(span: Duration) -> Duration {
    span.saturating_sub(A_MILLISECOND)
}

/// The same answer about a verification that lives a millisecond longer.
fn lengthened(first: First) -> First {
    let longer = |end: Moment| end.after(A_MILLISECOND);
    match first {
        First::Issued(standing, route) => {
            First::Issued(Standing { expires: longer(standing.expires), ..standing }, route)
        }
        First::Approved(approved) => {
            First::Approved(Approved { expires: longer(approved.expires), ..approved })
        }
        First::Incorrect { attempts_remaining, expires } => {
            First::Incorrect { attempts_remaining, expires: longer(expires) }
        }
        First::Exhausted { expires } => First::Exhausted { expires: longer(expires) },
    }
}
