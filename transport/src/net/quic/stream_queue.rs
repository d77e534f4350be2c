//! The streams of a connection without a secret key, waiting for the connection's turn.
//!
//! ```text
//!   streams ─▶ [ oldest … newest ] ─ the connection's turn ─▶ the newest wanted one begins,
//!               │                                             cancelled ones end unread
//!               └─ the client is shed (`shedding.rs`), and more waits than the lane can
//!                  begin in a tick ─▶ 503 `overloaded`, the oldest first
//! ```
//!
//! A connection waits in the lane's line once for all its streams. When its turn comes, the newest
//! stream begins. While all are served in time, the order hardly matters. When they are not, the
//! oldest requests are the first that clients give up, and working on abandoned requests is how an
//! overloaded server gets nothing done. A turn that finds no stream is passed on.

use std::future::pending;
use std::rc::Rc;

use futures_util::FutureExt;
use quinn::{RecvStream, SendStream};

use super::Session;
use crate::overload::admission_queue::Ticket;

pub(super) type Stream = (SendStream, RecvStream);

/// The queue of one connection. Never holds more than the connection's stream limit.
pub(super) struct StreamQueue<'a> {
    session: &'a Rc<Session>,
    waiting: Vec<Stream>,
    place: Option<Ticket<'a>>,
}

impl<'a> StreamQueue<'a> {
    pub(super) fn new(session: &'a Rc<Session>) -> Self {
        Self { session, waiting: Vec::new(), place: None }
    }

    pub(super) fn enter(&mut self, stream: Stream) {
        self.waiting.push(stream);
        self.session.context.shedding().entered();
    }

    /// The next stream to begin. Cancel safe.
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

    /// Takes all waiting streams, for a connection that is about to end.
    pub(super) fn empty(&mut self) -> Vec<Stream> {
        self.place = None;
        let left = std::mem::take(&mut self.waiting);
        left.iter().for_each(|_| self.session.context.shedding().left(true));
        left
    }

    /// Refuses streams of a client that is shed, the oldest first. Its cancellations would not be
    /// read, so its requests don't wait long.
    fn turn_away(&mut self) {
        let mut refused = 0;
        while refused < self.waiting.len() && !self.session.is_served() {
            self.session.context.shedding().left(false);
            refused += 1;
        }
        self.waiting.drain(..refused).for_each(|stream| self.session.turn_away(stream));
    }

    /// The newest stream that is not cancelled. Cancelled ones count as resets; otherwise a flood
    /// of them would cost its sender nothing. New streams are checked too, because one datagram may
    /// bring a request and its cancellation.
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
