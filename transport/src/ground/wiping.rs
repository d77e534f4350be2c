//! An allocator that overwrites memory when it is freed.
//!
//! Secrets in our own types are wiped by their type (`Zeroizing`, [`authepy_http3::wiped`]). But
//! libraries make copies: of a mail while it is formatted, of a request while QUIC and TLS decrypt
//! it, of a text while JSON is parsed. Those are wiped here when their buffer is freed. Not covered
//! are stacks (code that handles a secret wipes its own: [`authepy_engine::stack`]), registers, and
//! long-lived buffers (one per socket), which the next request overwrites.
//!
//! Wiped blocks are kept by a lane for its next requests ([`shelf`]), or returned to the system's
//! allocator.

use std::alloc::{GlobalAlloc, Layout, System};

mod shelf;

use shelf::Class;

/// Lets this thread keep wiped blocks for itself. For lanes, which end with the process.
pub fn keep_blocks() {
    shelf::open();
}

/// The system's allocator with a wipe before each free. A block that grows is copied, and its old
/// place is wiped.
pub struct Wiping;

// SAFETY: every block comes from the system's allocator and is returned to it with the layout that
// it was allocated with: that of its class, or its own if it has none. In between, only whole,
// wiped, unused blocks are kept, and each is handed out once. The default `realloc` uses these
// functions.
#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract; a class's size is not zero.
        unsafe {
            match Class::of(layout) {
                Some(class) => shelf::take(class).unwrap_or_else(|| System.alloc(class.layout())),
                None => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; kept blocks are all zeros.
        unsafe {
            match Class::of(layout) {
                Some(class) => shelf::take(class).unwrap_or_else(|| System.alloc_zeroed(class.layout())),
                None => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let class = Class::of(layout);
        let made = class.map_or(layout, Class::layout);
        // SAFETY: the caller gives the block up, so all of it may be written. The compiler would
        // remove plain stores before a free as dead; it keeps this call.
        unsafe {
            libc::explicit_bzero(block.cast(), made.size());
            if !class.is_some_and(|class| shelf::keep(class, block)) {
                System.dealloc(block, made);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overwrites a whole block, as its owner may.
    #[allow(unsafe_code, reason = "an allocator's callers hold bare memory")]
    fn scribbled(layout: Layout) -> *mut u8 {
        // SAFETY: the block is as large as requested.
        unsafe {
            let block = Wiping.alloc(layout);
            block.write_bytes(0xa5, layout.size());
            block
        }
    }

    #[allow(unsafe_code, reason = "as above")]
    fn free(block: *mut u8, layout: Layout) {
        // SAFETY: each test frees a block once, with the layout that it requested.
        unsafe { Wiping.dealloc(block, layout) }
    }

    /// A block from `alloc_zeroed`, and whether it is all zeros.
    #[allow(unsafe_code, reason = "as above")]
    fn zeroed(layout: Layout) -> (*mut u8, bool) {
        // SAFETY: as above; the block is initialised if the allocator is correct.
        unsafe {
            let block = Wiping.alloc_zeroed(layout);
            (block, std::slice::from_raw_parts(block, layout.size()).iter().all(|byte| *byte == 0))
        }
    }

    fn of(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn a_lane_has_the_block_it_freed_last_and_finds_nothing_in_it() {
        std::thread::spawn(|| {
            keep_blocks();
            for (one, other) in [(24, 20), (150, 152), (1_032, 1_025), (3_200, 3_328), (4_104, 3_900)] {
                let blocks = [scribbled(of(one)), scribbled(of(one))];
                free(blocks[0], of(one));
                free(blocks[1], of(one));
                // Newest first; another size of the same class is fine.
                let (again, clean) = zeroed(of(other));
                assert_eq!((again, clean), (blocks[1], true), "{one}");
                let (again, clean) = zeroed(of(one));
                assert_eq!((again, clean), (blocks[0], true), "{one}");
                free(blocks[0], of(one));
                free(blocks[1], of(other));
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_lane_keeps_what_others_made_and_no_more_than_its_share() {
        let made: Vec<usize> = (0..1_000).map(|_| scribbled(of(3_000)).expose_provenance()).collect();
        let made: std::collections::HashSet<usize> = made.into_iter().collect();
        std::thread::spawn(move || {
            keep_blocks();
            made.iter().for_each(|&at| free(std::ptr::with_exposed_provenance_mut(at), of(3_000)));
            let kept: Vec<*mut u8> =
                std::iter::from_fn(|| shelf::take(Class::of(of(3_000)).unwrap())).take(1_000).collect();
            assert!(kept.iter().all(|block| made.contains(&block.addr())));
            assert_eq!(kept.len(), crate::limits::KEPT_COARSE_BYTES / 3_080);
            kept.into_iter().for_each(|block| free(block, of(3_000)));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn other_threads_keep_nothing() {
        free(scribbled(of(100)), of(100));
        assert_eq!(shelf::take(Class::of(of(100)).unwrap()), None);
    }
}
