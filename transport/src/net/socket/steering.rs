//! Which lane a datagram is for: a keyed mix of the connection id it carries, modulo the number of lanes.
//!
//! ```text
//!   short header   0xxxxxxx | id (8 bytes, ours) …
//!   long header    1xxxxxxx | version (4) | length | id (8 to 20 bytes, ours or the client's) …
//!   lane = mix(id) mod lanes
//! ```
//!
//! Ids of ours and ids that clients choose are steered by the same rule. [`super::ids`] draws ours until one leads to
//! the lane that wants it, so the program need not tell them apart, and everything that one client sends comes to one
//! lane: its first Initials have one id, and all that follows carries ours, after a Retry too.
//!
//! The mix has constants that are drawn at each start, and every byte of the id goes into it. A client that chooses
//! its first id cannot choose a lane: any one byte, or all but one, may be fixed, and the others still spread evenly.
//! What remains is to use again what has led to some lane. An id that *we* made is recognised and refused for a new
//! connection ([`super::ids::IdMark`]); with an id of his own a client reaches the same lane again, one connection
//! after the other, without knowing which lane that is.
//!
//! A datagram too short to have an id, or with an id of a length that no version of QUIC spoken here has, is nobody's:
//! the program names a lane that does not exist, and the kernel then spreads by source address and port.

use libc::sock_filter;

/// Bytes of our connection ids.
pub(super) const OUR_ID_BYTES: usize = 8;
/// Bytes of the longest connection id (RFC 9000, 17.2).
const LONGEST_ID_BYTES: usize = 20;
/// An id of more bytes than this has one that is neither among its first eight nor among its last eight.
const WITHOUT_MIDDLE_BYTES: usize = 16;
/// Where the id begins behind a short header, and behind a long one.
const SHORT_AT: u32 = 1;
const LONG_AT: u32 = 6;
/// The byte of a long header that has the id's length.
const LENGTH_AT: u32 = 5;
/// Five words of an id at most go into the mix; each step has a multiplier of its own, and the last one another.
const STEPS: usize = 5;
/// No lane: the kernel spreads as it would without a program.
const NO_LANE: u32 = u32::MAX;

/// How far a step shifts: half a word, so that every bit of a product gets into its lower half, which the next
/// product carries up.
const SHIFT: u32 = 16;

/// The constants of the mix. The same for all sockets of a process.
#[derive(Clone)]
pub(crate) struct Steering {
    lanes: u32,
    first: u32,
    /// Odd, so that no step loses anything.
    multipliers: [u32; STEPS + 1],
}

impl Steering {
    /// Draws the constants.
    pub(crate) fn draw(lanes: usize) -> Self {
        let mut drawn = [0; 4 * (STEPS + 2)];
        if getrandom::fill(&mut drawn).is_err() {
            // Known constants would let strangers choose lanes.
            std::process::abort();
        }
        let word = |at: usize| {
            let bytes = &drawn[4 * at..4 * at + 4];
            bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
        };
        Self { lanes: lanes as u32, first: word(0), multipliers: std::array::from_fn(|at| word(at + 1) | 1) }
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes as usize
    }

