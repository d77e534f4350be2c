//! HTTP/3 by hand, the least that asks and understands: encoding once, and reading the status of an answer.
//! The measuring client must cost little, or the server would mostly wait for it.

/// Control stream: its type, and an empty SETTINGS frame (so a QPACK table of 0).
pub const CONTROL: [u8; 3] = [0x00, 0x04, 0x00];

const DATA: u64 = 0;
const HEADERS: u64 = 1;

/// One POST: HEADERS and DATA, ready for a stream.
#[must_use]
pub fn post(authority: &str, path: &[&[u8]], key: &str, body: &[&[u8]]) -> Vec<u8> {
    post_from(None, authority, path, key, body)
}

/// The same by a page of this origin.
#[must_use]
pub fn post_from(
    origin: Option<&str>,
    authority: &str,
    path: &[&[u8]],
    key: &str,
    body: &[&[u8]],
) -> Vec<u8> {
    let length = |parts: &[&[u8]]| parts.iter().map(|part| part.len()).sum::<usize>();
    let mut fields = Vec::with_capacity(160);
    // Required insert count 0, base 0, then :method POST and :scheme https from the static table.
    fields.extend_from_slice(&[0x00, 0x00, 0xc0 | 20, 0xc0 | 23]);
    literal(&mut fields, 0, &[authority.as_bytes()]);
    literal(&mut fields, 1, path);
    literal(&mut fields, 84, &[b"Bearer ", key.as_bytes()]);
    // content-type: application/json
    fields.push(0xc0 | 46);
    literal(&mut fields, 4, &[length(body).to_string().as_bytes()]);
    if let Some(origin) = origin {
        literal(&mut fields, 90, &[origin.as_bytes()]);
    }
    let mut out = Vec::with_capacity(fields.len() + length(body) + 8);
    frame(&mut out, HEADERS, fields.len());
    out.extend_from_slice(&fields);
    frame(&mut out, DATA, length(body));
    body.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A literal value under a name of the static table, no Huffman.
fn literal(out: &mut Vec<u8>, name: usize, value: &[&[u8]]) {
    integer(out, 0x50, 4, name);
    integer(out, 0x00, 7, value.iter().map(|part| part.len()).sum());
    value.iter().for_each(|part| out.extend_from_slice(part));
}

/// An integer with a prefix of `bits` bits (RFC 7541, 5.1).
fn integer(out: &mut Vec<u8>, flags: u8, bits: u32, mut value: usize) {
    let full = (1 << bits) - 1;
    if value < full {
        out.push(flags | value as u8);
        return;
    }
    out.push(flags | full as u8);
    value -= full;
    while value >= 128 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn frame(out: &mut Vec<u8>, kind: u64, length: usize) {
    out.push(kind as u8);
    match length {
        0..64 => out.push(length as u8),
        _ => out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
    }
}

/// Status and body of a whole answer; `None` for what is no answer.
#[must_use]
pub fn answer(mut bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (mut code, mut body) = (None, &[][..]);
    while !bytes.is_empty() {
        let kind = varint(&mut bytes)?;
        let length = usize::try_from(varint(&mut bytes)?).ok()?;
        let (payload, rest) = bytes.split_at_checked(length)?;
        match (kind, code) {
            (HEADERS, None) => code = Some(status(payload)?),
            // The servers measured here write one DATA frame.
            (DATA, Some(_)) => body = payload,
            _ => {}
        }
        bytes = rest;
    }
    Some((code?, body))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, _) = bytes.split_first()?;
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    *bytes = rest;
    Some(number[1..].iter().fold(u64::from(first & 0x3f), |sum, &byte| sum << 8 | u64::from(byte)))
}

/// `:status`, which must be the first field: indexed, or a literal under one of the table's names.
fn status(section: &[u8]) -> Option<u16> {
    const TABLE: [(u8, u16); 14] = [
        (24, 103),
        (25, 200),
        (26, 304),
        (27, 404),
        (28, 503),
        (63, 100),
        (64, 204),
        (65, 206),
        (66, 302),
        (67, 400),
        (68, 403),
        (69, 421),
        (70, 425),
        (71, 500),
    ];
    let named = |index: u8| TABLE.iter().find(|(known, _)| *known == index).map(|&(_, status)| status);
    let (&first, rest) = section.get(2..)?.split_first()?;
    match first >> 4 {
        // Indexed, static; 63 and up continue in the next byte.
        0xc..=0xf if first == 0xff => named(63 + rest.first()?),
        0xc..=0xf => named(first & 0x3f),
        // Literal with a static name, never-indexed or not; every :status index needs the second byte.
        0x5 | 0x7 if first & 0x0f == 0x0f => {
            named(15 + rest.first()?)?;
            let (&length, value) = rest.get(1..)?.split_first()?;
            let text = value.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 { std::str::from_utf8(text).ok()?.parse().ok() } else { digits(text) }
        }
        _ => None,
    }
}

/// Three Huffman-coded digits (RFC 7541, appendix B): 0–2 in five bits, 3–9 in six.
fn digits(coded: &[u8]) -> Option<u16> {
    let mut bits = coded.iter().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte));
    let mut left = u32::try_from(coded.len()).ok().filter(|length| *length <= 3)? * 8;
    bits <<= 32 - left;
    let mut number = 0;
    for _ in 0..3 {
        let (digit, width) = match bits >> 27 {
            short @ 0..=2 => (short, 5),
            _ => ((bits >> 26).checked_sub(0b01_1001).map(|above| above + 3).filter(|digit| *digit < 10)?, 6),
        };
        number = number * 10 + digit;
        bits <<= width;
        left = left.checked_sub(width)?;
    }
    (left < 8).then_some(u16::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer around a field section, with an unknown frame before it.
    fn around(section: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x21, 0x01, 0xff];
        frame(&mut bytes, HEADERS, section.len());
        bytes.extend_from_slice(section);
        frame(&mut bytes, DATA, body.len());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn every_way_to_write_a_status_is_understood() {
        let cases: [(&[u8], u16); 6] = [
            (&[0, 0, 0xd9], 200),
            (&[0, 0, 0xff, 0x08], 500),
            (&[0, 0, 0x5f, 0x09, 3, b'2', b'0', b'2'], 202),
            (&[0, 0, 0x7f, 0x09, 3, b'4', b'2', b'9'], 429),
            (&[0, 0, 0x5f, 0x09, 0x82, 0x10, 0x05], 202),
            // 011010 00010 011111, seventeen bits and seven of padding.
            (&[0, 0, 0x5f, 0x09, 0x83, 0b0110_1000, 0b0100_1111, 0b1111_1111], 429),
        ];
        for (section, status) in cases {
            assert_eq!(answer(&around(section, b"{}")), Some((status, &b"{}"[..])), "{section:x?}");
        }
    }

    #[test]
    fn a_cut_answer_is_no_answer() {
        let whole = around(&[0, 0, 0xd9], &[b'x'; 100]);
        for end in 1..whole.len() {
            assert_ne!(answer(&whole[..end]).map(|(_, body)| body.len()), Some(100), "cut at {end}");
        }
        assert_eq!(answer(&whole).map(|(status, body)| (status, body.len())), Some((200, 100)));
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn a_request_is_framed_as_the_rfc_has_it() {
        let request = post("localhost:1", &[b"/v1/", b"x"], "k", &[b"{}"]);
        let mut section = vec![0, 0, 0xd4, 0xd7, 0x50, 11];
        section.extend_from_slice(b"localhost:1");
        section.extend_from_slice(&[0x51, 5]);
        section.extend_from_slice(b"/v1/x");
        section.extend_from_slice(&[0x5f, 69, 8]);
        section.extend_from_slice(b"Bearer k");
        section.extend_from_slice(&[0xee, 0x54, 1, b'2']);
        let mut whole = vec![1, section.len() as u8];
        whole.extend_from_slice(&section);
        whole.extend_from_slice(&[0, 2, b'{', b'}']);
        assert_eq!(request, whole);
        // RFC 9204, appendix A: 90 is `origin`.
        let from = post_from(Some("https://x.test"), "localhost:1", &[b"/v1/", b"x"], "k", &[b"{}"]);
        assert!(from.windows(17).any(|field| field == b"\x5f\x4b\x0ehttps://x.test"), "{from:x?}");
    }
}
