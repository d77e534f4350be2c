//! The same bytes give the same result however they are cut; any bytes give some result, within
//! the bounds.

use proptest::prelude::*;

use super::super::error::Fault;
use super::super::head::{Field, Known};
use super::super::limits::{MAX_BODY_BYTES, MAX_CONTROL_FRAME_BYTES, MAX_FIELD_SECTION_BYTES};
use super::super::message::RequestReader;
use super::super::uni::{PeerStreams, UniReader};
use super::super::wiped::Wiped;
use super::{Seeded, frame, good_and, read_in_pieces};

/// Everything a request says, for comparison.
type Spelled = (String, Option<String>, String, Vec<Option<Vec<u8>>>, Vec<u8>);

fn outcome(pieces: &[&[u8]]) -> Result<Spelled, Fault> {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    for piece in pieces {
        let pushed = reader.push(piece, &mut scratch);
        assert!(reader.held_bytes() <= MAX_FIELD_SECTION_BYTES + MAX_BODY_BYTES);
        assert!(scratch.is_empty() && scratch.capacity() <= MAX_FIELD_SECTION_BYTES);
        pushed?;
    }
    let request = reader.fin()?;
    let fields = Known::ALL.map(|known| match request.head.get(known) {
        Field::One(value) => Some(value.to_vec()),
        Field::Absent | Field::Many => None,
    });
    Ok((
        request.head.path().to_owned(),
        request.head.query().map(str::to_owned),
        request.head.authority().to_owned(),
        fields.to_vec(),
        request.body.as_slice().to_vec(),
    ))
}

fn cut(bytes: &[u8], cuts: &[usize]) -> Result<Spelled, Fault> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
    outcome(&pieces)
}

fn full_request() -> Vec<u8> {
    let fields = [
        ("authorization", &b"Bearer ak_live_0123456789"[..]),
        ("content-type", b"application/json"),
        ("content-length", b"9"),
    ];
    [
        frame(0x21, b"grease"),
        good_and(&fields),
        frame(0, b"{\"a\""),
        frame(0, b""),
        frame(0, b":\"b\"}"),
        frame(0x40, b""),
        frame(1, &[0, 0, 0xdd]),
    ]
    .concat()
}

#[test]
fn a_request_cut_in_three_anywhere_is_the_same_request() {
    let bytes = full_request();
    let whole = outcome(&[&bytes]);
    assert!(whole.is_ok());
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            assert_eq!(cut(&bytes, &[first, second]), whole);
        }
    }
}

proptest! {
    #[test]
    fn a_damaged_request_fails_alike_however_it_is_cut(
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        end in any::<usize>(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut bytes = full_request();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if end % 4 == 0 {
            bytes.truncate(end % bytes.len());
        }
        prop_assert_eq!(cut(&bytes, &cuts), outcome(&[&bytes]));
    }

    #[test]
    fn any_bytes_on_a_unidirectional_stream_fail_alike_however_they_are_cut(
        stream_type in 0u8..6,
        settings in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..400),
        size in 1usize..40,
    ) {
        let mut bytes = vec![stream_type];
        if settings {
            bytes.extend([4, 0]);
        }
        bytes.extend(noise);
        let whole = UniReader::default().push(&bytes, &mut PeerStreams::default());
        let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
        let pieces = bytes.chunks(size).try_fold(None, |_, piece| {
            let verdict = reader.push(piece, &mut peer);
            assert!(reader.held_bytes() <= MAX_CONTROL_FRAME_BYTES);
            verdict.map(Some)
        });
        prop_assert_eq!(pieces, whole.map(Some));
    }
}

/// 10^5 inputs: noise, noise within a HEADERS frame, and a good request with damage.
#[test]
fn a_hundred_thousand_seeded_inputs_do_no_harm() {
    let mut seeded = Seeded(0x9e37_79b9_7f4a_7c15);
    let good = full_request();
    let (mut served, mut failed) = (0, 0);
    for round in 0..100_000 {
        let noise: Vec<u8> = (0..seeded.below(96)).map(|_| seeded.next() as u8).collect();
        let bytes = match round % 3 {
            0 => noise,
            1 => frame(1, &[&[0, 0], noise.as_slice()].concat()),
            _ => {
                let mut bytes = good.clone();
                for _ in 0..=seeded.below(3) {
                    let at = seeded.below(bytes.len());
                    bytes[at] = seeded.next() as u8;
                }
                bytes
            }
        };
        let cut_at = [seeded.below(bytes.len() + 1), seeded.below(bytes.len() + 1)];
        match cut(&bytes, &cut_at) {
            Ok(_) => served += 1,
            Err(_) => failed += 1,
        }
    }
    assert!(served > 1_000 && failed > 50_000, "{served} served, {failed} failed");
}

#[test]
fn one_byte_at_a_time_costs_no_more_memory() {
    let body = vec![b'x'; MAX_BODY_BYTES];
    let bytes = [good_and(&[("x", &[b'y'; 12_000])]), frame(0, &body)].concat();
    assert_eq!(read_in_pieces(&bytes, 1).unwrap().body.len(), MAX_BODY_BYTES);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert!(outcome(&pieces).is_ok());
}
