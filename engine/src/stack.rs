//! Wipes the unused part of a thread's stack.
//!
//! Moved values leave their bytes on the stack, even if the destination is wiped later. The last
//! code a thread has seen would stay there until the space is reused, or even spread: new values
//! are built on the stack and moved, and their uninitialised bytes (an `Option` without a value, a
//! future that has not started) are copied along. So code that has handled a secret wipes the stack
//! below its frame before other code runs.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes wiped below the caller: requests and mails reach 14 KiB down in an optimised build. Twice
/// as much would cost 0.2 µs for an answer from another lane.
const WIPED_BYTES: usize = 24 << 10;

/// Overwrites what earlier calls have left below the caller's frame. Call it from a frame that
/// never held the secret; an inlined function has no frame of its own.
#[inline(never)]
pub fn wipe_stack() {
    // `black_box` may read through the reference, so the zeros must be written.
    black_box(&mut [0u8; WIPED_BYTES]);
}

/// Wraps a future so that each poll leaves nothing on the stack.
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

/// In a frame of its own, with its callees' frames below it.
#[inline(never)]
fn poll_below<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}
