//! The operating system's randomness, fetched in blocks: one system call serves about 30 requests.

use authepy_engine::entropy::Entropy;
use zeroize::Zeroize;

const BLOCK_BYTES: usize = 1_024;

/// A block of randomness; each byte is used once and wiped.
pub(crate) struct OsEntropy {
    block: Box<[u8; BLOCK_BYTES]>,
    used: usize,
}

impl Default for OsEntropy {
    fn default() -> Self {
        Self { block: Box::new([0; BLOCK_BYTES]), used: BLOCK_BYTES }
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == BLOCK_BYTES {
                if getrandom::fill(&mut *self.block).is_err() {
                    // Without randomness every code would be guessable, so the process must not
                    // continue.
                    std::process::abort();
                }
                self.used = 0;
            }
            let length = out.len().min(BLOCK_BYTES - self.used);
            let (now, later) = out.split_at_mut(length);
            let fresh = &mut self.block[self.used..self.used + length];
            now.copy_from_slice(fresh);
            fresh.zeroize();
            self.used += length;
            out = later;
        }
    }
}

impl Drop for OsEntropy {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}
