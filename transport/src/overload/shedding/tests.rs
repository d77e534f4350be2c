use ahash::RandomState;

use super::*;
use crate::limits::{SHED_TICK, SHED_WEIGHT_TICKS};

/// A lane that can serve `per_tick` requests in a tick. Each is one datagram.
struct World {
    shedding: Rc<Shedding>,
    tick: u64,
    per_tick: u32,
    backlog: u32,
    busy: Duration,
}

impl World {
    fn new(per_tick: u32) -> Self {
        let shedding = Rc::<Shedding>::default();
        shedding.0.borrow_mut().weights = RandomState::with_seeds(1, 2, 3, 4);
        Self { shedding, tick: 0, per_tick, backlog: 0, busy: Duration::ZERO }
    }

    fn strangers(&self, count: u16) -> Vec<Known> {
        (0..count).map(|n| self.shedding.know(address(n), KeyClass::Restricted)).collect()
    }

    /// Runs one tick in which each sender sends this many datagrams. Returns how many of each were
    /// read.
    fn turn(&mut self, senders: &[(SocketAddr, u32)], is_full: bool) -> Vec<u32> {
        self.tick += 1;
        let now = Moment::from_millis(self.tick * SHED_TICK.as_millis() as u64);
        let is_listening = self.shedding.look(now, is_full, 0, || self.busy);
        let heard = |&(from, sent): &(SocketAddr, u32)| {
            (0..sent).filter(|_| !is_listening || self.shedding.hear(from, 1)).count() as u32
        };
        let heard: Vec<u32> = senders.iter().map(heard).collect();
        let entered: u32 = heard.iter().sum();
        (0..entered).for_each(|_| self.shedding.entered());
        let begun = (self.backlog + entered).min(self.per_tick);
        (0..begun).for_each(|_| self.shedding.left(true));
        self.busy += SHED_TICK * begun / self.per_tick;
        // A request that has waited for more than ten ticks is given up.
        let left = (self.backlog + entered - begun).min(10 * self.per_tick);
        (0..self.backlog + entered - begun - left).for_each(|_| self.shedding.left(false));
        self.backlog = left;
        heard
    }

    fn is_calm(&self) -> bool {
        self.shedding.0.borrow().bound.is_none()
    }
}

fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1_000 + n))
}

fn each(senders: std::ops::Range<u16>, sent: u32) -> Vec<(SocketAddr, u32)> {
    senders.map(|n| (address(n), sent)).collect()
}

#[test]
fn of_ten_times_too_much_about_as_much_as_the_lane_can_do_is_heard() {
    for times in [2, 10, 20, 50] {
        let mut world = World::new(200);
        let _known = world.strangers(200);
        let wave = each(0..200, times);
        (0..30).for_each(|_| drop(world.turn(&wave, false)));
        let (mut heard, mut idle) = (0, 0);
        for _ in 0..100 {
            heard += world.turn(&wave, false).iter().sum::<u32>();
            idle += u32::from(world.backlog == 0);
        }
        assert!((80..150).contains(&(heard / 200)), "{times} times: {heard} of 20,000");
        assert!(idle < 60, "{times} times: idle in {idle} of 100 ticks");
    }
}

#[test]
fn the_bound_is_found_at_once_and_leaves_the_lane_busy() {
    for (times, is_full) in [(3, false), (10, true), (40, true)] {
        let mut world = World::new(200);
        let _known = world.strangers(200);
        let wave = each(0..200, times);
        // One tick to notice, one to count.
        (0..2).for_each(|_| drop(world.turn(&wave, is_full)));
        let mut idle = 0;
        for tick in 0..40 {
            let waited = world.backlog;
            let heard: u32 = world.turn(&wave, false).iter().sum();
            idle += 200u32.saturating_sub(waited + heard);
            assert!(heard < 500, "{times} times, tick {tick}: {heard}");
        }
        assert!(idle < 40 * 200 / 10, "{times} times: time for {idle} of 8,000 more");
    }
}

#[test]
fn a_socket_full_of_what_nobody_hears_silences_nobody_more() {
    let mut world = World::new(200);
    let _known = world.strangers(200);
    let wave = each(0..200, 10);
    (0..30).for_each(|_| drop(world.turn(&wave, false)));
    let heard: u32 = (0..100).map(|_| world.turn(&wave, true).iter().sum::<u32>()).sum();
    assert!(heard > 100 * 150, "{heard}");
}

#[test]
fn whoever_is_heard_is_heard_whole() {
    let mut world = World::new(100);
    let _known = world.strangers(100);
    let wave = each(0..100, 10);
    (0..30).for_each(|_| drop(world.turn(&wave, false)));
    let (mut whole, mut partly) = (0, 0);
    for _ in 0..100 {
        for heard in world.turn(&wave, false) {
            whole += u32::from(heard == 10);
            partly += u32::from((1..10).contains(&heard));
        }
    }
    assert!(whole > 5 * partly, "{whole} whole, {partly} in part");
}

