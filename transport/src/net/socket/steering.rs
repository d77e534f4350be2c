//! Maps a datagram to a lane: a keyed hash of its destination connection id, modulo the number of
//! lanes.
//!
//! ```text
//!   short header   0xxxxxxx | id (8 bytes, ours) …
//!   long header    1xxxxxxx | version (4) | length | id (8 to 20 bytes, ours or the client's) …
//!   lane = mix(id) mod lanes
//! ```
//!
//! The same rule applies to our ids and to ids that clients choose. [`super::ids`] draws ours until
//! one maps to the lane that wants it, so the program need not distinguish them, and everything
//! from one client reaches one lane: its first Initials have one id, and all later packets carry
//! ours, also after a Retry.
//!
//! The constants of the hash are drawn at each start, and every byte of the id goes into it. So a
//! client that chooses its first id can't choose a lane: if it fixes any one byte, or all but two,
//! the ids still spread evenly. It can only reuse an id that reached some lane before. An id that
//! *we* made is recognised and refused for a new connection ([`super::ids::IdMark`]). With an id of
//! its own a client reaches the same lane again, one connection after the other, without knowing
//! which lane that is.
//!
//! A datagram that is too short for an id, or has an id of a length that no QUIC version spoken
//! here allows, belongs to no lane: the program returns a lane that does not exist, and the kernel
//! then spreads by source address and port.

use libc::sock_filter;

/// Length of our connection ids.
pub(super) const OUR_ID_BYTES: usize = 8;
/// Length of the longest connection id (RFC 9000, 17.2).
const LONGEST_ID_BYTES: usize = 20;
/// In an id longer than this, some bytes are neither among the first eight nor among the last
/// eight.
const WITHOUT_MIDDLE_BYTES: usize = 16;
/// Offset of the id in a packet with a short header, and with a long one.
const SHORT_AT: u32 = 1;
const LONG_AT: u32 = 6;
/// Offset of the id's length in a long header.
const LENGTH_AT: u32 = 5;
/// At most five words of an id are hashed; each step has its own multiplier, and the final step
/// another.
const STEPS: usize = 5;
/// No lane: the kernel selects the socket as it would without a program.
const NO_LANE: u32 = u32::MAX;

/// How far a step shifts: half a word, so that every bit of a product reaches its lower half, which
/// the next product carries up.
const SHIFT: u32 = 16;

/// The constants of the hash. The same for all sockets of a process.
#[derive(Clone)]
pub(crate) struct Steering {
    lanes: u32,
    first: u32,
    /// Odd, so that each step is a bijection.
    multipliers: [u32; STEPS + 1],
}

impl Steering {
    /// Draws the constants.
    pub(crate) fn draw(lanes: usize) -> Self {
        let mut drawn = [0; 4 * (STEPS + 2)];
        if getrandom::fill(&mut drawn).is_err() {
            // With known constants, clients could choose lanes.
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

    /// The lane that this id maps to; `None` if its length is invalid.
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

    /// The same function as a BPF program: about 70 instructions, half of which run per datagram.
    pub(super) fn program(&self) -> Vec<sock_filter> {
        let ours = [self.begin(), self.step(&[load(SHORT_AT)], 0), self.step(&[load(SHORT_AT + 4)], 1)];
        let short = [ours.concat(), self.end()].concat();
        let long = self.long();
        [
            // Every load must be within the packet: a load that fails returns lane 0.
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
                // The packet must contain the whole id.
                step(KEEP_IN_X, 0),
                step(LENGTH, 0),
                step(SUBTRACT, LONG_AT),
                branch(IF_AT_LEAST_X, 0, 1, 0),
                NOBODY,
            ],
            first,
            vec![step(LOAD_SCRATCH, LENGTH_SLOT), branch(IF_ABOVE, OUR_ID_BYTES as u32, 1, 0)],
            vec![jump(2 + ends.len() + 3 + middle.len())],
            // The offset of its last eight bytes.
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

    /// Adds one word to the hash.
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
