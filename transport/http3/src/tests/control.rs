use super::super::tests::{declared, frame, read_uni};
use super::super::uni::{PeerStreams, UniReader, Verdict};
use super::*;

fn after_settings(more: &[Vec<u8>]) -> Result<Verdict, Fault> {
    read_uni(&[&[0, 4, 0], more.concat().as_slice()].concat())
}

fn settings(payload: &[u8]) -> Result<Verdict, Fault> {
    read_uni(&[&[0], frame(kind::SETTINGS, payload).as_slice()].concat())
}

fn closed(code: Code) -> Result<Verdict, Fault> {
    Err(Fault::Connection(code))
}

#[test]
fn our_own_opening_is_one_we_would_accept() {
    assert_eq!(opening()[..2], [0x00, 0x04]);
    assert_eq!(opening()[2] as usize, opening().len() - 3);
    assert_eq!(opening()[3..8], [0x06, 0x80, 0x00, 0x40, 0x00], "16 KiB of fields");
    assert_eq!(read_uni(&opening()), Ok(Verdict::Continue));
    assert_eq!(setting::GREASE % 0x1f, 0x21 % 0x1f);
}

#[test]
fn goaway_names_a_stream() {
    assert_eq!(goaway(0), [0x07, 0x01, 0x00]);
    assert_eq!(goaway(256), [0x07, 0x02, 0x41, 0x00]);
}

#[test]
fn only_settings_may_come_first() {
    for kind in [0x0, 0x1, 0x2, 0x3, 0x5, 0x7, 0xd, 0x21, 0xf_0700] {
        let bytes = [&[0], frame(kind, &[0]).as_slice()].concat();
        assert_eq!(read_uni(&bytes), closed(Code::MissingSettings), "{kind:#x}");
    }
}

#[test]
fn frames_of_other_streams_and_of_http2_are_unexpected() {
    for kind in [0x0, 0x1, 0x2, 0x4, 0x5, 0x6, 0x8, 0x9] {
        assert_eq!(after_settings(&[frame(kind, &[])]), closed(Code::FrameUnexpected), "{kind:#x}");
    }
}

#[test]
fn settings_are_checked() {
    assert_eq!(
        settings(&[0x01, 0x40, 0x64, 0x07, 0x10, 0x33, 0x01, 0x40, 0x40, 0x05]),
        Ok(Verdict::Continue)
    );
    for id in [0x0, 0x2, 0x3, 0x4, 0x5] {
        assert_eq!(settings(&[id, 0]), closed(Code::SettingsError), "{id:#x}");
    }
    assert_eq!(settings(&[0x06, 0x01, 0x06, 0x01]), closed(Code::SettingsError), "twice");
    assert_eq!(settings(&[0x08, 0x02]), closed(Code::SettingsError), "neither on nor off");
    assert_eq!(settings(&[0x33, 0x02]), closed(Code::SettingsError));
    assert_eq!(settings(&[0x06]), closed(Code::FrameError), "no value");
    assert_eq!(settings(&[0x06, 0x40]), closed(Code::FrameError), "half a value");
    let many = |count: u8| (0..count).flat_map(|id| [0x40, 0x40 + id, 0]).collect::<Vec<u8>>();
    assert_eq!(settings(&many(32)), Ok(Verdict::Continue));
    assert_eq!(settings(&many(33)), closed(Code::ExcessiveLoad));
}

#[test]
fn ids_go_one_way() {
    let goaway = |id| frame(kind::GOAWAY, &[id]);
    let max_push_id = |id| frame(kind::MAX_PUSH_ID, &[id]);
    assert_eq!(after_settings(&[goaway(9), goaway(9), goaway(0)]), Ok(Verdict::Continue));
    assert_eq!(after_settings(&[goaway(8), goaway(9)]), closed(Code::IdError));
    let rising = [max_push_id(0), max_push_id(0), max_push_id(9)];
    assert_eq!(after_settings(&rising), Ok(Verdict::Continue));
    assert_eq!(after_settings(&[max_push_id(9), max_push_id(8)]), closed(Code::IdError));
    let cancel = frame(kind::CANCEL_PUSH, &[0]);
    assert_eq!(after_settings(&[max_push_id(9), cancel]), closed(Code::IdError), "none promised");
}

#[test]
fn a_payload_that_is_not_one_integer_is_a_frame_error() {
    for kind in [kind::GOAWAY, kind::MAX_PUSH_ID, kind::CANCEL_PUSH] {
        for payload in [&[][..], &[0x40], &[0, 0], &[0x40, 0, 0]] {
            assert_eq!(after_settings(&[frame(kind, payload)]), closed(Code::FrameError));
        }
    }
}

#[test]
fn unknown_frames_and_priorities_are_skipped() {
    let frames = [
        frame(0x21, b"grease"),
        frame(kind::PRIORITY_UPDATE_REQUEST, b"\x00u=3,i"),
        frame(kind::PRIORITY_UPDATE_PUSH, b"\x00u=3"),
        frame(0x40, &[0; MAX_CONTROL_FRAME_BYTES]),
        frame(kind::GOAWAY, &[0]),
    ];
    assert_eq!(after_settings(&frames), Ok(Verdict::Continue));
    let too_long = declared(0x40, MAX_CONTROL_FRAME_BYTES as u64 + 1);
    assert_eq!(after_settings(&[too_long]), closed(Code::ExcessiveLoad));
}

#[test]
fn each_critical_stream_may_be_opened_once() {
    for stream_type in [0, 2, 3] {
        let mut peer = PeerStreams::default();
        assert_eq!(UniReader::default().push(&[stream_type], &mut peer), Ok(Verdict::Continue));
        let second = UniReader::default().push(&[stream_type], &mut peer);
        assert_eq!(second, closed(Code::StreamCreationError));
    }
    assert_eq!(read_uni(&[1, 0]), closed(Code::StreamCreationError), "only a server pushes");
    assert_eq!(read_uni(&[0x40, 0x40, 1, 2, 3]), Ok(Verdict::Refuse), "unknown");
}

#[test]
fn qpack_streams_have_one_instruction_left() {
    assert_eq!(read_uni(&[2, 0x20, 0x20]), Ok(Verdict::Continue));
    for instruction in [0x21, 0x3f, 0x00, 0x40, 0x80, 0xc1] {
        assert_eq!(read_uni(&[2, instruction]), closed(Code::QpackEncoderStreamError));
    }
    let longest_id = [&[3, 0x7f][..], &[0xff; 8], &[0x3f, 0x44]].concat();
    assert_eq!(read_uni(&longest_id), Ok(Verdict::Continue));
    let wrong = closed(Code::QpackDecoderStreamError);
    assert_eq!(read_uni(&[&[3, 0x7f][..], &[0xff; 9]].concat()), wrong, "an endless id");
    for instruction in [0x00, 0x01, 0x3f, 0x80, 0xff] {
        assert_eq!(read_uni(&[3, instruction]), wrong, "{instruction:#x}");
    }
}

#[test]
fn a_frame_is_held_while_it_arrives_and_no_longer() {
    let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
    assert_eq!(reader.push(&[0, 4, 2, 7], &mut peer), Ok(Verdict::Continue));
    assert!((1..=MAX_CONTROL_FRAME_BYTES).contains(&reader.held_bytes()), "one octet of two");
    assert_eq!(reader.push(&[0], &mut peer), Ok(Verdict::Continue));
    assert_eq!(reader.held_bytes(), 0);
}
