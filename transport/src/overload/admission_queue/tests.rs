//! Scripted arrivals: no clock, no runtime; a turn is a call.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use KeyClass::{Restricted, Secret};
use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn admission_queue(places: [usize; 2], per_turn: [u32; 2]) -> AdmissionQueue {
    let class = |at: usize| Class::new(places[at], Share { beside: per_turn[at], alone: per_turn[at] });
    AdmissionQueue::with(class(0), class(1))
}

/// Passes at once (`None`), or returns the place it waits in.
fn ask<'a>(gate: &'a AdmissionQueue, class: KeyClass) -> Option<Ticket<'a>> {
    gate.appears(class);
    gate.arrive(gate.line(class)).unwrap()
}

fn waits(place: &mut Ticket<'_>) -> bool {
    Pin::new(place).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn who_finds_a_share_left_passes_and_wakes_nobody() {
    let gate = admission_queue([4, 4], [2, 2]);
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    assert!(gate.sleep(&Context::from_waker(&waker)).is_pending());
    assert!(gate.arrive(gate.line(Restricted)).unwrap().is_none());
    assert_eq!(alarm.0.load(Ordering::Relaxed), 0);
    assert!(gate.arrive(gate.line(Restricted)).unwrap().is_none(), "the last of the share");
    assert_eq!(alarm.0.load(Ordering::Relaxed), 1, "and the task that begins turns is woken");
    assert!(!gate.turn(), "nobody waits: the share is restored and no further turn is needed");
    assert!(gate.arrive(gate.line(Restricted)).unwrap().is_none());
}

#[test]
fn a_flood_of_one_class_never_stands_in_front_of_the_other() {
    let gate = admission_queue([4, 100], [2, 1]);
    let flood: Vec<_> = (0..101).map(|_| gate.arrive(gate.line(Restricted)).unwrap()).collect();
    assert!(flood[0].is_none() && flood[1..].iter().all(Option::is_some));
    assert_eq!(gate.arrive(gate.line(Restricted)).err(), Some(Full));
    assert!(gate.is_full(Restricted) && !gate.is_full(Secret));
    assert!(gate.arrive(gate.line(Secret)).unwrap().is_none());
}

#[test]
fn secret_requests_are_let_through_first_and_restricted_ones_in_the_same_turn() {
    let gate = admission_queue([9, 9], [2, 1]);
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut arrivals: Vec<_> = [Restricted, Restricted, Restricted, Secret, Secret, Secret, Secret, Secret]
        .into_iter()
        .filter_map(|class| Some((class, gate.arrive(gate.line(class)).unwrap()?)))
        .collect();
    let mut turn = || {
        gate.turn();
        arrivals.retain_mut(|(class, place)| {
            let stays = waits(place);
            if !stays {
                order.borrow_mut().push(*class);
            }
            stays
        });
        order.take()
    };
    assert_eq!(turn(), [Restricted, Secret, Secret], "one of one, two of the other");
    assert_eq!(turn(), [Restricted, Secret]);
    assert_eq!(turn(), []);
}

#[test]
fn the_wakers_of_a_turn_ring_secret_first() {
    let gate = admission_queue([9, 9], [1, 1]);
    struct Note(KeyClass, Arc<std::sync::Mutex<Vec<KeyClass>>>);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }
    let rung = Arc::default();
    let mut places: Vec<_> = [Restricted, Restricted, Secret, Secret]
        .into_iter()
        .filter_map(|class| Some((class, gate.arrive(gate.line(class)).unwrap()?)))
        .collect();
    for (class, place) in &mut places {
        let waker = Waker::from(Arc::new(Note(*class, Arc::clone(&rung))));
        assert!(Pin::new(place).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.turn();
    assert_eq!(*rung.lock().unwrap(), [Secret, Restricted]);
}

#[test]
fn a_waiter_that_goes_away_gives_its_place_back() {
    let gate = admission_queue([1, 2], [1, 1]);
    let _passed = gate.arrive(gate.line(Restricted)).unwrap();
    let first = gate.arrive(gate.line(Restricted)).unwrap().unwrap();
    let mut second = gate.arrive(gate.line(Restricted)).unwrap().unwrap();
    assert_eq!(gate.arrive(gate.line(Restricted)).err(), Some(Full));
    drop(first);
    let mut third = gate.arrive(gate.line(Restricted)).unwrap().unwrap();
    gate.turn();
    assert!(!waits(&mut second) && waits(&mut third), "the one behind moved up, not the newcomer");
}

#[test]
fn a_batch_is_charged_what_it_holds() {
    let gate = admission_queue([9, 9], [4, 1]);
    assert!(gate.arrive(gate.line(Secret)).unwrap().is_none());
    gate.charge(Secret, 9);
    let mut next = gate.arrive(gate.line(Secret)).unwrap().unwrap();
    assert!(gate.turn() && waits(&mut next), "six are owed, four are paid");
    assert!(!gate.turn() && !waits(&mut next), "two more, and one for the next");
    assert!(gate.arrive(gate.line(Secret)).unwrap().is_none());
    assert!(gate.arrive(gate.line(Secret)).unwrap().is_some());
}

#[test]
fn a_turn_comes_only_after_everything_that_was_ready() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let gate = Rc::new(AdmissionQueue::new());
        let turns = gate.clone();
        tokio::task::spawn_local(async move { turns.run().await });
        tokio::task::yield_now().await;
        // A backend is active.
        gate.pass(Secret).await.unwrap();
        let flood = 3 * RESTRICTED_PER_TURN as usize;
        let tasks: Vec<_> = std::iter::repeat_n(Restricted, flood)
            .chain([Secret])
            .map(|class| {
                let (gate, order) = (gate.clone(), order.clone());
                tokio::task::spawn_local(async move {
                    gate.pass(class).await.unwrap();
                    order.borrow_mut().push(class);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let order = order.take();
    let ahead = order.iter().position(|class| *class == Secret);
    assert_eq!(ahead, Some(RESTRICTED_PER_TURN as usize), "{order:?}");
    assert_eq!(order.len(), 3 * RESTRICTED_PER_TURN as usize + 1, "and all the others came through");
}

#[test]
fn a_class_that_is_alone_has_a_larger_share_until_the_other_one_asks() {
    let share = |beside, alone| Share { beside, alone };
    let gate = AdmissionQueue::with(Class::new(99, share(2, 6)), Class::new(99, share(1, 4)));
    (0..3).for_each(|_| assert!(ask(&gate, Restricted).is_none()));
    // One of four was left. A backend cuts the share to one of one, and the heads to read with it.
    assert!(ask(&gate, Secret).is_none());
    assert!(ask(&gate, Restricted).is_none());
    let mut flood: Vec<_> = (0..9).map(|_| ask(&gate, Restricted).unwrap()).collect();
    (0..heads(1)).for_each(|_| assert!(gate.arrive_stranger().is_none()));
    assert!(gate.arrive_stranger().is_some());
    let mut turn = || {
        gate.turn();
        let before = flood.len();
        flood.retain_mut(waits);
        before - flood.len()
    };
    assert_eq!([turn(), turn()], [1, 1]);
    // The backend counts as active for one more turn.
    gate.secret.about.set(1);
    assert_eq!([turn(), turn()], [1, 4], "the last of the small turns, then a large one");
}

#[test]
fn what_comes_first_after_a_look_at_the_sockets_begins_a_turn() {
    let gate = admission_queue([9, 9], [2, 1]);
    assert!(ask(&gate, Restricted).is_none());
    let mut first = ask(&gate, Restricted).unwrap();
    assert!(waits(&mut first));
    gate.look();
    let mut second = ask(&gate, Restricted).unwrap();
    assert!(!waits(&mut first) && waits(&mut second), "the waiter gets the share of the new turn");
    gate.look();
    assert!(ask(&gate, Secret).is_none(), "of either class");
    assert!(!waits(&mut second));
    assert!(ask(&gate, Restricted).is_some(), "and one look is one turn");
}

#[test]
fn a_backend_is_forgotten_after_so_many_turns() {
    let gate = admission_queue([9, 9], [1, 1]);
    assert!(ask(&gate, Secret).is_none());
    for _ in 0..ABOUT_TURNS {
        assert!(gate.secret.is_about());
        gate.turn();
    }
    assert!(!gate.secret.is_about());
}

#[test]
fn connections_that_flood_read_a_few_heads_a_turn_and_a_newcomer_waits_behind_one_of_each() {
    let gate = admission_queue([1, 1], [1, 4]);
    for _ in 0..heads(4) {
        assert!(gate.arrive_stranger().is_none());
    }
    let mut floods: Vec<_> = (0..40).map(|_| gate.arrive_stranger().unwrap()).collect();
    let mut newcomer = gate.arrive_stranger().unwrap();
    assert!(ask(&gate, Secret).is_none(), "what has shown a secret key does not wait");
    let mut turns = 0;
    while waits(&mut newcomer) {
        assert!(gate.turn());
        turns += 1;
        // Each connection that was let through waits again with its next stream.
        for place in &mut floods {
            if !waits(place) {
                *place = gate.arrive_stranger().unwrap();
            }
        }
    }
    assert_eq!(turns, 41_usize.div_ceil(heads(4) as usize));
}

#[test]
fn few_heads_are_read_while_what_was_read_waits() {
    let gate = admission_queue([1, 100], [1, 8]);
    // The share is used up, so later requests wait.
    (0..8).for_each(|_| assert!(ask(&gate, Restricted).is_none()));
    let behind: Vec<_> = (0..16).map(|_| ask(&gate, Restricted)).collect();
    (0..heads(8)).for_each(|_| assert!(gate.arrive_stranger().is_none()));
    let mut strangers: Vec<_> = (0..40).map(|_| gate.arrive_stranger().unwrap()).collect();
    let mut read = || {
        gate.turn();
        let before = strangers.len();
        strangers.retain_mut(waits);
        before - strangers.len()
    };
    assert_eq!(read(), heads_behind(8) as usize, "a turn's worth still waits");
    assert_eq!(read(), heads(8) as usize, "nobody waits any more");
    drop(behind);
}

#[test]
fn a_turn_that_nobody_uses_is_passed_on() {
    let gate = admission_queue([1, 1], [1, 1]);
    (0..heads(1)).for_each(|_| assert!(gate.arrive_stranger().is_none()));
    let [mut first, mut second] = [gate.arrive_stranger().unwrap(), gate.arrive_stranger().unwrap()];
    gate.pass_on_stranger();
    assert!(!waits(&mut first) && waits(&mut second));
    gate.pass_on_stranger();
    assert!(!waits(&mut second));
    gate.pass_on_stranger();
    assert!(gate.arrive_stranger().is_none(), "and is kept if nobody waits");
    assert!(gate.arrive_stranger().is_some());
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive(KeyClass),
    /// The waiter at this place of this line (modulo its length) gives up.
    Leave(KeyClass, usize),
    Turn,
}

fn event() -> impl Strategy<Value = Event> {
    let class = || prop_oneof![Just(Secret), Just(Restricted)];
    prop_oneof![
        6 => class().prop_map(Event::Arrive),
        1 => (class(), any::<usize>()).prop_map(|(class, at)| Event::Leave(class, at)),
        2 => Just(Event::Turn),
    ]
}

/// A waiter as the model expects it: its place, and within how many turns it must be let through.
struct Expected<'a> {
    place: Ticket<'a>,
    turns: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Fairness for any sequence of events: order is kept, a turn lets exactly its share through, a
    /// line refuses if and only if it is full, and every waiter is let through by the turn that its
    /// place promised.
    #[test]
    fn nobody_overtakes_nobody_starves(
        events in proptest::collection::vec(event(), 1..400),
        shares in (1_u32..5, 1_u32..3),
        places in (1_usize..20, 1_usize..9),
    ) {
        let gate = admission_queue([places.0, places.1], [shares.0, shares.1]);
        let mut lines: [VecDeque<Expected<'_>>; 2] = Default::default();
        let mut left = [shares.0 as usize, shares.1 as usize];
        let (share, most) = ([shares.0 as usize, shares.1 as usize], [places.0, places.1]);
        for event in events {
            match event {
                Event::Arrive(class) => {
                    let line = usize::from(class == Restricted);
                    match gate.arrive(gate.line(class)) {
                        Ok(None) => {
                            prop_assert!(left[line] > 0 && lines[line].is_empty());
                            left[line] -= 1;
                        }
                        Ok(Some(place)) => {
                            prop_assert!(left[line] == 0 && lines[line].len() < most[line]);
                            let turns = lines[line].len() / share[line] + 1;
                            lines[line].push_back(Expected { place, turns });
                        }
                        Err(Full) => prop_assert!(left[line] == 0 && lines[line].len() == most[line]),
                    }
                }
                Event::Leave(class, at) => {
                    let line = &mut lines[usize::from(class == Restricted)];
                    if !line.is_empty() {
                        drop(line.remove(at % line.len()));
                    }
                }
                Event::Turn => {
                    let more = gate.turn();
                    let mut used_up = false;
                    for line in 0..2 {
                        let through = lines[line].len().min(share[line]);
                        for at in 0..lines[line].len() {
                            let waiter = &mut lines[line][at];
                            prop_assert_eq!(waits(&mut waiter.place), at >= through);
                            waiter.turns -= 1;
                            prop_assert!(at < through || waiter.turns > 0);
                        }
                        lines[line].drain(..through);
                        left[line] = share[line] - through;
                        used_up |= left[line] == 0;
                    }
                    prop_assert_eq!(more, used_up);
                }
            }
        }
    }
}
