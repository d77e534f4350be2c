//! What does it take to read a request off its stream, and to write an answer, with no QUIC below?
//!
//! The two heads are a phone's Chromium's twenty fields; ls-qpack wrote them, so static references and Huffman
//! strings stand where an encoder that isn't ours puts them. The test below spells them out. Not asked: TLS, QUIC, and
//! the wipe of freed memory: this program has the system's allocator, the server one that overwrites.
use std::hint::black_box;

use authepy_http3::error::{Code, Fault};
use authepy_http3::message::{Request, RequestReader};
use authepy_http3::uni::{PeerStreams, UniReader, Verdict};
use authepy_http3::wiped::Wiped;
use authepy_http3::{response, varint};

use super::{Question, Turn};

const ISSUE_HEAD: &[u8] = include_bytes!("codec/issue.qpack");
const ISSUE_BODY: &[u8] = br#"{"recipient":"ada.lovelace@mail.example.com","purpose":"login","locale":"de"}"#;
const CHECK_HEAD: &[u8] = include_bytes!("codec/check.qpack");
const CHECK_BODY: &[u8] = br#"{"code":"482913"}"#;
/// `:method: POST` by reference to the static table; after the fields a pseudo-field is malformed.
const LATE_METHOD: &[u8] = &[0xc0 | 20];
/// A browser's control stream.
const CONTROL: &[u8] = &[
    0x00, // its type
    0x04,
    18, // SETTINGS: a table of 64 KiB, 256 KiB of fields, 100 blocked streams, datagrams, and grease
    0x01, 0x80, 0x01, 0x00, 0x00, 0x06, 0x80, 0x04, 0x00, 0x00, 0x07, 0x40, 0x64, 0x33, 0x01, 0x40, 0x40,
    0x00, 0x80, 0x0f, 0x07, 0x00, 6, 0x00, b'u', b'=', b'1', b',', b'i', // PRIORITY_UPDATE of stream 0
    0x21, 3, 1, 2, 3, // a frame of grease
];
const ANSWER: &[u8] = br#"{"id":"vrf_5dVZTQm0Kc3hX8LwRyB1nUe7J","status":"pending","recipient":"a***@mail.example.com","purpose":"login","expires_at":"2026-11-26T12:05:00Z","resend_at":"2026-11-26T12:00:30Z","attempts_remaining":5,"sends_remaining":4}"#;

/// Its questions.
#[must_use]
pub fn questions() -> Vec<Question> {
    vec![
        reading("codec/read-issue", stream(ISSUE_HEAD, ISSUE_BODY), usize::MAX, |read| read.is_ok()),
        reading("codec/read-check", stream(CHECK_HEAD, CHECK_BODY), usize::MAX, |read| read.is_ok()),
        reading("codec/read-issue-by-the-byte", stream(ISSUE_HEAD, ISSUE_BODY), 1, |read| read.is_ok()),
        reading("codec/refuse-malformed", malformed(), usize::MAX, |read| {
            matches!(read, Err(Fault::Stream(Code::MessageError)))
        }),
        Question::new("codec/read-control", |_| Ok(Box::new(read_control))),
        Question::new("codec/write-answer", |_| Ok(Box::new(write_answer))),
    ]
}

/// Reads a whole stream that comes in pieces of `size` bytes.
fn reading(
    name: &'static str,
    stream: Vec<u8>,
    size: usize,
    is_right: fn(&Result<Request, Fault>) -> bool,
) -> Question {
    Question::new(name, move |_| {
        let (stream, mut scratch) = (stream.clone(), Wiped::new());
        let turn: Turn = Box::new(move || is_right(&black_box(read(black_box(&stream), size, &mut scratch))));
        Ok(turn)
    })
}

fn read(stream: &[u8], size: usize, scratch: &mut Wiped) -> Result<Request, Fault> {
    let mut reader = RequestReader::default();
    for piece in stream.chunks(size) {
        reader.push(piece, scratch)?;
    }
    reader.fin()
}

