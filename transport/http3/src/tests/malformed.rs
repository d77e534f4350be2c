//! Row A45: what RFC 9114 calls malformed never becomes a request.

use super::super::error::{Code, Fault, Refused};
use super::{GOOD, Pair, frame, good_and, headers, read};

const MALFORMED: Fault = Fault::Stream(Code::MessageError);
const CONTRADICTORY: Fault = Fault::Answer(Refused::MalformedHttp);

/// [`GOOD`] with one pseudo-field said differently.
fn with(name: &'static str, value: &'static [u8]) -> Vec<u8> {
    headers(&GOOD.map(|pair| if pair.0 == name { (name, value) } else { pair }))
}

fn without(name: &str) -> Vec<Pair<'static>> {
    GOOD.into_iter().filter(|pair| pair.0 != name).collect()
}

#[test]
fn the_good_request_is_good() {
    assert!(read(&good_and(&[])).is_ok()); // or nothing below would prove anything
}

#[test]
fn a_field_that_may_not_stand_there_resets_the_stream() {
    let fields: &[Pair<'_>] = &[
        ("", b"empty name"),
        ("Accept", b"*/*"),
        ("acc ept", b"*/*"),
        ("accept:", b"*/*"),
        ("a\0b", b"nul"),
        ("caf\u{e9}", b"not ascii"),
        (":", b"only a colon"),
        (":protocol", b"websocket"),
        (":status", b"200"),
        (":PATH", b"/"),
        ("connection", b"close"),
        ("keep-alive", b"timeout=5"),
        ("proxy-connection", b"close"),
        ("transfer-encoding", b"chunked"),
        ("upgrade", b"h2c"),
        ("te", b"gzip"),
        ("te", b"trailers, gzip"),
        ("x", b"nul\0"),
        ("x", b"cr\rlf"),
        ("x", b"obs-fold\r\n y"),
        ("x", b"lf\n"),
        ("x", b"escape\x1b[31m"),
        ("x", b"delete\x7f"),
        ("x", b" leading"),
        ("x", b"trailing "),
        ("x", b"\ttab"),
        ("x", b"tab\t"),
        ("x", b" "),
        ("content-length", b""),
        ("content-length", b"+5"),
        ("content-length", b"-1"),
        ("content-length", b"0x10"),
        ("content-length", b"5, 5"),
        ("content-length", b"5 5"),
        ("content-length", b"18446744073709551616"),
        ("host", b""),
        ("host", b"ada@codes.example"),
    ];
    for field in fields {
        assert_eq!(read(&good_and(&[*field])).err(), Some(MALFORMED), "{field:?}");
    }
}

#[test]
fn a_pseudo_field_with_a_bad_value_resets_the_stream() {
    for (name, value) in [
        (":method", &b""[..]),
        (":method", b"PO ST"),
        (":method", b"POST\r\n"),
        (":scheme", b"ftp"),
        (":scheme", b""),
        (":path", b""),
        (":path", b"*"),
        (":path", b"v1/verifications"),
        (":path", b"https://codes.example/v1/verifications"),
        (":path", b"/v1 verifications"),
        (":path", b"/v1#fragment"),
        (":path", b"/caf\xc3\xa9"),
        (":path", b"/\x7f"),
        (":authority", b""),
        (":authority", b":443"),
        (":authority", b"ada@codes.example"),
        (":authority", b"codes.example/path"),
        (":authority", b"codes.example\\"),
        (":authority", b"codes example"),
    ] {
        assert_eq!(read(&with(name, value)).err(), Some(MALFORMED), "{name} {value:?}");
    }
}

#[test]
fn a_missing_or_repeated_pseudo_field_resets_the_stream() {
    for (name, value) in GOOD {
        assert_eq!(read(&headers(&without(name))).err(), Some(MALFORMED), "no {name}");
        assert_eq!(read(&good_and(&[(name, value)])).err(), Some(MALFORMED), "two {name}");
    }
}

#[test]
fn host_stands_in_for_authority_and_must_agree_with_it() {
    let mut fields = without(":authority");
    fields.push(("host", b"codes.example:8443"));
    assert_eq!(read(&headers(&fields)).unwrap().head.authority(), "codes.example:8443");
    assert!(read(&good_and(&[("host", b"CODES.example")])).is_ok());
    let other = good_and(&[("host", b"evil.example")]);
    assert_eq!(read(&other).err(), Some(CONTRADICTORY));
    let twice = good_and(&[("host", b"codes.example"), ("host", b"codes.example")]);
    assert_eq!(read(&twice).err(), Some(CONTRADICTORY));
}

#[test]
fn two_keys_are_a_bad_request_even_if_they_are_the_same() {
    let twice = good_and(&[("authorization", b"Bearer a"), ("authorization", b"Bearer a")]);
    assert_eq!(read(&twice).err(), Some(CONTRADICTORY));
}

#[test]
fn connect_is_refused_plain_and_extended() {
    let plain = headers(&[(":method", b"CONNECT"), (":authority", b"codes.example:25")]);
    assert_eq!(read(&plain).err(), Some(CONTRADICTORY));
    let extended = [
        (":method", &b"CONNECT"[..]),
        (":protocol", b"websocket"),
        (":scheme", b"https"),
        (":authority", b"codes.example"),
        (":path", b"/"),
    ];
    assert_eq!(read(&headers(&extended)).err(), Some(MALFORMED));
}

#[test]
fn an_asterisk_is_a_target_for_options_only() {
    let fields = [(":method", &b"OPTIONS"[..]), GOOD[1], GOOD[2], (":path", b"*")];
    assert_eq!(read(&headers(&fields)).unwrap().head.path(), "*");
}

#[test]
fn content_length_must_be_said_in_one_voice() {
    let body = frame(0, b"12345");
    let agree = good_and(&[("content-length", b"5"), ("content-length", b"5")]);
    assert!(read(&[agree, body.clone()].concat()).is_ok());
    let differ = good_and(&[("content-length", b"5"), ("content-length", b"6")]);
    assert_eq!(read(&[differ, body].concat()).err(), Some(MALFORMED));
}

#[test]
fn trailers_are_held_to_the_form_of_fields() {
    let start = [good_and(&[]), frame(0, b"{}")].concat();
    let with_trailers = |fields: &[Pair<'_>]| [start.clone(), headers(fields)].concat();
    assert!(read(&with_trailers(&[("digest", b"sha-256=:x:")])).is_ok());
    for field in [(":path", &b"/"[..]), ("Digest", b"x"), ("upgrade", b"h2c"), ("x", b"\0")] {
        assert_eq!(read(&with_trailers(&[field])).err(), Some(MALFORMED), "{field:?}");
    }
}

#[test]
fn what_is_odd_but_legal_is_served() {
    for field in [
        ("te", &b"trailers"[..]),
        ("expect", b"100-continue"),
        ("cookie", b"a=b; c=d"),
        ("x", b""),
        ("x", b"tab\tinside"),
        ("x", b"obs-text \xe9"),
        ("!#$%&'*+-.^_`|~0a", b"every token character"),
    ] {
        assert!(read(&good_and(&[field])).is_ok(), "{field:?}");
    }
    assert!(read(&with(":path", b"/v1/../%2e%2E//;a=b?c?d")).is_ok());
    assert!(read(&with(":authority", b"[::1]:8443")).is_ok());
    assert!(read(&with(":scheme", b"http")).is_ok());
}
