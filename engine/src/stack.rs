//! The part of a thread's stack that nobody uses at present.

use std::hint::black_box;

use zeroize::Zeroize;

/// Bytes wiped below the caller: requests and mails reach about 16 KiB down.
const WIPED_BYTES: usize = 64 << 10;

/// Overwrites what earlier calls have left below the caller's frame. Values that move leave their bytes on the
/// stack, wiped or not where they went; the last code a thread has seen would stay there until something else
/// needs the place.
#[inline(never)]
pub fn wipe_stack() {
    let mut unused = [0u8; WIPED_BYTES];
    unused.zeroize();
    black_box(&unused);
}
