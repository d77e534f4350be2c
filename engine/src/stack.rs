//! The part of a thread's stack that nobody uses at present.
//!
//! Values that move leave their bytes on the stack, wiped or not where they went. The last code a
//! thread has seen would stay there until something else needs the place, or for good: what is made
//! next is built on the stack and moved to where it lives, and the bytes it has not written (an
//! `Option` without a value, a task's future that has not begun) go along. So whoever has handled a
//! secret wipes what is below him before anybody else has his turn.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes wiped below the caller: requests and mails reach 14 KiB down in an optimised build. Twice
/// as many would cost an answer that comes from another lane 0.2 µs.
const WIPED_BYTES: usize = 24 << 10;

/// Overwrites what earlier calls have left below the caller's frame. To be called from a frame that
/// the secret has not been in: a call that was inlined has none of its own.
#[inline(never)]
pub fn wipe_stack() {
    // Whoever looks at an address may read what is there, so the zeros have to be written.
    black_box(&mut [0u8; WIPED_BYTES]);
}

/// A future that leaves nothing on the stack whenever it was polled.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct LeavingNothing<F>(pub F);

impl<F: Future + Unpin> Future for LeavingNothing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let polled = poll_below(Pin::new(&mut self.0), context);
        wipe_stack();
        polled
    }
}

/// In a frame of its own, and its callees' below it.
#[inline(never)]
fn poll_below<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}
