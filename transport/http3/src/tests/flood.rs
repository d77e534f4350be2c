//! Rows A40, A41, A43 and A53: what a peer sends to cost us more than it costs the peer.

use super::super::error::{Code, Fault, Refused};
use super::super::limits::*;
use super::super::message::RequestReader;
use super::super::uni::{PeerStreams, UniReader, Verdict};
use super::super::wiped::Wiped;
use super::{declared, frame, good_and, read, section};

const TOO_LARGE: Option<Fault> = Some(Fault::Answer(Refused::HeadersTooLarge));
const OVERLOAD: Fault = Fault::Connection(Code::ExcessiveLoad);
const GREASE: u64 = 0x1f * 3 + 0x21;

#[test]
fn a_header_count_bomb_is_answered_with_431() {
    for count in [65, 513, 16_382, 24_576, 24_577, 25_000] {
        let bomb = [&[0, 0], vec![0xdd; count].as_slice()].concat();
        assert_eq!(read(&frame(1, &bomb)).err(), TOO_LARGE, "{count} static fields");
        let as_trailers = [good_and(&[]), frame(1, &bomb)].concat();
        assert_eq!(read(&as_trailers).err(), TOO_LARGE, "{count} in trailers");
    }
    for count in [61, 30_000] {
        assert_eq!(read(&good_and(&vec![("a", &b""[..]); count])).err(), TOO_LARGE);
    }
    assert!(read(&good_and(&vec![("a", &b""[..]); MAX_FIELDS - 4])).is_ok());
}

#[test]
fn few_large_fields_are_answered_with_431_too() {
    // 40 bytes of overhead and name for each of five fields; the frame itself is in its bound.
    let value = vec![b'x'; MAX_FIELD_SECTION_BYTES - 300];
    assert!(read(&good_and(&[("a", &value[..value.len() - 200])])).is_ok());
    let mut two = section(&[("a", &value)]);
    two.extend_from_slice(&section(&[("b", &[b'y'; 250])])[2..]);
    assert!(two.len() <= MAX_FIELD_SECTION_BYTES);
    assert_eq!(read(&frame(1, &two)).err(), TOO_LARGE);
}

#[test]
fn a_huffman_bomb_stops_at_the_bound() {
    // '0' is five zero bits: 16 KiB decode to 26 KB.
    let mut bomb = vec![0, 0, 0x21, b'a'];
    super::prefixed(0x80, 0x7f, 16_000, &mut bomb);
    bomb.extend(vec![0; 16_000]);
    let mut scratch = Wiped::new();
    let fault = RequestReader::default().push(&frame(1, &bomb), &mut scratch);
    assert_eq!(fault.err(), TOO_LARGE);
    assert!(scratch.capacity() <= MAX_FIELD_SECTION_BYTES);
}

#[test]
fn a_giant_frame_ends_at_its_header() {
    for kind in [0x1, GREASE] {
        let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
        let start = if kind == 1 { Vec::new() } else { good_and(&[]) };
        let fault = reader.push(&[start, declared(kind, 1 << 40)].concat(), &mut scratch);
        assert!(fault.is_err(), "{kind:#x}");
        for _ in 0..1024 {
            assert_eq!(reader.push(&[0; 1024], &mut scratch), fault);
        }
        assert_eq!(reader.held_bytes(), 0);
    }
    for kind in [0x4, 0x7, 0xd, GREASE, 0xf_0700] {
        let settings: &[u8] = if kind == 4 { &[0] } else { &[0, 4, 0] };
        let mut reader = UniReader::default();
        let bytes = [settings, &declared(kind, 1 << 40)].concat();
        assert_eq!(reader.push(&bytes, &mut PeerStreams::default()), Err(OVERLOAD), "{kind:#x}");
        assert_eq!(reader.held_bytes(), 0);
    }
}

#[test]
fn idle_frames_of_a_request_stream_run_out() {
    let overload = Some(Fault::Stream(Code::ExcessiveLoad));
    for idle in [frame(GREASE, b""), frame(0, b"")] {
        let most = MAX_IDLE_FRAMES_PER_STREAM as usize;
        assert!(read(&[good_and(&[]), idle.repeat(most)].concat()).is_ok());
        assert_eq!(read(&[good_and(&[]), idle.repeat(most + 1)].concat()).err(), overload);
    }
    let half = frame(GREASE, &vec![0; MAX_SKIPPED_BYTES_PER_STREAM as usize / 2]);
    assert!(read(&[good_and(&[]), half.repeat(2)].concat()).is_ok());
    assert_eq!(read(&[half.repeat(2), frame(GREASE, b"x")].concat()).err(), overload);
}

#[test]
fn control_frames_that_serve_no_request_run_out() {
    for idle in [frame(0xd, &[0]), frame(0x7, &[0]), frame(GREASE, b""), frame(0xf_0700, &[0, b'u'])] {
        let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
        reader.push(&[0, 4, 0], &mut peer).unwrap();
        let pushed = (0..1_000_000).position(|_| reader.push(&idle, &mut peer) == Err(OVERLOAD));
        assert_eq!(pushed, Some(HOUSEKEEPING_BUDGET_FRAMES as usize - 1));
    }
}

#[test]
fn qpack_instructions_draw_on_the_same_budget() {
    for (stream_type, instruction) in [(2, 0x20), (3, 0x44)] {
        let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
        reader.push(&[stream_type], &mut peer).unwrap();
        let most = vec![instruction; HOUSEKEEPING_BUDGET_FRAMES as usize];
        assert_eq!(reader.push(&most, &mut peer), Ok(Verdict::Continue));
        assert_eq!(reader.push(&[instruction], &mut peer), Err(OVERLOAD));
    }
}

#[test]
fn requests_earn_their_own_control_frames() {
    let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
    reader.push(&[0, 4, 0], &mut peer).unwrap();
    for _ in 0..10_000 {
        reader.push(&frame(0xf_0700, &[0, b'u']), &mut peer).unwrap();
        peer.request_completed();
    }
    let saved = (0..1000).position(|_| reader.push(&frame(GREASE, b""), &mut peer).is_err());
    assert_eq!(saved, Some(HOUSEKEEPING_BUDGET_FRAMES as usize), "no more than the budget");
}

#[test]
fn streams_of_unknown_type_are_refused_and_run_out() {
    let mut peer = PeerStreams::default();
    let grease = [0x40, 0x21 + 0x1f];
    let mut refused = 0;
    let fault = loop {
        match UniReader::default().push(&grease, &mut peer) {
            Ok(verdict) => assert_eq!(verdict, Verdict::Refuse),
            Err(fault) => break fault,
        }
        refused += 1;
    };
    assert_eq!((fault, refused), (OVERLOAD, MAX_REFUSED_STREAMS));
    let mut peer = PeerStreams::default();
    let closed = (0..1000).position(|_| UniReader::default().closed(&mut peer).is_err());
    assert_eq!(closed, Some(MAX_REFUSED_STREAMS as usize), "also without a type");
}