    /// The lane that this id leads to; `None` if none does.
    pub(super) fn lane(&self, id: &[u8]) -> Option<usize> {
        if !(OUR_ID_BYTES..=LONGEST_ID_BYTES).contains(&id.len()) {
            return None;
        }
        let word = |at: usize| id[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let step = |hash: u32, (word, multiplier): (u32, u32)| {
            let product = (hash ^ word).wrapping_mul(multiplier);
            product ^ product >> SHIFT
        };
        let offsets = [0, 4, id.len() - 8, id.len() - 4, 8];
        let used = match id.len() {
            OUR_ID_BYTES => 2,
            ..=WITHOUT_MIDDLE_BYTES => 4,
            _ => STEPS,
        };
        let words = offsets.into_iter().take(used).map(word);
        let hash = words.zip(self.multipliers).fold(self.first, step);
        let hash = step(hash, (0, self.multipliers[STEPS]));
        Some((hash % self.lanes) as usize)
    }

    /// The same as a program: some 70 instructions, half of which run for a datagram.
    pub(super) fn program(&self) -> Vec<sock_filter> {
        let ours = [self.begin(), self.step(&[load(SHORT_AT)], 0), self.step(&[load(SHORT_AT + 4)], 1)];
        let short = [ours.concat(), self.end()].concat();
        let long = self.long();
        [
            // Nothing may be loaded that is not there: a load that fails names lane 0.
            vec![step(LENGTH, 0), branch(IF_AT_LEAST, SHORT_AT + OUR_ID_BYTES as u32, 1, 0), NOBODY],
            vec![step(LOAD_BYTE, 0), branch(IF_SET, 0x80, 0, 1), jump(short.len())],
            short,
            long,
        ]
        .concat()
    }

    fn long(&self) -> Vec<sock_filter> {
        let least = LONG_AT + OUR_ID_BYTES as u32;
        let first =
            [self.begin(), self.step(&[load(LONG_AT)], 0), self.step(&[load(LONG_AT + 4)], 1)].concat();
        let last = |at: u32| [step(LOAD_SCRATCH_X, LAST_SLOT), step(LOAD_WORD_AT_X, at)];
        let ends = [self.step(&last(0), 2), self.step(&last(4), 3)].concat();
        let middle = self.step(&[load(LONG_AT + 8)], 4);
        [
            vec![
                step(LENGTH, 0),
                branch(IF_AT_LEAST, least, 1, 0),
                NOBODY,
                step(LOAD_BYTE, LENGTH_AT),
                branch(IF_AT_LEAST, OUR_ID_BYTES as u32, 1, 0),
                NOBODY,
                branch(IF_ABOVE, LONGEST_ID_BYTES as u32, 0, 1),
                NOBODY,
                step(STORE, LENGTH_SLOT),
                // All of the id must be there.
                step(KEEP_IN_X, 0),
                step(LENGTH, 0),
                step(SUBTRACT, LONG_AT),
                branch(IF_AT_LEAST_X, 0, 1, 0),
                NOBODY,
            ],
            first,
            vec![step(LOAD_SCRATCH, LENGTH_SLOT), branch(IF_ABOVE, OUR_ID_BYTES as u32, 1, 0)],
            vec![jump(2 + ends.len() + 3 + middle.len())],
            // Where its last eight bytes begin.
            vec![step(SUBTRACT, OUR_ID_BYTES as u32 - LONG_AT), step(STORE, LAST_SLOT)],
            ends,
            vec![step(LOAD_SCRATCH, LENGTH_SLOT), branch(IF_ABOVE, WITHOUT_MIDDLE_BYTES as u32, 1, 0)],
            vec![jump(middle.len())],
            middle,
            self.end(),
        ]
        .concat()
    }

    fn begin(&self) -> Vec<sock_filter> {
        vec![step(LOAD_NUMBER, self.first), step(STORE, HASH_SLOT)]
    }

    /// One word more into the hash.
    fn step(&self, load: &[sock_filter], at: usize) -> Vec<sock_filter> {
        [load, &[step(LOAD_SCRATCH_X, HASH_SLOT), step(XOR_X, 0)], &self.product(at)].concat()
    }

    fn product(&self, at: usize) -> [sock_filter; 5] {
        let multiply = step(MULTIPLY, self.multipliers[at]);
        [multiply, step(KEEP_IN_X, 0), step(SHIFT_RIGHT, SHIFT), step(XOR_X, 0), step(STORE, HASH_SLOT)]
    }

    fn end(&self) -> Vec<sock_filter> {
        let last = self.product(STEPS);
        [&[step(LOAD_SCRATCH, HASH_SLOT)][..], &last, &[step(MODULO, self.lanes), step(RETURN_A, 0)]].concat()
    }
}

/// Scratch words of the program.
const HASH_SLOT: u32 = 0;
const LENGTH_SLOT: u32 = 1;
const LAST_SLOT: u32 = 2;

const LENGTH: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_LEN;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_WORD_AT_X: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_IND;
const LOAD_NUMBER: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_IMM;
const LOAD_SCRATCH: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_MEM;
const LOAD_SCRATCH_X: u32 = libc::BPF_LDX | libc::BPF_W | libc::BPF_MEM;
const STORE: u32 = libc::BPF_ST;
const KEEP_IN_X: u32 = libc::BPF_MISC | libc::BPF_TAX;
const SUBTRACT: u32 = libc::BPF_ALU | libc::BPF_SUB | libc::BPF_K;
const MULTIPLY: u32 = libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K;
const MODULO: u32 = libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K;
const SHIFT_RIGHT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K;
const XOR_X: u32 = libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_SET: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_AT_LEAST_X: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_X;
const IF_ABOVE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const RETURN_A: u32 = libc::BPF_RET | libc::BPF_A;

const NOBODY: sock_filter = step(RETURN, NO_LANE);

const fn step(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn branch(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn load(at: u32) -> sock_filter {
    step(LOAD_WORD, at)
}

const fn jump(over: usize) -> sock_filter {
    step(JUMP, over as u32)
}

#[cfg(test)]
mod tests;
