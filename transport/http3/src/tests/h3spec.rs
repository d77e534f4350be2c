//! The HTTP/3 and QPACK cases of kazu-yamamoto/h3spec, under its own titles.

use super::super::error::{Code, Fault};
use super::{GOOD, frame, good_and, headers, read, read_uni};

fn request(bytes: &[u8]) -> Option<Fault> {
    read(bytes).err()
}

fn uni(bytes: &[u8]) -> Option<Fault> {
    read_uni(bytes).err()
}

fn closed(code: Code) -> Option<Fault> {
    Some(Fault::Connection(code))
}

fn reset(code: Code) -> Option<Fault> {
    Some(Fault::Stream(code))
}

#[test]
fn every_http3_and_qpack_case_of_h3spec_gets_its_error() {
    let settings = |more: &[u8]| [&[0x00, 0x04, 0x00], more].concat();
    let cases = [
        (
            "MUST send H3_FRAME_UNEXPECTED if DATA is received before HEADERS [HTTP/3 4.1]",
            request(&frame(0, b"early")),
            closed(Code::FrameUnexpected),
        ),
        (
            "MUST send H3_MESSAGE_ERROR if a pseudo-header is duplicated [HTTP/3 4.1.1]",
            request(&good_and(&[(":method", b"POST")])),
            reset(Code::MessageError),
        ),
        (
            "MUST send H3_MESSAGE_ERROR if mandatory pseudo-header fields are absent [HTTP/3 4.1.3]",
            request(&headers(&GOOD[1..])),
            reset(Code::MessageError),
        ),
        (
            "MUST send H3_MESSAGE_ERROR if prohibited pseudo-header fields are present[HTTP/3 4.1.3]",
            request(&good_and(&[(":status", b"200")])),
            reset(Code::MessageError),
        ),
        (
            "MUST send H3_MESSAGE_ERROR if pseudo-header fields exist after fields [HTTP/3 4.1.3]",
            request(&headers(&[GOOD[0], GOOD[1], GOOD[2], ("accept", b"*/*"), GOOD[3]])),
            reset(Code::MessageError),
        ),
        (
            "MUST send H3_MISSING_SETTINGS if the first control frame is not SETTINGS [HTTP/3 6.2.1]",
            uni(&[0x00, 0x07, 0x01, 0x00]),
            closed(Code::MissingSettings),
        ),
        (
            "MUST send H3_FRAME_UNEXPECTED if a DATA frame is received on a control stream [HTTP/3 7.2.1]",
            uni(&settings(&frame(0, b"data"))),
            closed(Code::FrameUnexpected),
        ),
        (
            "MUST send H3_FRAME_UNEXPECTED if a HEADERS frame is received on a control stream [HTTP/3 7.2.2]",
            uni(&settings(&headers(&GOOD))),
            closed(Code::FrameUnexpected),
        ),
        (
            "MUST send H3_FRAME_UNEXPECTED if a second SETTINGS frame is received [HTTP/3 7.2.4]",
            uni(&settings(&[0x04, 0x00])),
            closed(Code::FrameUnexpected),
        ),
        (
            "MUST send H3_SETTINGS_ERROR if HTTP/2 settings are included [HTTP/3 7.2.4.1]",
            uni(&[0x00, 0x04, 0x02, 0x02, 0x01]),
            closed(Code::SettingsError),
        ),
        (
            "MUST send H3_FRAME_UNEXPECTED if CANCEL_PUSH is received in a request stream [HTTP/3 7.2.5]",
            request(&[good_and(&[]), frame(3, &[0])].concat()),
            closed(Code::FrameUnexpected),
        ),
        (
            "MUST send QPACK_DECOMPRESSION_FAILED if an invalid static table index exits in a field line representation [QPACK 3.1]",
            request(&frame(1, &[0, 0, 0xff, 99 - 63])),
            closed(Code::QpackDecompressionFailed),
        ),
        (
            "MUST send QPACK_ENCODER_STREAM_ERROR if a new dynamic table capacity value exceeds the limit [QPACK 4.1.3]",
            uni(&[0x02, 0x3f, 0xe1, 0x1f]),
            closed(Code::QpackEncoderStreamError),
        ),
        (
            "MUST send QPACK_DECODER_STREAM_ERROR if Insert Count Increment is 0 [QPACK 4.4.3]",
            uni(&[0x03, 0x00]),
            closed(Code::QpackDecoderStreamError),
        ),
    ];
    for (title, seen, expected) in cases {
        assert_eq!(seen, expected, "{title}");
    }
}

/// "MUST send H3_CLOSED_CRITICAL_STREAM if a control stream is closed [QPACK 4.2]"
#[test]
fn closing_a_critical_stream_closes_the_connection() {
    use super::{PeerStreams, UniReader};
    for opening in [&[0x00, 0x04, 0x00][..], &[0x00], &[0x02], &[0x03, 0x41]] {
        let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
        assert!(reader.push(opening, &mut peer).is_ok());
        assert_eq!(reader.closed(&mut peer).err(), closed(Code::ClosedCriticalStream));
    }
}
