//! A classic BPF program that drops datagrams from certain networks before they are queued on a
//! socket.
//!
//! ```text
//!   version ─┬─ 4 ─▶ source (32 bits) ────────────▶ search ─▶ drop │ pass
//!            ├─ 6 ─▶ an IPv4-mapped address? ─────▶ pass
//!            │       bits 0..32 of the source ────▶ search ─▶ bits 32..64 ─▶ search ─▶ drop │ pass
//!            └─ else ─────────────────────────────▶ pass
//! ```
//!
//! A search is a tree of `A >= k` over sorted ranges whose leaves, of up to [`LEAF`] ranges, are
//! searched linearly: a dozen comparisons for 256 networks. The IP version is read from the network
//! header, because a socket on `[::]` gets the packets of both families. Every load is within the
//! shortest possible header, because a load that fails would drop the packet.

use std::ops::RangeInclusive;

use authepy_engine::peer::{Prefix, Sources};
use libc::sock_filter;

type Code = Vec<sock_filter>;
type Range = RangeInclusive<u32>;

/// Ranges that are searched linearly: two instructions each, so that every jump offset fits into a
/// byte.
const LEAF: usize = 8;

const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const SHIFT_RIGHT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K;
const KEEP_IN_X: u32 = libc::BPF_MISC | libc::BPF_TAX;
const TAKE_FROM_X: u32 = libc::BPF_MISC | libc::BPF_TXA;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_ABOVE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const DROP: sock_filter = step(RETURN, 0);
const PASS: sock_filter = step(RETURN, u32::MAX);

/// Drops datagrams from any of these networks, and no others. At most 9 instructions per network,
/// plus 16.
pub(super) fn program(networks: &[Prefix]) -> Code {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for network in networks {
        match network.sources() {
            Sources::V4(address) => v4.push(address..=address),
            Sources::V6 { first, last } => v6.push((first, last)),
        }
    }
    let (v4, v6) = (by_v4(v4), by_v6(v6));
    let mut code = vec![
        load(LOAD_BYTE, 0),
        step(SHIFT_RIGHT, 4),
        branch(IF_EQUAL, 4, 0, 1),
        step(JUMP, 3),
        branch(IF_EQUAL, 6, 1, 0),
        PASS,
        step(JUMP, v4.len() as u32),
    ];
    code.extend(v4);
    code.extend(v6);
    code
}

fn by_v4(mut addresses: Vec<Range>) -> Code {
    addresses.sort_unstable_by_key(|range| *range.start());
    let mut code = vec![load(LOAD_WORD, 12)];
    code.extend(search(&addresses));
    code
}

/// Checks for `::ffff:a.b.c.d` first: its upper half is that of another network.
fn by_v6(mut halves: Vec<(u64, u64)>) -> Code {
    halves.sort_unstable();
    // Networks are nested or disjoint, so one that lies in its predecessor is covered.
    halves.dedup_by(|inner, outer| inner.1 <= outer.1);
    let mut code = vec![
        load(LOAD_WORD, 16),
        branch(IF_EQUAL, 0xffff, 0, 3),
        load(LOAD_WORD, 8),
        branch(IF_EQUAL, 0, 0, 1),
        PASS,
        load(LOAD_WORD, 12),
        step(KEEP_IN_X, 0),
        load(LOAD_WORD, 8),
    ];
    let groups: Vec<_> = halves.chunk_by(|one, next| one.0 >> 32 == next.0 >> 32).collect();
    code.extend(tree(&groups, 1, &|group| (group[0].0 >> 32) as u32, &|groups| match groups.first() {
        Some(group) => by_v6_rest(group),
        None => vec![PASS],
    }));
    code
}

/// Networks that share their first 32 bits.
fn by_v6_rest(group: &[(u64, u64)]) -> Code {
    let mut code = vec![branch(IF_EQUAL, (group[0].0 >> 32) as u32, 1, 0), PASS, step(TAKE_FROM_X, 0)];
    let ranges: Vec<Range> = group.iter().map(|&(first, last)| first as u32..=last as u32).collect();
    code.extend(search(&ranges));
    code
}

fn search(ranges: &[Range]) -> Code {
    tree(ranges, LEAF, &|range| *range.start(), &in_order)
}

/// Halves `items` by their first value until `leaf` of them are left.
fn tree<T>(items: &[T], leaf: usize, first: &impl Fn(&T) -> u32, code_of: &impl Fn(&[T]) -> Code) -> Code {
    if items.len() <= leaf {
        return code_of(items);
    }
    let (low, high) = items.split_at(items.len() / 2);
    let pivot = first(&high[0]);
    let low = tree(low, leaf, first, code_of);
    let mut code = vec![branch(IF_AT_LEAST, pivot, 0, 1), step(JUMP, low.len() as u32)];
    code.extend(low);
    code.extend(tree(high, leaf, first, code_of));
    code
}

fn in_order(ranges: &[Range]) -> Code {
    let is_single = |range: &Range| range.start() == range.end();
    let length: usize = ranges.iter().map(|range| if is_single(range) { 1 } else { 2 }).sum();
    let mut code = Code::with_capacity(length + 2);
    for range in ranges {
        // Counted from the next instruction to PASS, which DROP follows.
        let to_pass = |at: usize| (length - at - 1) as u8;
        let at = code.len();
        if is_single(range) {
            code.push(branch(IF_EQUAL, *range.start(), to_pass(at) + 1, 0));
        } else {
            code.push(branch(IF_AT_LEAST, *range.start(), 0, to_pass(at)));
            code.push(branch(IF_ABOVE, *range.end(), 0, to_pass(at + 1) + 1));
        }
    }
    code.extend([PASS, DROP]);
    code
}

const fn step(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn branch(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Loads from the network header; a plain offset counts from the UDP header.
const fn load(code: u32, offset: u32) -> sock_filter {
    step(code, (libc::SKF_NET_OFF as u32).wrapping_add(offset))
}

#[cfg(test)]
mod tests;
