//! The world: what happens next, and what it does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::identity::Mode;
use authepy_engine::limits::Capacity;
use authepy_engine::peer::Peer;
use authepy_engine::perimeter::ban::{BanChange, BanTable};
use authepy_engine::perimeter::{Credentials, Denial, KeyBook, Seen, admit};
use authepy_engine::request::{Activity, Charge, Command, HandOver, Outcome};
use authepy_engine::route::{Route, StartKeys};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped};

use crate::courier::Courier;
use crate::facts::Facts;
use crate::keys::{Key, OWNERS, api_key};
use crate::phone::{Kind, Mail, Phone};
use crate::sabotage::Sabotage;
use crate::watch::{Told, Watch};

const LANES: usize = 3;
const PHONES: usize = 14;
/// How late a word about a key or a ban may be on a lane.
const WORD_BOUND_MS: u64 = 5_000;
const A_DAY_MS: u64 = 86_400_000;

/// Something that will happen.
#[allow(clippy::large_enum_variant, reason = "a world holds a few hundred")]
enum Event {
    /// A phone does its next thing.
    Deed,
    /// A phone sends many requests of one kind at once, and again a minute later, so many times.
    Burst { by: usize, activity: Activity, rounds: u64 },
    /// A command reaches a shard.
    Ask { phone: usize, route: Route, command: Command, then: Option<(Route, Command)> },
    /// A mail reaches its inbox.
    Mail(Mail),
    /// The courier's word reaches a shard.
    Word(Route, HandOver),
    /// A lane hears of a ban.
    Ban(usize, BanChange),
    /// A lane gets another key book.
    Book(usize, Arc<KeyBook>),
    /// A shard frees what has ended.
    Sweep(usize),
}

/// What a lane knows by itself.
struct LaneView {
    book: Arc<KeyBook>,
    /// What it is told where its own book lacks a key.
    store: Arc<KeyBook>,
    bans: BanTable,
    /// When the last word from each shard arrives: words of one sender don't overtake each other.
    heard: [u64; LANES],
    /// The same for the key book.
    book_heard: u64,
}

