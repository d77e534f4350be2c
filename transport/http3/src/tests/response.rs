use super::super::limits::MAX_FIELD_SECTION_BYTES;
use super::super::wiped::Wiped;
use super::*;

/// Frames of `bytes` as type and payload, read without the frame reader.
fn frames(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let kind = varint::decode(&mut bytes).unwrap();
        let length = varint::decode(&mut bytes).unwrap() as usize;
        frames.push((kind, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    frames
}

fn fields(section: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    qpack::decode(section, &mut Wiped::new(), |name, value| {
        fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        Ok(())
    })
    .unwrap();
    fields
}

#[test]
fn an_answer_is_one_headers_and_one_data_frame() {
    let mut out = b"what was there".to_vec();
    let given = [("content-type", &b"application/json"[..]), ("x-request-id", b"req_1")];
    encode(
        200,
        |write| given.iter().for_each(|(name, value)| write(name, value)),
        b"{\"valid\":true}",
        &mut out,
    );
    let bytes = out.strip_prefix(b"what was there").unwrap();
    let frames = frames(bytes);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].0, kind::HEADERS);
    let expected = [(":status", &b"200"[..]), given[0], given[1]];
    assert_eq!(fields(&frames[0].1), expected.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(frames[1], (kind::DATA, b"{\"valid\":true}".to_vec()));
}

#[test]
fn an_answer_without_a_body_is_one_frame_and_small() {
    let mut out = Vec::new();
    encode(204, |write| write("cache-control", b"no-store"), b"", &mut out);
    assert_eq!(out, [0x01, 0x40, 0x05, 0, 0, 0xff, 0x01, 0xc0 | 40]);
}

#[test]
fn every_status_is_spelled() {
    for status in 100..=599 {
        let mut out = Vec::new();
        encode(status, |_| (), b"", &mut out);
        let frames = frames(&out);
        assert_eq!(fields(&frames[0].1), [(":status".into(), status.to_string().into_bytes())]);
    }
}

#[test]
fn a_section_over_two_bytes_of_length_still_has_the_right_one() {
    for length in [16_000, 16_320, 16_370, 16_383, 16_384, 20_000] {
        let value = vec![b'v'; length];
        let mut out = Vec::new();
        encode(200, |write| write("a", &value), b"body", &mut out);
        let frames = frames(&out);
        assert!(frames[0].1.ends_with(&value) && frames[1].1 == b"body");
        if length < MAX_FIELD_SECTION_BYTES - 80 {
            assert_eq!(fields(&frames[0].1).len(), 2);
        }
    }
}
