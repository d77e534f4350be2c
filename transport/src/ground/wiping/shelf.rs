//! Wiped blocks that a lane keeps for its next requests.
//!
//! ```text
//!   alloc ◀── shelf of the size's class, newest first ◀── free, wiped     lanes
//!     ▲   └── empty ──────────▶ system                └── full ──▶ system
//!     └────────────────────────── system ◀───────────────── free, wiped   other threads
//! ```
//!
//! glibc caches seven blocks per size and thread, and none above 1,032 bytes. A lane has hundreds
//! of requests in progress, each a task of 3 KiB, and their allocations come and go in waves, so
//! most of them would miss glibc's cache.
//!
//! All threads round sizes up to the class, because a block may be freed by another thread than the
//! one that allocated it. Up to 1,032 bytes the classes are the sizes that glibc returns anyway;
//! above, they are steps of 256.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::null_mut;

use crate::limits::{KEPT_COARSE_BYTES, KEPT_FINE_BYTES};

/// glibc's smallest block, and the step to the next.
const SMALLEST: usize = 24;
const FINE_STEP: usize = 16;
const FINE: usize = 64;
/// The largest of the fine classes, and the step above it.
const FINE_TOP: usize = SMALLEST + (FINE - 1) * FINE_STEP;
const COARSE_STEP: usize = 256;
const COARSE: usize = 12;
const TOP: usize = FINE_TOP + COARSE * COARSE_STEP;
/// glibc's alignment; a block with a stricter alignment is never kept.
const ALIGNMENT: usize = 16;

/// A size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(usize);

impl Class {
    /// `None` if the layout is too large or too strictly aligned to be kept.
    pub(super) const fn of(layout: Layout) -> Option<Self> {
        let size = layout.size();
        if layout.align() > ALIGNMENT || size > TOP {
            None
        } else if size <= SMALLEST {
            Some(Self(0))
        } else if size <= FINE_TOP {
            Some(Self((size - SMALLEST).div_ceil(FINE_STEP)))
        } else {
            Some(Self(FINE - 1 + (size - FINE_TOP).div_ceil(COARSE_STEP)))
        }
    }

    /// The layout that its blocks are allocated with, whatever was requested.
    pub(super) const fn layout(self) -> Layout {
        let size = if self.0 < FINE {
            SMALLEST + self.0 * FINE_STEP
        } else {
            FINE_TOP + (self.0 + 1 - FINE) * COARSE_STEP
        };
        match Layout::from_size_align(size, ALIGNMENT) {
            Ok(layout) => layout,
            // Unreachable: no class is near the maximum size.
            Err(_) => Layout::new::<[u64; 3]>(),
        }
    }

    /// How many blocks a lane keeps.
    const fn most(self) -> usize {
        let bytes = if self.0 < FINE { KEPT_FINE_BYTES } else { KEPT_COARSE_BYTES };
        bytes / self.layout().size()
    }
}

/// Kept blocks of one class: a linked list in which each block holds the address of the next.
struct Pile {
    first: Cell<*mut u8>,
    count: Cell<usize>,
}

/// A thread's kept blocks. It has no destructor, so that it can be used until the thread's very
/// end.
struct Shelf {
    open: Cell<bool>,
    piles: [Pile; FINE + COARSE],
}

thread_local! {
    static SHELF: Shelf = const {
        Shelf {
            open: Cell::new(false),
            piles: [const { Pile { first: Cell::new(null_mut()), count: Cell::new(0) } }; FINE + COARSE],
        }
    };
}

/// Lets this thread keep what it frees. For threads that end with the process: kept blocks are not
/// released when the thread ends.
pub(super) fn open() {
    SHELF.with(|shelf| shelf.open.set(true));
}

/// Takes a kept block of that class, all zeros.
pub(super) fn take(class: Class) -> Option<*mut u8> {
    SHELF.with(|shelf| {
        let pile = shelf.piles.get(class.0)?;
        let block = pile.first.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: blocks on the pile were put there by `keep`, whose caller gave them up. A block
        // is at least as large and as strictly aligned as an address, and holds the next one.
        #[allow(unsafe_code, reason = "a list whose links are stored in free memory")]
        unsafe {
            let link = block.cast::<*mut u8>();
            pile.first.set(link.read());
            link.write(null_mut());
        }
        pile.count.set(pile.count.get() - 1);
        Some(block)
    })
}

/// Keeps a wiped block for [`take`]. Returns false if this thread keeps no blocks, or enough of
/// this class.
///
/// The block was allocated with the class's layout, is no longer used, and is all zeros.
#[allow(unsafe_code, reason = "a list whose links are stored in free memory")]
pub(super) unsafe fn keep(class: Class, block: *mut u8) -> bool {
    SHELF.with(|shelf| {
        let Some(pile) = shelf.piles.get(class.0) else { return false };
        if !shelf.open.get() || pile.count.get() >= class.most() {
            return false;
        }
        // SAFETY: the caller gave the block up, and it is large enough for an address.
        unsafe { block.cast::<*mut u8>().write(pile.first.get()) };
        pile.first.set(block);
        pile.count.set(pile.count.get() + 1);
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_every_size_it_is_for_and_wastes_little() {
        let mut before = Class(0);
        for size in 1..=TOP {
            let class = Class::of(Layout::from_size_align(size, 8).unwrap()).unwrap();
            let made = class.layout().size();
            let waste = made.checked_sub(size).unwrap();
            let step = if size <= FINE_TOP { FINE_STEP } else { COARSE_STEP };
            assert!(waste < step || made == SMALLEST, "{size} {made}");
            assert_eq!(Class::of(class.layout()), Some(class));
            assert!(class == before || class.0 == before.0 + 1, "{size}");
            before = class;
        }
        assert_eq!(before, Class(FINE + COARSE - 1));
        assert_eq!(Class::of(Layout::from_size_align(TOP + 1, 8).unwrap()), None);
        assert_eq!(Class::of(Layout::from_size_align(64, 32).unwrap()), None);
    }
}
