//! HTTP/3 spelled by hand, for what no client sends or tells: hostile frames, and the GOAWAY off the wire.

/// A QUIC integer (RFC 9000, 16) in its longest form.
pub fn varint(value: u64) -> Vec<u8> {
    (value | 0b11 << 62).to_be_bytes().to_vec()
}

/// A frame of this type, with the length it declares, right or wrong.
pub fn frame(kind: u64, declared: u64, payload: &[u8]) -> Vec<u8> {
    [varint(kind), varint(declared), payload.to_vec()].concat()
}

/// A HEADERS frame with this field section.
pub fn headers(section: &[u8]) -> Vec<u8> {
    frame(1, section.len() as u64, section)
}

/// A field section with literal names and values.
pub fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0, 0];
    for (name, value) in fields {
        assert!(name.len() < 120 && value.len() < 120);
        out.push(0x27); // literal name, length of 7 and more
        out.push((name.len() as u8).wrapping_sub(7));
        if name.len() < 7 {
            out.truncate(out.len() - 2);
            out.push(0x20 | name.len() as u8);
        }
        out.extend_from_slice(name.as_bytes());
        out.push(value.len() as u8);
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// A request of few words.
pub const HEAD: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/healthz")];

/// Reads a QUIC integer (RFC 9000, 16) from the front; `None` until it is whole.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let (length, mut value) = (1 << (first >> 6), u64::from(first & 0x3f));
    for byte in bytes.get(1..length)? {
        value = value << 8 | u64::from(*byte);
    }
    *bytes = &bytes[length..];
    Some(value)
}

/// Takes one frame from the front: its type and payload; `None` until it is whole.
pub fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let mut rest = *bytes;
    let (kind, length) = (take_varint(&mut rest)?, take_varint(&mut rest)? as usize);
    let payload = rest.get(..length)?;
    *bytes = &rest[length..];
    Some((kind, payload))
}