fn read_control() -> bool {
    let (mut peer, mut reader) = (PeerStreams::default(), UniReader::default());
    black_box(reader.push(black_box(CONTROL), &mut peer)) == Ok(Verdict::Continue)
}

/// The fields of a page's issue, accepted.
fn write_answer() -> bool {
    let fields: [(&str, &[u8]); 12] = black_box([
        ("date", b"Thu, 26 Nov 2026 12:00:00 GMT"),
        ("cache-control", b"no-store"),
        ("x-content-type-options", b"nosniff"),
        ("vary", b"Origin"),
        ("x-request-id", b"req_5dVZTQm0Kc3hX8LwRyB1nU"),
        ("content-type", b"application/json"),
        ("content-length", b"225"),
        ("location", b"/v1/verifications/vrf_5dVZTQm0Kc3hX8LwRyB1nUe7J"),
        ("ratelimit-policy", br#""peer";q=20;w=60, "recipient";q=5;w=600"#),
        ("ratelimit", br#""peer";r=19;t=60, "recipient";r=4;t=600"#),
        ("access-control-allow-origin", b"https://mybrand.com"),
        (
            "access-control-expose-headers",
            b"Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id",
        ),
    ]);
    let mut out = Vec::with_capacity(1_024);
    response::encode(
        202,
        |write| fields.iter().for_each(|(name, value)| write(name, value)),
        ANSWER,
        &mut out,
    );
    black_box(&out).len() > ANSWER.len()
}

/// A request stream: HEADERS, DATA.
fn stream(section: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, payload) in [(1, section), (0, body)] {
        varint::encode(kind, &mut bytes);
        varint::encode(payload.len() as u64, &mut bytes);
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// Noticed only at the end of the head.
fn malformed() -> Vec<u8> {
    stream(&[ISSUE_HEAD, LATE_METHOD].concat(), ISSUE_BODY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use authepy_http3::head::{Field, Known, Method};
    use authepy_http3::qpack;

    /// What ls-qpack (pylsqpack 1.0.0, `Encoder().encode(0, fields)`) was given for an issue. Of a check, path
    /// and content length are others.
    const FIELDS: [(&str, &str); 20] = [
        (":method", "POST"),
        (":authority", "codes.mybrand.com"),
        (":scheme", "https"),
        (":path", "/v1/verifications"),
        ("content-length", "77"),
        ("sec-ch-ua-platform", "\"Android\""),
        ("authorization", "Bearer ak_live_restricted_4fJ9sK2mQ7wXz1Lp8Rb3Tn6V"),
        (
            "user-agent",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile \
             Safari/537.36",
        ),
        ("sec-ch-ua", "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\""),
        ("content-type", "application/json"),
        ("sec-ch-ua-mobile", "?1"),
        ("accept", "*/*"),
        ("origin", "https://mybrand.com"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("referer", "https://mybrand.com/"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"),
        ("priority", "u=1, i"),
    ];

    fn fields_of(section: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let keep = |name: &[u8], value: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.push((text(name), text(value)));
            Ok(())
        };
        qpack::decode(section, &mut Wiped::new(), keep).unwrap();
        fields
    }

    #[test]
    fn the_heads_are_a_phones() {
        let spelled = FIELDS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields_of(ISSUE_HEAD), spelled);
        let mut check = spelled;
        check[3].1 = "/v1/verifications/vrf_5dVZTQm0Kc3hX8LwRyB1nUe7J/check".into();
        check[4].1 = CHECK_BODY.len().to_string();
        assert_eq!(fields_of(CHECK_HEAD), check);
    }

    #[test]
    fn an_issue_is_read_whole_and_by_the_byte() {
        for size in [usize::MAX, 1] {
            let request = read(&stream(ISSUE_HEAD, ISSUE_BODY), size, &mut Wiped::new()).unwrap();
            assert_eq!(request.head.method(), Method::Post);
            assert!(request.head.get(Known::Origin) == Field::One(b"https://mybrand.com"));
            assert_eq!(request.body.as_slice(), ISSUE_BODY);
        }
    }
}
