//! Who uses the service: honest phones, guessers, sprayers, and whoever tries the code of one verification on
//! another.

use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::code::Code;
use authepy_engine::id::VerificationId;
use authepy_engine::identity::{KeyTag, Owner};
use authepy_engine::peer::Peer;
use authepy_engine::request::{Activity, Check, Command, Issue, Issued, Resend, Slot};
use authepy_engine::route::{IdDigest, NonceDigest, Route, StartKeys};
use authepy_engine::testing::{Seeded, plain_issue, unproven};

/// Inboxes of a world. Phones own the first ones; the others are there to be sprayed at.
pub(crate) const INBOXES: u64 = 240;

/// What a phone asks: how its peer is charged for it, where it goes, and what it says.
pub(crate) type Deed = (Option<Activity>, Route, Command);

/// What a world is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Usual,
    /// All but the owner of the first inbox guess at it.
    Siege,
    /// There is hardly any room, and most spray.
    Tight,
}

/// A mail that was read.
#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) inbox: u64,
    pub(crate) digest: IdDigest,
    pub(crate) code: Code,
    pub(crate) send: u8,
}

/// A verification that a phone began.
struct Known {
    id: VerificationId,
    digest: IdDigest,
    nonce: Option<NonceDigest>,
    inbox: u64,
    /// Of the code that was drawn last; anybody who begins one is told.
    digits: u8,
    /// Codes guessed.
    guesses: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Honest,
    Guesser,
    Sprayer,
}

/// One of them.
pub(crate) struct Phone {
    pub(crate) address: IpAddr,
    pub(crate) inbox: u64,
    pub(crate) mails: Vec<Mail>,
    mood: Mood,
    began: Vec<Known>,
}

impl Phone {
    pub(crate) fn new(number: usize, kind: Kind, random: &mut Seeded) -> Self {
        let address = match number % 3 {
            0 => format!("2001:db8:{}::{number}", number % 2),
            _ => format!("203.0.113.{number}"),
        };
        let mood = match random.below(6) {
            _ if kind == Kind::Siege && number > 0 => Mood::Guesser,
            _ if kind == Kind::Tight && number > 4 => Mood::Sprayer,
            0 | 1 => Mood::Guesser,
            2 => Mood::Sprayer,
            _ => Mood::Honest,
        };
        Self {
            address: address.parse().unwrap(),
            inbox: number as u64,
            mails: Vec::new(),
            mood,
            began: Vec::new(),
        }
    }

    /// The next thing it does; nothing if it has nothing to do.
    pub(crate) fn next(&mut self, keys: &StartKeys, owner: Owner, random: &mut Seeded) -> Option<Deed> {
        let sprayed = 14 + random.below(INBOXES - 14);
        match (self.mood, random.below(100)) {
            (Mood::Sprayer, _) => Some(self.issue(keys, owner, sprayed, random)),
            (Mood::Guesser, _) if self.may_guess() => self.guess(keys, owner, random),
            (Mood::Guesser, _) | (Mood::Honest, 0..25) => {
                // Guessers share a victim, which reads its own mail.
                let inbox = if self.mood == Mood::Guesser { 0 } else { self.inbox };
                Some(self.issue(keys, owner, inbox, random))
            }
            (Mood::Honest, 25..75) => self.type_in(keys, owner, random),
            (Mood::Honest, 75..82) => self.guess(keys, owner, random),
            (Mood::Honest, 82..94) => self.resend(keys, owner, random),
            (Mood::Honest, 94..97) => self
                .slot(keys, owner, random)
                .map(|(slot, _)| (None, slot.route, Command::Cancel(unproven(slot)))),
            _ => self
                .slot(keys, owner, random)
                .map(|(slot, _)| (None, slot.route, Command::Status(unproven(slot)))),
        }
    }

    /// Whether it has an id with tries left, as far as it knows.
    pub(crate) fn may_guess(&self) -> bool {
        self.mood == Mood::Guesser && self.began.last().is_some_and(|known| known.guesses < 5)
    }

