//! Randomness as an argument, like time: a test scripts it, a lane uses the operating system's.

use zeroize::Zeroize;

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Overwrites `out` with random bytes. There is no error: a process without randomness must not
    /// issue codes, so an implementation ends the process.
    fn fill(&mut self, out: &mut [u8]);
}

impl<E: Entropy + ?Sized> Entropy for Box<E> {
    fn fill(&mut self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// A uniform number below `bound`, by rejection: `u64 % bound` alone would favour small codes.
pub(crate) fn below(entropy: &mut impl Entropy, bound: u64) -> u64 {
    // The largest multiple of `bound` that fits; a draw at or above it would bias the remainder.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let draw = u64::from_le_bytes(bytes);
        bytes.zeroize();
        if draw < limit {
            return draw % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scripted(Vec<u64>);
    impl Entropy for Scripted {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0.remove(0).to_le_bytes());
        }
    }

    #[test]
    fn a_draw_that_would_bias_the_code_is_thrown_away() {
        let limit = u64::MAX - u64::MAX % 1_000_000;
        let mut source = Scripted(vec![limit, u64::MAX, 1_000_007]);
        assert_eq!(below(&mut source, 1_000_000), 7);
        assert!(source.0.is_empty(), "both biased draws were consumed and refused");
    }

    #[test]
    fn the_last_fair_draw_is_kept() {
        let limit = u64::MAX - u64::MAX % 1_000_000;
        assert_eq!(below(&mut Scripted(vec![limit - 1]), 1_000_000), 999_999);
    }
}
