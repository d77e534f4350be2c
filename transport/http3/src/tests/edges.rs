//! Bounds to the byte, in the contract's own numbers, and what is shown of what was read.

use super::super::error::{Code, Fault, Refused};
use super::super::limits::{HOUSEKEEPING_BUDGET_FRAMES, HOUSEKEEPING_PER_REQUEST_FRAMES};
use super::super::message::RequestReader;
use super::super::uni::{PeerStreams, UniReader};
use super::super::wiped::Wiped;
use super::{declared, frame, good_and, headers, read};

const GREASE: u64 = 0x1f * 3 + 0x21;

#[test]
fn a_body_of_eight_kibibytes_is_taken_and_not_a_byte_more() {
    let with_length = |length: &str| good_and(&[("content-length", length.as_bytes())]);
    for head in [good_and(&[]), with_length("8192")] {
        let request = read(&[head, frame(0, &[b'x'; 8_192])].concat()).unwrap();
        assert_eq!(request.body.len(), 8_192);
    }
    let too_large = Some(Fault::Answer(Refused::BodyTooLarge));
    assert_eq!(read(&[good_and(&[]), frame(0, &[b'x'; 8_193])].concat()).err(), too_large);
    assert_eq!(read(&with_length("8193")).err(), too_large);
}

#[test]
fn sixty_four_kibibytes_of_unknown_frames_are_skipped_and_not_a_byte_more() {
    let most = frame(GREASE, &vec![0; 65_536]);
    assert!(read(&[good_and(&[]), most.clone()].concat()).is_ok());
    let one_more = [good_and(&[]), most, frame(GREASE, b"x")].concat();
    assert_eq!(read(&one_more).err(), Some(Fault::Stream(Code::ExcessiveLoad)));
}

#[test]
fn a_field_of_the_static_table_counts_as_long_as_it_is() {
    // 60 times the longest: 23 bytes of name and 53 of value.
    let many = [super::section(&super::GOOD), [0xff, 85 - 63].repeat(60)].concat();
    assert!(read(&frame(1, &many)).is_ok());
}

#[test]
fn a_request_earns_frames_for_a_connection_that_has_none_left() {
    let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
    reader.push(&[0, 4, 0], &mut peer).unwrap();
    let idle = frame(GREASE, b"");
    // SETTINGS was the first.
    reader.push(&idle.repeat(HOUSEKEEPING_BUDGET_FRAMES as usize - 1), &mut peer).unwrap();
    peer.request_completed();
    let earned = (0..1_000).position(|_| reader.push(&idle, &mut peer).is_err());
    assert_eq!(earned, Some(HOUSEKEEPING_PER_REQUEST_FRAMES as usize));
}

#[test]
fn what_a_reader_holds_is_what_it_was_given_and_could_not_use_yet() {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    let head = good_and(&[("origin", &[b'x'; 300])]);
    reader.push(&head[..200], &mut scratch).unwrap();
    let held = reader.held_bytes();
    assert!((190..=512).contains(&held), "part of a head: {held}");
    reader.push(&head[200..], &mut scratch).unwrap();
    let of_head = reader.held_bytes();
    reader.push(&declared(0, 4_000), &mut scratch).unwrap();
    reader.push(&[b'x'; 3_000], &mut scratch).unwrap();
    let held = reader.held_bytes() - of_head;
    assert!((3_000..=4_096).contains(&held), "part of a body: {held}");
}

#[test]
fn debug_shows_shapes() {
    let request = read(&[good_and(&[("origin", b"https://a.example")]), frame(0, b"{}")].concat()).unwrap();
    assert_eq!(
        format!("{:?}", request.head),
        "Head { method: Post, path_bytes: 17, content_length: None, fields: [Origin] }"
    );
    let shown = format!("{request:?}");
    assert!(shown.starts_with("Request { head: Head {") && shown.contains("2 bytes"), "{shown}");
}

#[test]
fn every_method_is_told_from_the_others() {
    let method = |method: &str| {
        let mut fields = super::GOOD;
        fields[0].1 = method.as_bytes();
        format!("{:?}", read(&headers(&fields)).unwrap().head.method())
    };
    let methods = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH", "get"].map(method);
    assert_eq!(methods, ["Get", "Head", "Post", "Delete", "Options", "Other", "Other"]);
}
