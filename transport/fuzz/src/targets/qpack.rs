//! A field section is read as a slow decoder reads it, bit by bit, within the same bounds; and what the
//! encoder writes of it is read as the same fields.

use std::collections::HashMap;
use std::sync::LazyLock;

use authepy_http3::error::{Code, Fault, Refused};
use authepy_http3::limits::{FIELD_OVERHEAD_BYTES, MAX_FIELD_SECTION_BYTES, MAX_FIELDS};
use authepy_http3::qpack::{HUFFMAN_CODE_BITS, STATIC_TABLE};
use authepy_http3::wiped::Wiped;
use authepy_http3::{qpack, response};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

const TOO_LARGE: Fault = Fault::Answer(Refused::HeadersTooLarge);
const FAILED: Fault = Fault::Connection(Code::QpackDecompressionFailed);

pub(crate) fn check(section: &[u8], canary: bool) {
    let read = decoded(section, canary);
    match slow(section) {
        Some(fields) if fits(&fields) => assert_eq!(read.as_ref(), Ok(&fields)),
        Some(_) => assert_eq!(read, Err(TOO_LARGE)),
        None => assert!(matches!(read, Err(FAILED | TOO_LARGE)), "{read:?}"),
    }
    let Ok(fields) = read else { return };
    let lower = |name: &[u8]| str::from_utf8(name).ok().map(str::to_ascii_lowercase);
    let sendable: Option<Vec<_>> =
        fields.iter().map(|(name, value)| Some((lower(name)?, value.clone()))).collect();
    if let Some(fields) = sendable {
        written(&fields);
    }
}

fn written(fields: &[(String, Vec<u8>)]) {
    let mut answer = Vec::new();
    let each = |add: &mut dyn FnMut(&str, &[u8])| fields.iter().for_each(|(name, value)| add(name, value));
    response::encode(200, each, b"", &mut answer);
    // HEADERS, a length of two octets (or four, for what a peer wouldn't read anyway), the section.
    let Some(section) = answer.get(3..).filter(|_| answer[1] >> 6 == 1) else { return };
    let mut expected: Fields = vec![(b":status".to_vec(), b"200".to_vec())];
    expected.extend(fields.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())));
    assert_eq!(decoded(section, false), if fits(&expected) { Ok(expected) } else { Err(TOO_LARGE) });
}

/// The canary's bug: the value of an empty name is not seen.
fn decoded(section: &[u8], canary: bool) -> Result<Fields, Fault> {
    let (mut fields, mut scratch) = (Fields::new(), Wiped::new());
    let result = qpack::decode(section, &mut scratch, |name, value| {
        let value = if canary && name.is_empty() { &[] } else { value };
        fields.push((name.to_vec(), value.to_vec()));
        Ok(())
    });
    assert!(scratch.is_empty() && scratch.capacity() <= MAX_FIELD_SECTION_BYTES);
    result.map(|()| fields)
}

fn fits(fields: &Fields) -> bool {
    let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + FIELD_OVERHEAD_BYTES;
    fields.len() <= MAX_FIELDS && fields.iter().map(size).sum::<usize>() <= MAX_FIELD_SECTION_BYTES
}

/// RFC 9204 section 4.5 line by line; `None` for what is malformed or needs a dynamic table.
fn slow(mut rest: &[u8]) -> Option<Fields> {
    let (_, insert_count) = integer(&mut rest, 8)?;
    let (base, _) = integer(&mut rest, 7)?;
    (insert_count == 0 && base & 0x80 == 0).then_some(())?;
    let mut fields = Fields::new();
    while let Some(first) = rest.first() {
        let entry = |index: u64| STATIC_TABLE.get(usize::try_from(index).ok()?).copied();
        let field = match first {
            0xc0..=0xff => {
                let (name, value) = entry(integer(&mut rest, 6)?.1)?;
                (name.into(), value.into())
            }
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = entry(integer(&mut rest, 4)?.1)?;
                (name.into(), string(&mut rest, 7)?)
            }
            0x20..=0x3f => (string(&mut rest, 3)?, string(&mut rest, 7)?),
            _ => return None,
        };
        fields.push(field);
    }
    Some(fields)
}

/// The octet with the flags, and a number of at most 62 bits with at most nine octets behind the first.
fn integer(rest: &mut &[u8], bits: u32) -> Option<(u8, u64)> {
    let (&first, mut after) = rest.split_first()?;
    let full = (1u128 << bits) - 1;
    let mut value = u128::from(first) & full;
    if value == full {
        let length = after.iter().take(9).position(|octet| octet & 0x80 == 0)? + 1;
        let (octets, behind) = after.split_at(length);
        after = behind;
        for (place, octet) in octets.iter().enumerate() {
            value += u128::from(octet & 0x7f) << (7 * place);
        }
    }
    *rest = after;
    (value < 1 << 62).then_some((first, value as u64))
}

fn string(rest: &mut &[u8], bits: u32) -> Option<Vec<u8>> {
    let (first, length) = integer(rest, bits)?;
    let (text, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    if first & 1 << bits == 0 { Some(text.to_vec()) } else { huffman(text) }
}

/// Codes by length and bits: of each length in a row, in the order of the symbols (RFC 7541, appendix B).
static CODES: LazyLock<HashMap<(u8, u32), usize>> = LazyLock::new(|| {
    let mut symbols: Vec<usize> = (0..HUFFMAN_CODE_BITS.len()).collect();
    symbols.sort_by_key(|symbol| (HUFFMAN_CODE_BITS[*symbol], *symbol));
    let (mut next, mut before) = (0u32, 0);
    let code_of = |symbol: usize| {
        next <<= HUFFMAN_CODE_BITS[symbol] - before;
        before = HUFFMAN_CODE_BITS[symbol];
        next += 1;
        ((before, next - 1), symbol)
    };
    symbols.into_iter().map(code_of).collect()
});

fn huffman(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut length, mut code) = (Vec::new(), 0, 0);
    for bit in text.iter().flat_map(|octet| (0..8).rev().map(move |place| octet >> place & 1)) {
        (length, code) = (length + 1, code << 1 | u32::from(bit));
        if let Some(symbol) = CODES.get(&(length, code)) {
            out.push(u8::try_from(*symbol).ok()?);
            (length, code) = (0, 0);
        }
    }
    (length < 8 && code == (1 << length) - 1).then_some(out)
}
