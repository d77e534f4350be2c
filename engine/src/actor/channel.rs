//! A lane's incoming channels: bounded, of several kinds, with one waker and one reader.
//!
//! ```text
//!   LaneSender::try_send ──▶ flume ──┬─▶ LaneReceiver::take ─▶ the lane's actor, in its turn
//!          ├─ then news = true ┘
//!          └─ then wake ──▶ waker ──▶ the lane's thread, if it sleeps
//! ```
//!
//! flume's own streams allocate an `Arc` with room for a message whenever they begin to wait, and
//! leave that room uninitialised: stale stack bytes, perhaps a code, then stay in the heap until
//! the next message. Waiting here allocates nothing, and polling a slot without news reads one
//! flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use flume::{Receiver, SendError, Sender, TrySendError};
use futures_util::task::AtomicWaker;

/// Wakes the reader. Shared by all of its senders.
#[derive(Clone, Default)]
pub(super) struct LaneWaker(Arc<AtomicWaker>);

/// The sending end.
pub(super) struct LaneSender<T> {
    room: Sender<T>,
    news: Arc<AtomicBool>,
    waker: LaneWaker,
}

/// The receiving end. Disconnection wakes nobody: every lane holds the senders to all lanes.
pub(super) struct LaneReceiver<T> {
    waiting: Receiver<T>,
    news: Arc<AtomicBool>,
}

impl LaneWaker {
    /// A new channel for this waker's reader, with room for `messages`.
    pub(super) fn channel<T>(&self, messages: usize) -> (LaneSender<T>, LaneReceiver<T>) {
        let (room, waiting) = flume::bounded(messages);
        let news = Arc::new(AtomicBool::new(false));
        (LaneSender { room, news: news.clone(), waker: self.clone() }, LaneReceiver { waiting, news })
    }

    /// Returns what `look` finds; otherwise waits for the waker and looks again.
    pub(super) fn poll<T>(&self, context: &Context<'_>, look: impl Fn() -> Option<T>) -> Poll<T> {
        if let Some(found) = look() {
            return Poll::Ready(found);
        }
        self.0.register(context.waker());
        // A message that came between the first look and the registration woke nobody.
        look().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> LaneSender<T> {
    /// Sends if there is room.
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.room.try_send(message)?;
        self.ring();
        Ok(())
    }

    /// Waits for room. The waker has already been rung for the messages that fill the channel.
    pub(super) async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.room.send_async(message).await?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        // After the message, so that a reader that sees the flag finds the message.
        self.news.store(true, Ordering::Release);
        self.waker.0.wake();
    }
}

impl<T> LaneReceiver<T> {
    /// The next message, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        if !self.news.load(Ordering::Acquire) {
            return None;
        }
        // Before receiving: a later message sets the flag again, and the channel's mutex orders the
        // two.
        self.news.store(false, Ordering::Relaxed);
        let message = self.waiting.try_recv().ok()?;
        self.news.store(true, Ordering::Relaxed);
        Some(message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation is the point")]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Waker;

    use futures_util::FutureExt as _;
    use futures_util::task::{ArcWake, waker};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Rung(AtomicUsize);

    impl ArcWake for Rung {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_waits_is_woken_once_by_messages_of_either_kind() {
        let lane = LaneWaker::default();
        let ((numbers, first), (reports, second)) = (lane.channel(2), lane.channel(2));
        let rung = Arc::new(Rung::default());
        let ringing = waker(rung.clone());
        let context = Context::from_waker(&ringing);
        let poll = || lane.poll(&context, || first.take().map(Ok).or_else(|| second.take().map(Err)));
        assert!(poll().is_pending());
        reports.try_send("a").unwrap();
        numbers.try_send(1).unwrap();
        numbers.try_send(2).unwrap();
        assert_eq!(rung.0.load(Ordering::Relaxed), 1);
        assert_eq!([poll(), poll(), poll()], [Ok(1), Ok(2), Err("a")].map(Poll::Ready));
        assert!(poll().is_pending());
        reports.try_send("b").unwrap();
        assert_eq!(rung.0.load(Ordering::Relaxed), 2);
        assert_eq!(poll(), Poll::Ready(Err("b")));
    }

    #[test]
    fn who_waits_for_room_has_it_when_a_message_was_read() {
        let (sender, slot) = LaneWaker::default().channel(1);
        sender.try_send(1).unwrap();
        assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
        let mut sending = std::pin::pin!(sender.send(3));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sending.poll_unpin(&mut context).is_pending());
        assert_eq!(slot.take(), Some(1));
        assert!(sending.poll_unpin(&mut context).is_ready());
        assert_eq!((slot.take(), slot.take()), (Some(3), None));
    }

    #[test]
    fn nothing_is_lost_between_two_threads() {
        const MESSAGES: usize = 20_000;
        let lane = LaneWaker::default();
        let (sender, slot) = lane.channel(8);
        let sending = std::thread::spawn(move || {
            (0..MESSAGES).for_each(|n| while sender.try_send(n).is_err() {});
        });
        let reading = std::future::poll_fn(|context| lane.poll(context, || slot.take()));
        let mut reading = std::pin::pin!(reading);
        let reader = waker(Arc::new(Parked(std::thread::current())));
        let mut context = Context::from_waker(&reader);
        for n in 0..MESSAGES {
            let read = loop {
                match reading.poll_unpin(&mut context) {
                    Poll::Ready(read) => break read,
                    Poll::Pending => std::thread::park(),
                }
            };
            assert_eq!(read, n);
        }
        sending.join().unwrap();
    }

    struct Parked(std::thread::Thread);

    impl ArcWake for Parked {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.unpark();
        }
    }
}
