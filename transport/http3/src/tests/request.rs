//! The life of a request stream: order of frames, head before body, lengths.

use super::super::error::{Code, Fault, Refused};
use super::super::head::{Field, Known, Method};
use super::super::limits::{MAX_BODY_BYTES, MAX_FIELD_SECTION_BYTES};
use super::super::message::RequestReader;
use super::super::wiped::Wiped;
use super::{declared, frame, good_and, read};

const GREASE: u64 = 0x1f * 3 + 0x21;

fn push(bytes: &[u8]) -> Result<(), Fault> {
    RequestReader::default().push(bytes, &mut Wiped::new())
}

#[test]
fn a_request_is_read_with_what_the_service_needs_of_it() {
    let fields = [
        ("authorization", &b"Bearer ak_live_x"[..]),
        ("origin", b"https://shop.example"),
        ("origin", b"https://evil.example"),
        ("content-length", b"11"),
        ("cookie", b"dropped=1"),
    ];
    let request = read(&[good_and(&fields), frame(0, b"{\"a\":"), frame(0, b"\"bcd\"}")].concat());
    let request = request.unwrap();
    assert_eq!(request.head.method(), Method::Post);
    assert_eq!(request.head.path(), "/v1/verifications");
    assert_eq!(request.head.query(), None);
    assert_eq!(request.head.authority(), "codes.example");
    assert_eq!(request.head.content_length(), Some(11));
    assert!(request.head.get(Known::Authorization) == Field::One(b"Bearer ak_live_x"));
    assert!(request.head.get(Known::Origin) == Field::Many);
    assert!(request.head.get(Known::EarlyData) == Field::Absent);
    assert_eq!(request.body.as_slice(), br#"{"a":"bcd"}"#);
}

#[test]
fn the_head_can_be_judged_before_the_body_comes() {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    let headers = good_and(&[("content-length", b"2")]);
    let (last, start) = headers.split_last().unwrap();
    reader.push(start, &mut scratch).unwrap();
    assert!(reader.head().is_none());
    reader.push(&[*last], &mut scratch).unwrap();
    assert!(reader.head().is_some());
    reader.push(&frame(0, b"{}"), &mut scratch).unwrap();
    assert!(reader.fin().is_ok());
}

#[test]
fn debug_output_holds_nothing_of_the_request() {
    let fields = [("authorization", &b"Bearer sekret"[..]), ("idempotency-key", b"sekret")];
    let bytes = [good_and(&fields), frame(0, b"sekret")].concat();
    let mut reader = RequestReader::default();
    reader.push(&bytes, &mut Wiped::new()).unwrap();
    let mut halfway = RequestReader::default();
    halfway.push(&bytes[..bytes.len() / 2], &mut Wiped::new()).unwrap();
    let shown = format!("{reader:?} {halfway:?} {:?}", reader.head().unwrap());
    let request = format!("{:?}", read(&bytes).unwrap());
    for secret in ["sekret", "codes.example", "verifications", "115, 101, 107"] {
        assert!(!shown.contains(secret) && !request.contains(secret), "{shown} {request}");
    }
    assert!(shown.contains("Authorization"));
}

#[test]
fn a_body_longer_than_its_content_length_resets_the_stream() {
    let start = good_and(&[("content-length", b"5")]);
    let malformed = Err(Fault::Stream(Code::MessageError));
    assert_eq!(push(&[start.clone(), frame(0, &[b'x'; 50])].concat()), malformed);
    assert_eq!(push(&[start.clone(), declared(0, 6)].concat()), malformed, "as declared, at once");
    let in_two = [start, frame(0, b"12345"), declared(0, 1)].concat();
    assert_eq!(push(&in_two), malformed);
}

#[test]
fn a_body_shorter_than_its_content_length_resets_the_stream() {
    let start = good_and(&[("content-length", b"5")]);
    let malformed = Some(Fault::Stream(Code::MessageError));
    assert_eq!(read(&start).err(), malformed);
    assert_eq!(read(&[start, frame(0, b"1234")].concat()).err(), malformed);
}

#[test]
fn a_body_over_its_bound_is_answered_with_413() {
    let too_large = Err(Fault::Answer(Refused::BodyTooLarge));
    let announced = good_and(&[("content-length", b"8193")]);
    assert_eq!(push(&announced), too_large, "before any DATA");
    let start = good_and(&[]);
    assert_eq!(push(&[start.clone(), declared(0, 1 << 40)].concat()), too_large);
    let full = frame(0, &vec![b'x'; MAX_BODY_BYTES]);
    assert!(read(&[start.clone(), full.clone()].concat()).is_ok());
    assert_eq!(push(&[start, full, declared(0, 1)].concat()), too_large);
}

#[test]
fn a_head_over_its_bound_is_answered_with_431_and_not_buffered() {
    let too_large = Err(Fault::Answer(Refused::HeadersTooLarge));
    let longest = MAX_FIELD_SECTION_BYTES as u64;
    assert_eq!(push(&declared(1, longest)), Ok(()));
    assert_eq!(push(&declared(1, longest + 1)), too_large);
    assert_eq!(push(&[good_and(&[]), declared(1, longest + 1)].concat()), too_large, "trailers");
}

#[test]
fn frames_out_of_order_close_the_connection() {
    let start = good_and(&[]);
    let trailers = frame(1, &[0, 0]);
    let unexpected = Some(Fault::Connection(Code::FrameUnexpected));
    for kind in [0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0x9, 0xd, 0xf_0700, 0xf_0701] {
        assert_eq!(read(&frame(kind, &[0])).err(), unexpected, "{kind:#x} first");
        assert_eq!(read(&[start.clone(), frame(kind, &[])].concat()).err(), unexpected);
    }
    for after in [frame(0, b"x"), trailers.clone()] {
        let bytes = [start.clone(), trailers.clone(), after].concat();
        assert_eq!(read(&bytes).err(), unexpected, "after trailers");
    }
}

#[test]
fn unknown_frames_may_stand_anywhere() {
    let grease = frame(GREASE, b"ignored");
    let parts = [&good_and(&[]), &frame(0, b"{}"), &frame(1, &[0, 0])];
    let mut bytes = grease.clone();
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(&grease);
    }
    assert_eq!(read(&bytes).unwrap().body.as_slice(), b"{}");
}

