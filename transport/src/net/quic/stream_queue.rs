//! Where a stranger's streams wait for the connection's turn.
//!
//! ```text
//!   streams of one connection ─▶ [ oldest … newest ] ─ its turn ─▶ the newest that is still wanted begins
//!                                 │                                cancelled ones end unread
//!                                 └─ no longer heard (`shedding.rs`), and more waits than the lane can do at
//!                                    once ─▶ 503 `overloaded`, the oldest first
//! ```
//!
//! A connection waits in the lane's line with all its streams at once. When its turn comes, the newest begins:
//! while all are served in time the order hardly matters, and when they are not, who asked first has given up
//! first, and work on what nobody waits for is how an overloaded server comes to do nothing else. A turn
//! that finds nobody is passed on.

use std::future::pending;
use std::rc::Rc;

use futures_util::FutureExt;
use quinn::{RecvStream, SendStream};

use super::Session;
use crate::overload::admission_queue::Place;

pub(super) type Stream = (SendStream, RecvStream);

/// One connection's. Never holds more than the connection's stream limit.
pub(super) struct StreamQueue<'a> {
    session: &'a Rc<Session>,
    waiting: Vec<Stream>,
    place: Option<Place<'a>>,
}

impl<'a> StreamQueue<'a> {
    pub(super) fn new(session: &'a Rc<Session>) -> Self {
        Self { session, waiting: Vec::new(), place: None }
    }

    pub(super) fn enter(&mut self, stream: Stream) {
        self.waiting.push(stream);
        self.session.context.shedding().entered();
    }

    /// The next stream to begin. Loses nothing if it is not awaited to its end.
    pub(super) async fn next(&mut self) -> Stream {
        loop {
            if self.waiting.is_empty() {
                pending::<()>().await;
            }
            let admission_queue = self.session.context.admission_queue();
            let is_stranger = self.session.is_stranger();
            if is_stranger {
                self.turn_away();
                if self.waiting.is_empty() {
                    self.place = None;
                    continue;
                }
                if self.place.is_none() {
                    self.place = admission_queue.arrive_stranger();
                }
                if let Some(place) = &mut self.place {
                    place.await;
                    self.place = None;
                }
            }
            if let Some(stream) = self.newest() {
                return stream;
            }
            if is_stranger {
                admission_queue.pass_on_stranger();
            }
        }
    }

    /// All that are left, for a connection that is about to end.
    pub(super) fn empty(&mut self) -> Vec<Stream> {
        self.place = None;
        let left = std::mem::take(&mut self.waiting);
        left.iter().for_each(|_| self.session.context.shedding().left(true));
        left
    }

    /// Whoever is not heard could not say that he has given up, so nobody waits long here for him; who asked
    /// first has waited longest.
    fn turn_away(&mut self) {
        let mut refused = 0;
        while refused < self.waiting.len() && !self.session.is_served() {
            self.session.context.shedding().left(false);
            refused += 1;
        }
        self.waiting.drain(..refused).for_each(|stream| self.session.turn_away(stream));
    }

    /// The newest that somebody still waits for. Cancelled ones count like any that are cut off, or a flood
    /// of them would cost its sender nothing. Who has only just come is asked, too: a datagram may bring a request
    /// and its cancellation.
    fn newest(&mut self) -> Option<Stream> {
        while let Some((send, recv)) = self.waiting.pop() {
            let is_wanted = send.stopped().now_or_never().is_none();
            self.session.context.shedding().left(is_wanted);
            if is_wanted {
                return Some((send, recv));
            }
            self.session.count_reset();
        }
        None
    }
}

impl Drop for StreamQueue<'_> {
    fn drop(&mut self) {
        self.waiting.iter().for_each(|_| self.session.context.shedding().left(false));
    }
}
