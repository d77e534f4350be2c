//! HMAC-SHA-256 (RFC 2104) under keys that are used again and again.
//!
//! Of the four blocks that the MAC of a short text takes, two depend on the key alone. They are hashed once, at
//! start:
//!
//! ```text
//!   key ⊕ ipad ─▶ inner ─┬─▶ text … padding ─▶ digest ─┐
//!   key ⊕ opad ─▶ outer ─┼─────────────────────────────┴─▶ padding ─▶ MAC
//!      once, MacKey::new │ each time, Mac
//! ```

use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop};

const BLOCK_BYTES: usize = 64;
/// Where SHA-256 begins (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

/// A key of 32 bytes, as its two states. Owned by [`StartKeys`](crate::route::StartKeys); wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl MacKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self { inner: state(IPAD), outer: state(OPAD) }
    }

    /// The MAC of what is still to be told.
    pub(crate) fn mac(&self) -> Mac<'_> {
        Mac { key: self, state: self.inner, block: [0; BLOCK_BYTES], held: 0, blocks: 1 }
    }
}

/// A MAC under way.
pub(crate) struct Mac<'a> {
    key: &'a MacKey,
    state: [u32; 8],
    block: [u8; BLOCK_BYTES],
    /// Bytes of `block` that are not hashed yet; never all of them.
    held: usize,
    /// Blocks hashed, the key's included.
    blocks: u64,
}

impl Mac<'_> {
    pub(crate) fn update(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let (now, later) = text.split_at(text.len().min(BLOCK_BYTES - self.held));
            self.block[self.held..self.held + now.len()].copy_from_slice(now);
            self.held += now.len();
            text = later;
            if self.held == BLOCK_BYTES {
                compress256(&mut self.state, &[self.block]);
                (self.held, self.blocks) = (0, self.blocks + 1);
            }
        }
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        let bytes = self.blocks * BLOCK_BYTES as u64 + self.held as u64;
        let digest = last(self.state, &mut self.block, self.held, bytes);
        let mut outer = [0; BLOCK_BYTES];
        outer[..digest.len()].copy_from_slice(&digest);
        last(self.key.outer, &mut outer, digest.len(), (BLOCK_BYTES + digest.len()) as u64)
    }
}

/// Pads the last `held` bytes of a message of so many bytes, and ends it (FIPS 180-4, 5.1.1).
fn last(mut state: [u32; 8], block: &mut [u8; BLOCK_BYTES], held: usize, bytes: u64) -> [u8; 32] {
    const LENGTH_AT: usize = BLOCK_BYTES - size_of::<u64>();
    block[held] = 0x80;
    block[held + 1..].fill(0);
    if held >= LENGTH_AT {
        compress256(&mut state, &[*block]);
        block.fill(0);
    }
    block[LENGTH_AT..].copy_from_slice(&(8 * bytes).to_be_bytes());
    compress256(&mut state, &[*block]);
    let mut digest = [0; 32];
    digest.chunks_exact_mut(4).zip(state).for_each(|(out, word)| out.copy_from_slice(&word.to_be_bytes()));
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::hmac;
    use hmac::Mac as _;

    #[test]
    fn it_is_the_hmac_of_the_library_for_any_length_and_cut() {
        let key: [u8; 32] = std::array::from_fn(|at| at as u8 * 7 + 1);
        let text: Vec<u8> = (0..300u32).map(|n| (n * 31 % 251) as u8).collect();
        let shared = MacKey::new(&key);
        for length in 0..text.len() {
            let expected = hmac(&key).chain_update(&text[..length]).finalize().into_bytes();
            for cut in [0, 1, 55, 56, 63, 64, 65, 128, length] {
                let (first, second) = text[..length].split_at(cut.min(length));
                let mut mac = shared.mac();
                mac.update(first);
                mac.update(second);
                assert_eq!(mac.finish()[..], expected[..], "{length} bytes, cut at {cut}");
            }
        }
    }
}
