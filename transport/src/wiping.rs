//! An allocator that overwrites what is given back.
//!
//! What we hold ourselves is wiped by its type (`Zeroizing`, [`crate::http3::wiped`]). Libraries copy: a mail while
//! it is formatted, a request while QUIC and TLS decrypt it, a text while JSON is read. Those copies end with
//! their buffer, here. Not reached: stacks, registers, and buffers that live on (one for each socket), which the
//! next request overwrites.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, and a wipe before each free. A block that grows is copied and its old place wiped.
pub struct Wiping;

// SAFETY: every block comes from the system's allocator and goes back to it with the layout it came with; in
// between nothing is kept. The default `realloc` is built of the two.
#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's to give back, so all of it may be written. Plain stores before a
        // free are dead and would be dropped by the compiler; this call is not.
        unsafe {
            libc::explicit_bzero(block.cast(), layout.size());
            System.dealloc(block, layout);
        }
    }
}