#[test]
fn a_flood_silences_itself_and_not_those_who_ask_little() {
    let mut world = World::new(300);
    let _known = world.strangers(60);
    let mut senders = each(0..10, 100);
    senders.extend(each(10..60, 1));
    for turn in 0..300 {
        let heard = world.turn(&senders, turn % 7 == 0);
        assert!(heard[10..].iter().all(|heard| *heard == 1), "turn {turn}: {heard:?}");
    }
    assert!(world.shedding.shed() > 100_000, "{}", world.shedding.shed());
}

#[test]
fn everybody_is_heard_in_time() {
    let mut world = World::new(4);
    let _known = world.strangers(20);
    let wave = each(0..20, 2);
    let mut heard_at_all = [0; 20];
    for _ in 0..200 * SHED_WEIGHT_TICKS {
        for (at, heard) in world.turn(&wave, false).into_iter().enumerate() {
            heard_at_all[at] += heard;
        }
    }
    let (least, most) = (heard_at_all.iter().min().unwrap(), heard_at_all.iter().max().unwrap());
    assert!(*least > 0 && most / least < 4, "{heard_at_all:?}");
}

#[test]
fn backends_newcomers_and_whoever_shares_their_address_are_always_heard() {
    let mut world = World::new(10);
    let _strangers = world.strangers(51);
    let _backend = world.shedding.know(address(50), KeyClass::Secret);
    let wave = each(0..52, 5);
    for _ in 0..100 {
        let heard = world.turn(&wave, true);
        assert_eq!(heard[50..], [5, 5]);
    }
    assert!(world.shedding.shed() > 0);
}

#[test]
fn phones_are_not_silenced_for_what_others_send() {
    let mut world = World::new(1_000);
    let _known = world.strangers(10);
    // Garbage, or Initials, from addresses without a registered connection.
    let mut senders = each(100..200, 50);
    senders.extend(each(0..10, 1));
    for _ in 0..100 {
        let heard = world.turn(&senders, true);
        assert!(heard[100..].iter().all(|heard| *heard == 1));
    }
}

#[test]
fn a_flood_of_banned_peers_silences_nobody_else() {
    let world = World::new(1_000);
    let _known = world.strangers(10);
    let mut listened = 0;
    for tick in 0..100 {
        for _ in 0..10 {
            let listens =
                world.shedding.look(Moment::from_millis(tick * 100), true, 32, || SHED_TICK * tick as u32);
            listened += u32::from(listens);
            assert!(!listens || each(0..10, 1).iter().all(|(from, _)| world.shedding.hear(*from, 1)));
        }
    }
    assert!(listened > 100 && world.shedding.shed() == 0, "{listened}");
}

#[test]
fn bursts_are_no_overload_and_its_end_is_noticed() {
    let mut world = World::new(100);
    let _known = world.strangers(100);
    for turn in 0..200 {
        // A thousand requests at once, every five seconds.
        world.turn(&each(0..100, if turn % 50 == 0 { 10 } else { 0 }), false);
    }
    assert_eq!(world.shedding.shed(), 0);
    (0..50).for_each(|_| drop(world.turn(&each(0..100, 10), false)));
    assert!(!world.is_calm() && world.shedding.shed() > 0);
    let shed = world.shedding.shed();
    (0..30).for_each(|_| drop(world.turn(&[], false)));
    (0..60).for_each(|_| drop(world.turn(&each(0..50, 1), false)));
    assert!(world.is_calm());
    assert_eq!(world.shedding.shed(), shed, "half of what it can do, three seconds later");
}

#[test]
fn a_lane_that_is_busy_with_others_hears_the_strangers_again() {
    let mut world = World::new(100);
    let _known = world.strangers(100);
    (0..50).for_each(|_| drop(world.turn(&each(0..100, 10), false)));
    assert!(world.shedding.shed() > 0);
    world.backlog = 0;
    world.shedding.0.borrow_mut().waiting = 0;
    // TCP, for example, or handshakes: work that only the busy time shows.
    let mut heard = 0;
    for _ in 0..200 {
        heard = world.turn(&each(0..100, 1), false).iter().sum();
        world.busy += SHED_TICK;
    }
    assert_eq!(heard, 100);
}

#[test]
fn one_bad_tick_and_then_nobody_is_calm_again() {
    for per_tick in [1, 40, 1_000_000] {
        let mut world = World::new(per_tick);
        let _known = world.strangers(10);
        world.turn(&each(0..10, 100), true);
        world.turn(&[], true);
        assert!(!world.is_calm());
        (0..200).for_each(|_| drop(world.turn(&[], false)));
        assert!(world.is_calm());
    }
}

#[test]
fn the_known_are_forgotten_with_their_connections() {
    let world = World::new(1);
    let stranger = world.shedding.know(address(1), KeyClass::Restricted);
    let backend = world.shedding.know(address(1), KeyClass::Secret);
    assert!(stranger.is(address(1), KeyClass::Restricted) && !stranger.is(address(1), KeyClass::Secret));
    drop(stranger);
    assert_eq!(world.shedding.0.borrow().sources.len(), 1);
    drop(backend);
    assert!(world.shedding.0.borrow().sources.is_empty());
}