    /// Keeps the id that an accepted request told; returns where the verification lives.
    pub(crate) fn learn(&mut self, keys: &StartKeys, issued: &Issued, inbox: u64) -> Route {
        let (digest, route) = (issued.id.digest(), issued.id.route(keys));
        let digits = issued.standing.code_length;
        match self.began.iter_mut().find(|known| known.digest == digest) {
            Some(known) => known.digits = digits,
            None => {
                let nonce = nonce_for(keys, inbox);
                self.began.push(Known { id: issued.id.clone(), digest, nonce, inbox, digits, guesses: 0 });
            }
        }
        route
    }

    fn issue(&mut self, keys: &StartKeys, owner: Owner, inbox: u64, random: &mut Seeded) -> Deed {
        let text = address_of(inbox);
        let fingerprint = keys.fingerprint(&text, owner.mode);
        let plain = plain_issue(keys, fingerprint, owner, random);
        let issue = Issue {
            address: keys.exact_address(&text),
            peer: Some(keys.peer_share(&Peer::from(self.address))),
            lifetime: (random.below(4) == 0).then(|| Duration::from_secs(60 + random.below(540))),
            nonce: nonce_for(keys, inbox),
            purpose: ["login", "sign-up"][random.below(2) as usize].into(),
            ..plain
        };
        (Some(Activity::Issue), fingerprint.route(), Command::Issue(unproven(issue)))
    }

    /// The code of a mail, mostly of the last one, mostly for its own verification.
    fn type_in(&mut self, keys: &StartKeys, owner: Owner, random: &mut Seeded) -> Option<Deed> {
        let back = if random.below(4) == 0 { random.below(4) as usize } else { 0 };
        let mail = self.mails.iter().rev().nth(back)?;
        let meant = self.began.iter().position(|known| known.digest == mail.digest)?;
        let at = if random.below(12) == 0 { random.below(self.began.len() as u64) as usize } else { meant };
        let (known, code) = (&self.began[at], mail.code.clone());
        let slot = Slot::locate(keys, known.id.clone(), owner);
        let nonce = if random.below(8) == 0 { Some(keys.scoped("nonce", &[b"other"])) } else { known.nonce };
        Some((
            Some(Activity::Check),
            slot.route,
            Command::Check(unproven(Check { slot, code, address: None, nonce })),
        ))
    }

    fn guess(&mut self, keys: &StartKeys, owner: Owner, random: &mut Seeded) -> Option<Deed> {
        let (slot, nonce) = self.slot(keys, owner, random)?;
        let known = self.began.iter_mut().find(|known| known.digest == slot.id.digest())?;
        known.guesses += 1;
        let code = Code::draw(if random.below(10) == 0 { 8 } else { known.digits }, random);
        Some((
            Some(Activity::Check),
            slot.route,
            Command::Check(unproven(Check { slot, code, address: None, nonce })),
        ))
    }

    fn resend(&mut self, keys: &StartKeys, owner: Owner, random: &mut Seeded) -> Option<Deed> {
        let (slot, _) = self.slot(keys, owner, random)?;
        let known = self.began.iter().find(|known| known.digest == slot.id.digest())?;
        let address = keys.exact_address(&address_of(known.inbox));
        let (key, peer) = (KeyTag::default(), Some(keys.peer_share(&Peer::from(self.address))));
        Some((
            Some(Activity::Issue),
            slot.route,
            Command::Resend(unproven(Resend { slot, address, key, peer })),
        ))
    }

    /// One that it began, mostly the last.
    fn slot(
        &self,
        keys: &StartKeys,
        owner: Owner,
        random: &mut Seeded,
    ) -> Option<(Slot, Option<NonceDigest>)> {
        let back = if random.below(4) == 0 { random.below(6) as usize } else { 0 };
        let known = self.began.iter().rev().nth(back)?;
        Some((Slot::locate(keys, known.id.clone(), owner), known.nonce))
    }
}

/// How an inbox is written, by its number.
pub(crate) fn address_of(inbox: u64) -> String {
    format!("ada{inbox}@example.com")
}

/// Every other inbox's verifications ask for a nonce.
fn nonce_for(keys: &StartKeys, inbox: u64) -> Option<NonceDigest> {
    (inbox % 2 == 1).then(|| keys.scoped("nonce", &[&inbox.to_le_bytes()]))
}
