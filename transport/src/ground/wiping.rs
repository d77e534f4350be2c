//! An allocator that overwrites what is given back.
//!
//! What we hold ourselves is wiped by its type (`Zeroizing`, [`authepy_http3::wiped`]). Libraries copy: a mail while
//! it is formatted, a request while QUIC and TLS decrypt it, a text while JSON is read. Those copies end with
//! their buffer, here. Not reached: stacks, which whoever has handled a secret wipes himself
//! ([`authepy_engine::stack`]), registers, and buffers that live on (one for each socket), which the next request
//! overwrites.
//!
//! Below the wipe a lane keeps blocks for its next requests ([`shelf`]), else the system's allocator has them back.

use std::alloc::{GlobalAlloc, Layout, System};

mod shelf;

use shelf::Class;

/// From now on this thread keeps what it frees, wiped, for itself. For lanes, which end with the process.
pub fn keep_blocks() {
    shelf::open();
}

/// The system's allocator, and a wipe before each free. A block that grows is copied and its old place wiped.
pub struct Wiping;

// SAFETY: every block comes from the system's allocator and goes back to it with the layout it came with: that of
// its class, or its own where it has none. In between only whole, wiped blocks that nobody uses are kept, and each
// is handed out once. The default `realloc` is built of the two.
#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on; a class's size is not zero.
        unsafe {
            match Class::of(layout) {
                Some(class) => shelf::take(class).unwrap_or_else(|| System.alloc(class.layout())),
                None => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; what is kept is zeros already.
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
        // SAFETY: the block is the caller's to give back, so all that it was made with may be written. Plain stores
        // before a free are dead and would be dropped by the compiler; this call is not.
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

    /// Writes all over a block, as its owner may.
    #[allow(unsafe_code, reason = "an allocator's callers hold bare memory")]
    fn scribbled(layout: Layout) -> *mut u8 {
        // SAFETY: the block is as large as was asked for.
        unsafe {
            let block = Wiping.alloc(layout);
            block.write_bytes(0xa5, layout.size());
            block
        }
    }

    #[allow(unsafe_code, reason = "as above")]
    fn free(block: *mut u8, layout: Layout) {
        // SAFETY: each test frees a block once, with the layout it asked for.
        unsafe { Wiping.dealloc(block, layout) }
    }

    /// A block that came from `alloc_zeroed`, and whether it is zeros.
    #[allow(unsafe_code, reason = "as above")]
    fn zeroed(layout: Layout) -> (*mut u8, bool) {
        // SAFETY: as above; the block is set, if it is as it should be.
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
                // Newest first; another size of the class will do.
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
