//! Prefetching for a batch: the memory that its commands need is read before they are decided.
//!
//! ```text
//!   batch ─▶ the index slots ─▶ the records they name ─▶ what those point to ─▶ decide one by one
//! ```
//!
//! In a large table nearly every step of a decision waits for memory, and each step needs the one before it. Steps of
//! different commands are independent: read in a row, a core waits for several at once, and the decisions find their
//! memory in the caches. This changes nothing and decides nothing. A place that is wrong, or gone when its command is
//! decided, was read for nothing. Sweeps prefetch in the same way.

use std::hint::black_box;

use crate::request::Command;
use crate::route::IdDigest;
use crate::tables::inboxes::Inboxes;
use crate::tables::peers::PeerTable;

/// Places found in one batch; kept, so that a batch allocates nothing.
#[derive(Default)]
pub(super) struct Touched {
    inboxes: Vec<u32>,
    peers: Vec<u32>,
}

impl Touched {
    /// Brings near what these commands are about.
    pub(super) fn look<'a>(
        &mut self,
        inboxes: &Inboxes,
        peers: &PeerTable,
        commands: impl Iterator<Item = &'a Command> + Clone,
    ) {
        let Self { inboxes: found, peers: networks } = self;
        let (idle, inboxes) = (&inboxes.idle, &inboxes.table);
        let slots = commands.clone().fold(0, |sum, command| {
            sum ^ match command {
                Command::Issue(issue) => {
                    let slot = inboxes.touch_inbox(&issue.inbox) ^ idle.touch(&issue.inbox);
                    slot ^ inboxes.touch_id(&issue.id.digest())
                }
                Command::Charge(charge) => peers.touch_slots(charge),
                other => verification_of(other).map_or(0, |id| inboxes.touch_id(&id)),
            }
        });
        found.clear();
        networks.clear();
        let (mut issues, mut charges) = (0, 0);
        for command in commands {
            match command {
                Command::Issue(issue) => {
                    issues += 1;
                    found.extend(inboxes.probe_inbox(&issue.inbox));
                }
                Command::Charge(charge) => {
                    charges += 1;
                    networks.extend(peers.probe(charge));
                }
                other => found.extend(verification_of(other).and_then(|id| inboxes.probe_id(&id))),
            }
        }
        // Nearly all issues are of inboxes that nothing is known of yet.
        let places = inboxes.touch_free(issues) ^ peers.touch_free(charges - networks.len().min(charges));
        black_box(slots ^ places ^ inboxes.touch(found) ^ peers.touch(networks));
    }
}

/// Which verification a command is about, if it has one already.
fn verification_of(command: &Command) -> Option<IdDigest> {
    match command {
        Command::Check(check) => Some(check.slot.id.digest()),
        Command::Resend(resend) => Some(resend.slot.id.digest()),
        Command::Cancel(slot) | Command::Status(slot) => Some(slot.id.digest()),
        Command::HandOver(hand_over) => Some(hand_over.id),
        _ => None,
    }
}