#[test]
fn a_stream_that_ends_within_a_frame_closes_the_connection() {
    let bytes = [good_and(&[]), frame(0, b"{}"), frame(GREASE, b"x"), frame(1, &[0, 0])].concat();
    let mut ends = vec![0, good_and(&[]).len()];
    ends.extend([ends[1] + 4, ends[1] + 8, bytes.len()]);
    for end in 0..bytes.len() {
        let fault = read(&bytes[..end]).err();
        let expected = match end {
            0 => Some(Fault::Stream(Code::RequestIncomplete)),
            _ if ends.contains(&end) => None,
            _ => Some(Fault::Connection(Code::FrameError)),
        };
        assert_eq!(fault, expected, "cut at {end}");
    }
    let no_headers = frame(GREASE, b"x");
    assert_eq!(read(&no_headers).err(), Some(Fault::Stream(Code::RequestIncomplete)));
}

#[test]
fn a_fault_is_final() {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    let fault = reader.push(&frame(0, b"early"), &mut scratch);
    assert!(fault.is_err());
    assert_eq!(reader.push(&good_and(&[]), &mut scratch), fault);
    assert_eq!(reader.fin().map(|_| ()), fault);
}

#[test]
fn the_scratch_buffer_comes_back_empty_and_clean() {
    let mut scratch = Wiped::new();
    // `authorization` by reference, its value in Huffman code: "www.example.com", RFC 7541 C.4.1.
    let mut section = vec![0, 0, 0x5f, 84 - 15, 0x8c];
    section.extend([0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]);
    let _ = RequestReader::default().push(&frame(1, &section), &mut scratch);
    assert!(scratch.capacity() > 0, "it was used");
    assert!(scratch.is_empty());
    assert!(scratch.spare().iter().all(|byte| *byte == 0));
}
