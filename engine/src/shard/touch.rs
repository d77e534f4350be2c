//! A batch's memory, looked at before it is needed.
//!
//! ```text
//!   batch ─▶ hash, find the places ─▶ look at each place ─▶ look where it points to ─▶ decide one by one
//! ```
//!
//! In a large table nearly every step of a decision waits for memory, and the steps of one decision wait for
//! each other. Those of different commands don't: looked at in a row, a core waits for several at once, and
//! the decisions find their memory in its caches. This decides nothing and changes nothing; a place that is
//! wrong, or gone when its command is decided, has only been looked at in vain.

use std::hint::black_box;

use super::Shard;
use crate::request::Command;

/// Places found in one batch; kept, so that a batch allocates nothing.
#[derive(Default)]
pub(super) struct Touched {
    inboxes: Vec<u32>,
    peers: Vec<u32>,
}

impl Shard {
    /// Brings near what these commands are about. Worth it for a batch; each is decided by
    /// [`Shard::handle`] afterwards.
    pub fn touch<'a>(&mut self, commands: impl Iterator<Item = &'a Command>) {
        let Self { touched: Touched { inboxes: found, peers: networks }, inboxes, peers, .. } = self;
        found.clear();
        networks.clear();
        for command in commands {
            match command {
                Command::Issue(issue) => found.extend(inboxes.probe_inbox(&issue.inbox)),
                Command::Check(check) => found.extend(inboxes.probe_id(&check.slot.digest)),
                Command::Resend(resend) => found.extend(inboxes.probe_id(&resend.slot.digest)),
                Command::Cancel(slot) | Command::Status(slot) => found.extend(inboxes.probe_id(&slot.digest)),
                Command::HandOver(hand_over) => found.extend(inboxes.probe_id(&hand_over.id)),
                Command::Charge(charge) => {
                    networks.extend(charge.peer.prefixes().filter_map(|prefix| peers.probe(&prefix)));
                }
                _ => {}
            }
        }
        black_box(inboxes.touch(found) ^ peers.touch(networks));
    }
}
