//! A peer's unidirectional streams are taken exactly as far as RFC 9114 and our bounds let them, however
//! they are cut.
//!
//! The input is a length of the pieces, and the stream from its type on.

use authepy_http3::error::{Code, Fault};
use authepy_http3::limits::{HOUSEKEEPING_BUDGET_FRAMES, MAX_CONTROL_FRAME_BYTES, MAX_SETTINGS};
use authepy_http3::uni::{PeerStreams, UniReader, Verdict};
use authepy_http3::varint;

pub(crate) fn check(input: &[u8], canary: bool) {
    let Some((&size, stream)) = input.split_first() else { return };
    let whole = read(stream, usize::MAX, canary);
    assert_eq!(read(stream, 1 + usize::from(size), canary), whole);
    assert_eq!(read(stream, 1, canary), whole);
    let mut rest = stream;
    let expected = match varint::decode(&mut rest) {
        None => Ok(Verdict::Continue),
        Some(0) if is_control(rest) => Ok(Verdict::Continue),
        Some(2) if rest.iter().all(|octet| *octet == 0x20) && fits(rest.len()) => Ok(Verdict::Continue),
        Some(3) if cancellations(rest).is_some_and(fits) => Ok(Verdict::Continue),
        Some(0..4) => Err(()),
        Some(_) => Ok(Verdict::Refuse),
    };
    assert_eq!(whole.map_err(|_| ()), expected, "{whole:?}");
    a_second_one(stream, whole);
}

/// The canary's bug: ids may come in any order.
fn read(stream: &[u8], size: usize, canary: bool) -> Result<Verdict, Fault> {
    let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
    let mut verdict = Verdict::Continue;
    for piece in stream.chunks(size) {
        verdict = match reader.push(piece, &mut peer) {
            Err(Fault::Connection(Code::IdError)) if canary => Verdict::Continue,
            pushed => pushed?,
        };
        assert!(reader.held_bytes() <= 2 * MAX_CONTROL_FRAME_BYTES);
    }
    Ok(verdict)
}

/// Of the critical streams there is one each; they don't end, and any other may.
fn a_second_one(stream: &[u8], first: Result<Verdict, Fault>) {
    let mut peer = PeerStreams::default();
    let [mut one, mut other] = [UniReader::default(), UniReader::default()];
    let Ok(verdict) = one.push(stream, &mut peer) else { return };
    assert_eq!(Ok(verdict), first);
    let kind = varint::decode(&mut &*stream);
    let is_critical = matches!(kind, Some(0 | 2 | 3));
    if let Some(kind) = kind {
        let mut again = Vec::new();
        varint::encode(kind, &mut again);
        assert_eq!(other.push(&again, &mut peer).is_err(), is_critical);
    }
    let closed = one.closed(&mut peer);
    assert_eq!(closed.err(), is_critical.then_some(Fault::Connection(Code::ClosedCriticalStream)));
}

fn fits(frames: usize) -> bool {
    frames <= HOUSEKEEPING_BUDGET_FRAMES as usize
}

/// A control stream by the book: SETTINGS once and first, nothing of a request, ids in order.
fn is_control(mut rest: &[u8]) -> bool {
    let (mut frames, mut goaway, mut max_push) = (0, None, None);
    loop {
        let Some((kind, length)) = varint::decode(&mut rest).zip(varint::decode(&mut rest)) else {
            return true;
        };
        frames += 1;
        let in_place = (kind == 4) == (frames == 1);
        let forbidden = matches!(kind, 0x0 | 0x1 | 0x2 | 0x5 | 0x6 | 0x8 | 0x9);
        if !fits(frames) || !in_place || forbidden || length > MAX_CONTROL_FRAME_BYTES as u64 {
            return false;
        }
        let Some((mut payload, after)) = rest.split_at_checked(length as usize) else { return true };
        rest = after;
        let mut id = || varint::decode(&mut payload).filter(|_| payload.is_empty());
        let in_order = match kind {
            4 => is_settings(payload),
            7 => id().is_some_and(|id| goaway.replace(id).is_none_or(|before| id <= before)),
            13 => id().is_some_and(|id| max_push.replace(id).is_none_or(|before| id >= before)),
            3 => false,
            _ => true,
        };
        if !in_order {
            return false;
        }
    }
}

fn is_settings(mut payload: &[u8]) -> bool {
    let mut ids = Vec::new();
    while !payload.is_empty() {
        let Some((id, value)) = varint::decode(&mut payload).zip(varint::decode(&mut payload)) else {
            return false;
        };
        let forbidden = matches!(id, 0 | 2 | 3 | 4 | 5) || matches!(id, 0x8 | 0x33) && value > 1;
        if forbidden || ids.contains(&id) || ids.len() == MAX_SETTINGS {
            return false;
        }
        ids.push(id);
    }
    true
}

/// How many stream cancellations these are, the last one perhaps cut; `None` if anything else is among them.
fn cancellations(mut rest: &[u8]) -> Option<usize> {
    let mut count = 0;
    while let Some((first, after)) = rest.split_first() {
        count += 1;
        rest = after;
        if first >> 6 != 0b01 {
            return None;
        }
        if first & 0x3f == 0x3f {
            // At most 9 octets more: 62 bits.
            match rest.iter().position(|octet| octet & 0x80 == 0) {
                Some(last) if last < 9 => rest = &rest[last + 1..],
                None if rest.len() < 9 => rest = &[],
                _ => return None,
            }
        }
    }
    Some(count)
}
