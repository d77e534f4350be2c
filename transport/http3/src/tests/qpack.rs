use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decoded(section: &[u8]) -> Result<Fields, Fault> {
    let mut fields = Fields::new();
    decode(section, &mut Wiped::new(), |name, value| {
        fields.push((name.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(fields)
}

fn one(name: &str, value: &str) -> Result<Fields, Fault> {
    Ok(vec![(name.into(), value.into())])
}

#[test]
fn the_example_of_rfc_9204_appendix_b_1_is_read() {
    let section = [&[0, 0, 0x51, 0x0b][..], b"/index.html"].concat();
    assert_eq!(decoded(&section), one(":path", "/index.html"));
}

#[test]
fn every_form_of_a_line_is_read() {
    assert_eq!(decoded(&[0, 0]), Ok(vec![]));
    assert_eq!(decoded(&[0, 0x7f, 0x05, 0xc1]), one(":path", "/"), "a base means nothing");
    assert_eq!(decoded(&[0, 0, 0xff, 0x23]), one("x-frame-options", "sameorigin"));
    assert_eq!(decoded(&[0, 0, 0x7f, 0x45, 1, b'k']), one("authorization", "k"), "never index");
    assert_eq!(decoded(&[0, 0, 0x21, b'a', 1, b'b']), one("a", "b"));
    assert_eq!(decoded(&[0, 0, 0x31, b'a', 0]), one("a", ""));
    // A name of seven bytes needs the continuation; "private" in Huffman code fits five.
    let huffman = [&[0, 0, 0x2d, 0xae, 0xc3, 0x77, 0x1a, 0x4b, 0x85][..]];
    let section = [huffman.concat(), vec![0xae, 0xc3, 0x77, 0x1a, 0x4b]].concat();
    assert_eq!(decoded(&section), one("private", "private"));
    let plain = [&[0, 0, 0x27, 0x00][..], b"private", &[0x01, b'x']].concat();
    assert_eq!(decoded(&plain), one("private", "x"));
}

#[test]
fn every_static_entry_is_read_in_both_forms() {
    for (at, (name, value)) in static_table::ENTRIES.iter().enumerate() {
        let mut indexed = vec![0, 0];
        encode_integer(0xc0, 6, at as u64, &mut indexed);
        assert_eq!(decoded(&indexed), one(name, value));
        let mut named = vec![0, 0];
        encode_integer(0x50, 4, at as u64, &mut named);
        encode_string(0, 7, b"mine", &mut named);
        assert_eq!(decoded(&named), one(name, "mine"));
    }
}

#[test]
fn what_cannot_be_decoded_closes_the_connection() {
    let eleven = [&[0, 0, 0xff][..], &[0xff; 9], &[0x7f]].concat();
    let padded = [&[0, 0, 0xff][..], &[0x80; 10], &[0x00]].concat();
    let two_to_62 = [&[0, 0, 0x5f, 0x45, 0x7f][..], &[0x81], &[0xff; 7], &[0x3f]].concat();
    let cases: [(&str, &[u8]); 24] = [
        ("nothing", &[]),
        ("half a prefix", &[0]),
        ("an insert count", &[1, 0]),
        ("an insert count of many bytes", &[0xff, 0x01, 0]),
        ("an unfinished insert count", &[0xff]),
        ("a negative base", &[0, 0x80]),
        ("an unfinished base", &[0, 0x7f]),
        ("dynamic, indexed", &[0, 0, 0x80]),
        ("dynamic, by name", &[0, 0, 0x40, 0]),
        ("dynamic, by name, never indexed", &[0, 0, 0x60, 0]),
        ("post-base, indexed", &[0, 0, 0x10]),
        ("post-base, by name", &[0, 0, 0x00, 0]),
        ("static 99", &[0, 0, 0xff, 0x24]),
        ("static 99 by name", &[0, 0, 0x5f, 0x54, 0]),
        ("an unfinished index", &[0, 0, 0xff]),
        ("an endless index", &eleven),
        ("an index padded with zeroes", &padded),
        ("a length of 2^62", &two_to_62),
        ("no value", &[0, 0, 0x51]),
        ("a short value", &[0, 0, 0x51, 5, b'a']),
        ("a short name", &[0, 0, 0x23, b'a']),
        ("no value after a name", &[0, 0, 0x21, b'a']),
        ("huffman padding of zeroes", &[0, 0, 0x51, 0x81, 0b0001_1000]),
        ("huffman end of string", &[0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (what, section) in cases {
        assert_eq!(decoded(section), Err(FAILED), "{what}");
    }
}

#[test]
fn an_integer_of_62_bits_is_understood() {
    let read = |bytes: &[u8]| {
        let mut scratch = Wiped::new();
        let mut decoder = Decoder { rest: bytes, scratch: &mut scratch, room: 0 };
        let first = decoder.byte()?;
        decoder.integer(first, 5)
    };
    assert_eq!(read(&[0b01010]), Ok(10), "RFC 7541 C.1.1");
    assert_eq!(read(&[0b11111, 0b1001_1010, 0b1010]), Ok(1337), "RFC 7541 C.1.2");
    for value in [30, 31, 32, 158, 159, 1 << 32, (1 << 62) - 1] {
        let mut bytes = Vec::new();
        encode_integer(0, 5, value, &mut bytes);
        assert_eq!(read(&bytes), Ok(value));
    }
    for value in [1 << 62, u64::MAX >> 1, u64::MAX] {
        let mut bytes = Vec::new();
        encode_integer(0, 5, value, &mut bytes);
        assert_eq!(read(&bytes), Err(FAILED));
    }
}

#[test]
fn size_is_counted_as_rfc_9114_says() {
    let of_size = |bytes: usize| {
        let mut section = vec![0, 0];
        encode_field("a", &vec![b'x'; bytes - 1 - FIELD_OVERHEAD_BYTES], &mut section);
        decoded(&section).map(|_| ())
    };
    assert_eq!(of_size(MAX_FIELD_SECTION_BYTES), Ok(()));
    assert_eq!(of_size(MAX_FIELD_SECTION_BYTES + 1), Err(TOO_LARGE));
}

#[test]
fn a_visitor_ends_the_reading() {
    let mut seen = 0;
    let result = decode(&[0, 0, 0xc1, 0xc1, 0x80], &mut Wiped::new(), |_, _| {
        seen += 1;
        Err(TOO_LARGE)
    });
    assert_eq!((result, seen), (Err(TOO_LARGE), 1));
}

#[test]
fn what_the_encoder_writes_is_read_back() {
    let long = vec![b'v'; 5000];
    let fields: [(&str, &[u8]); 6] = [
        ("content-type", b"application/problem+json"),
        ("content-type", b"application/json"),
        ("cache-control", b"no-store"),
        ("x-request-id", b"req_0123"),
        ("a", b""),
        ("ratelimit-policy-with-a-long-name", &long),
    ];
    let mut section = Vec::new();
    encode_prefix(&mut section);
    encode_status(202, &mut section);
    for (name, value) in fields {
        encode_field(name, value, &mut section);
    }
    let mut expected = vec![(b":status".to_vec(), b"202".to_vec())];
    expected.extend(fields.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())));
    assert_eq!(decoded(&section), Ok(expected));
}