/// Owns all state; the watch only looks on.
pub(crate) struct World {
    sabotage: Sabotage,
    random: Seeded,
    entropy: Seeded,
    keys: StartKeys,
    shards: Vec<Shard>,
    lanes: Vec<LaneView>,
    api_keys: Vec<Key>,
    phones: Vec<Phone>,
    courier: Courier,
    watch: Watch,
    /// By time, then by lot: what is due at once happens in any order.
    queue: BTreeMap<(u64, u64), Event>,
    at: u64,
    wall_ms: u64,
    kind: Kind,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Sabotage) -> Self {
        let (mut random, mut entropy) = (Seeded::new(seed), Seeded::new(!seed));
        let keys = StartKeys::draw(&mut entropy);
        let wall_ms = 1_700_000_000_000;
        let api_keys: Vec<Key> = OWNERS.iter().map(|&owner| api_key(owner, 0, &mut entropy)).collect();
        let book = Arc::new(KeyBook::new(api_keys.iter().map(|key| key.record.clone())));
        let kind = match seed % 5 {
            1 => Kind::Siege,
            3 => Kind::Tight,
            _ => Kind::Usual,
        };
        let ceiling = if kind == Kind::Tight { 24 << 10 } else { 4 << 20 };
        let mut stated = Settings { capacity: Capacity::of(ceiling, LANES), ..as_shipped() };
        if seed.is_multiple_of(2) {
            // As shipped it takes three projects to meet the window over all; there are two.
            stated.recipient_all_issue.iter_mut().for_each(|limit| limit.count /= 3);
        }
        let real = sabotage.settings(stated.clone());
        let phones = (0..PHONES).map(|n| Phone::new(n, kind, &mut random)).collect();
        let lane = || LaneView {
            book: book.clone(),
            store: book.clone(),
            bans: BanTable::default(),
            heard: [0; LANES],
            book_heard: 0,
        };
        Self {
            sabotage,
            shards: (0..LANES).map(|_| Shard::new(keys.clone(), real.clone())).collect(),
            lanes: (0..LANES).map(|_| lane()).collect(),
            watch: Watch::new(&keys, stated, ceiling / LANES),
            courier: Courier::new(seed),
            queue: BTreeMap::new(),
            at: 0,
            random,
            entropy,
            keys,
            api_keys,
            phones,
            wall_ms,
            kind,
        }
    }

    /// Plays so many deeds and what follows from them; `Err` tells the first broken invariant.
    pub(crate) fn run(&mut self, deeds: usize) -> Result<(), Told> {
        let mut due = 0;
        for _ in 0..deeds {
            due += self.pause();
            self.later(due, Event::Deed);
        }
        for shard in 0..LANES {
            self.later(0, Event::Sweep(shard));
        }
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.at = at.max(self.at);
            self.happen(event).map_err(|told| format!("at {} ms: {told}", self.at))?;
        }
        self.end()
    }

    pub(crate) fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.watch.seen.clone()
    }

    /// Most deeds crowd together; some wait for a window or a ban to end.
    fn pause(&mut self) -> u64 {
        match self.random.below(100) {
            0..90 if self.kind == Kind::Siege => self.random.below(40_000),
            0..70 => self.random.below(400),
            70..90 => self.random.below(20_000),
            90..98 => self.random.below(300_000),
            98 => self.random.below(4 * 3_600_000),
            _ => self.random.below(A_DAY_MS),
        }
    }

    fn later(&mut self, delay: u64, event: Event) {
        let lot = self.random.draw();
        self.queue.insert((self.at + delay, lot), event);
    }

    fn now(&mut self) -> Now {
        // Only the wall clock jumps: the other one is monotonic.
        if self.random.below(50) == 0 {
            self.wall_ms =
                self.wall_ms.saturating_add_signed(self.random.below(7_200_000) as i64 - 3_600_000);
        }
        let back = if self.sabotage == Sabotage::TimeGoesBack { self.random.below(400_000) } else { 0 };
        Now { at: Moment::from_millis(self.at.saturating_sub(back)), unix_ms: self.wall_ms }
    }

    fn happen(&mut self, event: Event) -> Result<(), Told> {
        match event {
            Event::Deed => self.deed(),
            Event::Burst { by, activity, rounds } => self.burst(by, activity, rounds),
            Event::Ask { phone, route, command, then } => self.ask(phone, route, command, then),
            Event::Mail(mail) => {
                let reader = self.phones.iter_mut().find(|phone| phone.inbox == mail.inbox);
                reader.into_iter().for_each(|reader| reader.mails.push(mail.clone()));
                self.watch.mail_arrived(mail.digest, mail.send)
            }
            Event::Word(route, word) => self.apply(route, Command::HandOver(word)).map(drop),
            Event::Ban(lane, change) => {
                if self.sabotage != Sabotage::BansAreNotHeard {
                    self.lanes[lane].bans.apply(&change, Moment::from_millis(self.at));
                }
                Ok(())
            }
            Event::Book(lane, book) => {
                self.lanes[lane].book = book;
                Ok(())
            }
            Event::Sweep(shard) => self.sweep(shard),
        }
    }

    /// Somebody does something; now and then it is the operator.
    fn deed(&mut self) -> Result<(), Told> {
        let by = self.somebody();
        match self.random.below(120) {
            0 | 1 => self.revoke(),
            2 => {
                let kinds = [Activity::Issue, Activity::Check, Activity::Denied];
                let activity = kinds[self.random.below(3) as usize];
                let rounds = 1 + self.random.below(7);
                self.later(0, Event::Burst { by, activity, rounds });
            }
            _ => {}
        }
        let key = self.some_key(by);
        let (lane, owner) = (self.random.below(LANES as u64) as usize, self.api_keys[key].owner());
        let address = self.phones[by].address;
        if self.is_dropped(lane, address)? {
            return Ok(());
        }
        if !self.is_let_in(lane, key)? {
            let charge = self.charge(address, Activity::Denied, owner.mode);
            self.send(by, charge, None);
            return Ok(());
        }
        let Some((activity, route, command)) = self.phones[by].next(&self.keys, owner, &mut self.random)
        else {
            return Ok(());
        };
        let deed = (route, command);
        match activity {
            Some(activity) => {
                let charge = self.charge(address, activity, owner.mode);
                self.send(by, charge, Some(deed));
            }
            None => self.send(by, deed, None),
        }
        Ok(())
    }

    fn is_dropped(&mut self, lane: usize, address: IpAddr) -> Result<bool, Told> {
        let until = self.lanes[lane].bans.until(address, Moment::from_millis(self.at));
        let sight = self.watch.bans.at_the_lane(address, self.at, until, WORD_BOUND_MS)?;
        self.watch.see_if(sight);
        Ok(until.is_some())
    }

    fn burst(&mut self, by: usize, activity: Activity, rounds: u64) -> Result<(), Told> {
        let (address, lane) = (self.phones[by].address, by % LANES);
        // A third of them is what one back end claims of the address.
        let claimant = by.is_multiple_of(3).then(|| OWNERS[by % OWNERS.len()]);
        if claimant.is_none() && self.is_dropped(lane, address)? {
            return Ok(());
        }
        for _ in 0..61 + self.random.below(20) {
            let charge = match claimant {
                None => self.charge(address, activity, Mode::Live),
                Some(owner) => {
                    let peer = Peer::from(address);
                    (self.keys.peer_route(&peer), Command::Charge(Charge::claimed(owner, peer, activity)))
                }
            };
            self.send(by, charge, None);
        }
        if rounds > 1 {
            self.later(61_000, Event::Burst { by, activity, rounds: rounds - 1 });
        }
        Ok(())
    }

    fn charge(&self, address: IpAddr, activity: Activity, mode: Mode) -> (Route, Command) {
        let peer = Peer::from(address);
        (self.keys.peer_route(&peer), Command::Charge(Charge::proved(peer, activity, mode)))
    }

    /// Messages are quick, or held up; a few arrive seconds later.
    fn send(&mut self, phone: usize, (route, command): (Route, Command), then: Option<(Route, Command)>) {
        let delay = match self.random.below(20) {
            0 => self.random.below(3_000),
            _ => self.random.below(5),
        };
        self.later(delay, Event::Ask { phone, route, command, then });
    }

    fn ask(
        &mut self,
        phone: usize,
        route: Route,
        command: Command,
        then: Option<(Route, Command)>,
    ) -> Result<(), Told> {
        match self.apply(route, command)? {
            Outcome::Charged(charged) if charged.refusal.is_none() => {
                if let Some(deed) = then {
                    self.send(phone, deed, None);
                }
            }
            Outcome::Issued(issued) | Outcome::Resent(issued) => {
                let copies = self.courier.take_mail(self.sabotage);
                let inbox = self.watch.inbox_of(issued.id.digest());
                let route = self.phones[phone].learn(&self.keys, &issued, inbox);
                for arrival in copies {
                    let (digest, code, send) = (issued.id.digest(), issued.code.clone(), issued.send);
                    match arrival {
                        None => self.watch.see("mail lost"),
                        Some(delay) => self.later(delay, Event::Mail(Mail { inbox, digest, code, send })),
                    }
                }
                for (delay, accepted) in self.courier.words() {
                    let word = HandOver { id: issued.id.digest(), send: issued.send, accepted };
                    self.later(delay, Event::Word(route, word));
                }
                self.watch.see_if(self.courier.spoke_twice().then_some("word twice"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A shard decides, the watch looks on, and lanes will hear of bans.
    fn apply(&mut self, route: Route, command: Command) -> Result<Outcome, Told> {
        let mut shard = route.shard(LANES);
        if self.sabotage == Sabotage::AsksGoAstray && self.random.below(10) == 0 {
            shard = (shard + 1) % LANES;
        }
        let now = self.now();
        let facts = Facts::of(&command);
        let command = self.sabotage.told(command, &self.watch);
        let outcome = self.shards[shard].handle(now, command, &mut self.entropy);
        let outcome = self.sabotage.says(outcome, &facts, &self.watch);
        self.watch.decided(Now { at: Moment::from_millis(self.at), ..now }, &facts, &outcome)?;
        for change in self.shards[shard].take_ban_changes() {
            self.watch.bans.ban_changed(&change, self.at)?;
            self.announce(shard, change);
        }
        if self.sabotage == Sabotage::BansAreLiftedByNoise
            && let Facts::Charge(charge) = &facts
            && self.random.below(3) == 0
        {
            let unban = Command::Unban(charge.peer.prefixes().next().unwrap());
            self.shards[shard].handle(now, unban, &mut self.entropy);
        }
        if self.sabotage == Sabotage::ShardsForget && self.random.below(60) == 0 {
            self.shards[shard] = Shard::new(self.keys.clone(), self.watch.stated());
        }
        Ok(outcome)
    }

    fn announce(&mut self, shard: usize, change: BanChange) {
        for lane in 0..LANES {
            let due = (self.at + self.random.below(WORD_BOUND_MS)).max(self.lanes[lane].heard[shard]);
            // One moment later each, so that no lot is drawn about their order.
            self.lanes[lane].heard[shard] = due + 1;
            self.later(due - self.at, Event::Ban(lane, change));
        }
    }

    /// Anybody; in a siege mostly somebody with an id to guess at.
    fn somebody(&mut self) -> usize {
        let anybody = self.random.below(PHONES as u64) as usize;
        let guesser = self.phones.iter().position(Phone::may_guess);
        if self.kind == Kind::Siege && self.random.below(4) > 0 {
            guesser.unwrap_or(anybody)
        } else {
            anybody
        }
    }

    /// Mostly the newest key of the phone's app; else anybody's, perhaps one that was revoked long ago.
    fn some_key(&mut self, by: usize) -> usize {
        let app = OWNERS[if self.kind == Kind::Siege { 0 } else { by % OWNERS.len() }];
        if self.random.below(10) == 0 {
            return self.random.below(self.api_keys.len() as u64) as usize;
        }
        self.api_keys.iter().rposition(|key| key.owner() == app).unwrap()
    }

    /// An operator revokes the oldest key that works and makes another; lanes get the new book after a while.
    fn revoke(&mut self) {
        let (at, now, number) = (self.at, self.now(), self.api_keys.len());
        let Some(oldest) = self.api_keys.iter_mut().find(|key| key.revoked.is_none()) else { return };
        oldest.revoked = Some(at);
        oldest.record.life.revoke(now.unix_ms / 1_000);
        let owner = oldest.owner();
        self.api_keys.push(api_key(owner, number, &mut self.entropy));
        let book = Arc::new(KeyBook::new(self.api_keys.iter().map(|key| key.record.clone())));
        for lane in &mut self.lanes {
            lane.store = book.clone();
        }
        if self.sabotage == Sabotage::RevocationsAreNotHeard {
            return;
        }
        for lane in 0..LANES {
            let due = (at + self.random.below(WORD_BOUND_MS)).max(self.lanes[lane].book_heard);
            self.lanes[lane].book_heard = due + 1;
            self.later(due - at, Event::Book(lane, book.clone()));
        }
    }

    fn is_let_in(&mut self, lane: usize, key: usize) -> Result<bool, Told> {
        let now = self.now();
        let known = &self.api_keys[key];
        let bearer = format!("Bearer {}", known.text.expose());
        let shown = Credentials {
            authorization: Seen::One(bearer.as_bytes()),
            origin: Seen::Absent,
            from_browser: false,
        };
        let lane = &self.lanes[lane];
        let admitted = match admit(&lane.book, &shown, now, false) {
            Err(Denial::UnlistedKey(_)) => admit(&lane.store, &shown, now, false),
            known => known,
        };
        let admitted = admitted.is_ok();
        self.watch.admitted(admitted, known.revoked, self.at, WORD_BOUND_MS)?;
        Ok(admitted)
    }

    fn sweep(&mut self, shard: usize) -> Result<(), Told> {
        self.shards[shard].sweep(Moment::from_millis(self.at));
        self.watch.weighed(self.shards[shard].census().bytes)?;
        // As long as there is anybody to sweep after.
        if self.queue.values().any(|event| matches!(event, Event::Deed)) {
            let delay = 500 + self.random.below(60_000);
            self.later(delay, Event::Sweep(shard));
        }
        Ok(())
    }

    /// Lanes have heard everything; then so much time passes that nothing is left to remember.
    fn end(&mut self) -> Result<(), Told> {
        let now = Moment::from_millis(self.at);
        for lane in &self.lanes {
            let by_owner: usize = self.shards.iter().map(|shard| shard.bans(now).len()).sum();
            if lane.bans.list(now).len() != by_owner {
                return Err("a lane knows of other bans than their owners".into());
            }
        }
        let much_later = now.after(Duration::from_secs(30 * 86_400));
        for shard in &mut self.shards {
            while shard.sweep(much_later) {}
            let census = shard.census();
            if census.bytes > 0 || shard.live() > 0 {
                return Err(format!("when all is over {census:?} is left"));
            }
        }
        Ok(())
    }
}
