//! A request stream says the same however it is cut, holds no more than its bounds, and says it again when
//! it is written anew.
//!
//! The input is a number of cuts, two octets for each, and the stream.

use authepy_http3::error::Fault;
use authepy_http3::head::{Field, Known, Method};
use authepy_http3::limits::{MAX_BODY_BYTES, MAX_FIELD_SECTION_BYTES};
use authepy_http3::message::RequestReader;
use authepy_http3::wiped::Wiped;
use authepy_http3::{qpack, varint};

/// Everything a request says.
#[derive(Debug, PartialEq)]
struct Said {
    method: Method,
    path: String,
    query: Option<String>,
    authority: String,
    content_length: Option<u64>,
    fields: Vec<Option<Vec<u8>>>,
    body: Vec<u8>,
}

pub(crate) fn check(input: &[u8], canary: bool) {
    let Some((&cuts, rest)) = input.split_first() else { return };
    let Some((cuts, stream)) = rest.split_at_checked(2 * usize::from(cuts % 8)) else { return };
    let whole = read([stream].into_iter(), false);
    let place = |cut: &[u8]| usize::from(u16::from_le_bytes([cut[0], cut[1]])) % (stream.len() + 1);
    let mut places: Vec<usize> = cuts.chunks(2).map(place).chain([0, stream.len()]).collect();
    places.sort_unstable();
    let pieces = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
    assert_eq!(read(pieces, canary), whole);
    assert_eq!(read(stream.chunks(1), canary), whole);
    if let Ok(said) = whole {
        assert!(said.body.len() <= MAX_BODY_BYTES);
        assert!(said.content_length.is_none_or(|announced| announced == said.body.len() as u64));
        assert_eq!(read([&*written(&said)].into_iter(), false), Ok(said));
    }
}

/// The canary's bug: a piece of one octet, a zero, gets lost.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, canary: bool) -> Result<Said, Fault> {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    for piece in pieces.filter(|piece| !canary || *piece != [0]) {
        let pushed = reader.push(piece, &mut scratch);
        assert!(reader.held_bytes() <= MAX_FIELD_SECTION_BYTES + MAX_BODY_BYTES);
        assert!(scratch.is_empty() && scratch.capacity() <= MAX_FIELD_SECTION_BYTES);
        if let Err(fault) = pushed {
            assert_eq!(reader.push(b"\x00", &mut scratch), Err(fault), "a fault is final");
            assert_eq!(reader.fin().err(), Some(fault));
            return Err(fault);
        }
    }
    let request = reader.fin()?;
    let head = &request.head;
    let fields = Known::ALL.map(|known| match head.get(known) {
        Field::One(value) => Some(value.to_vec()),
        Field::Absent | Field::Many => None,
    });
    Ok(Said {
        method: head.method(),
        path: head.path().to_owned(),
        query: head.query().map(str::to_owned),
        authority: head.authority().to_owned(),
        content_length: head.content_length(),
        fields: fields.to_vec(),
        body: request.body.as_slice().to_vec(),
    })
}

/// A stream that says it in the plainest way.
fn written(said: &Said) -> Vec<u8> {
    let mut section = Vec::new();
    qpack::encode_prefix(&mut section);
    let method: &[u8] = match said.method {
        Method::Get => b"GET",
        Method::Head => b"HEAD",
        Method::Post => b"POST",
        Method::Delete => b"DELETE",
        Method::Options => b"OPTIONS",
        Method::Other => b"PATCH",
    };
    let query = said.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    qpack::encode_field(":method", method, &mut section);
    qpack::encode_field(":scheme", b"https", &mut section);
    qpack::encode_field(":authority", said.authority.as_bytes(), &mut section);
    qpack::encode_field(":path", format!("{}{query}", said.path).as_bytes(), &mut section);
    for (known, value) in Known::ALL.iter().zip(&said.fields) {
        if let Some(value) = value {
            qpack::encode_field(name_of(*known), value, &mut section);
        }
    }
    let mut stream = Vec::new();
    frame(1, &section, &mut stream);
    frame(0, &said.body, &mut stream);
    stream
}

fn frame(kind: u64, payload: &[u8], out: &mut Vec<u8>) {
    varint::encode(kind, out);
    varint::encode(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// The names of [`Known::ALL`], in its order.
pub(super) const NAMES: [&str; Known::ALL.len()] = [
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "early-data",
    "forwarded",
    "host",
    "idempotency-key",
    "origin",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "x-forwarded-for",
];

fn name_of(known: Known) -> &'static str {
    let name = NAMES[known as usize];
    assert_eq!(Known::named(name.as_bytes()), Some(known));
    name
}
