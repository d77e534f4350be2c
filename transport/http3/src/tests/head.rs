use super::super::super::limits::MAX_FIELD_SECTION_BYTES;
use super::*;

#[test]
fn http1_may_speak_of_its_connection() {
    for (wire, allowed) in [(Wire::Serial, true), (Wire::Multiplexed, false)] {
        for (name, value) in
            [(&b"connection"[..], &b"keep-alive"[..]), (b"transfer-encoding", b"chunked"), (b"te", b"gzip")]
        {
            assert_eq!(check_field(wire, name, value).is_ok(), allowed, "{name:?}");
        }
    }
}

#[test]
fn every_known_field_is_found_by_its_name_and_kept_apart() {
    let mut builder = HeadBuilder::new(Wire::Multiplexed);
    builder.pseudo(b":method", b"DELETE").unwrap();
    builder.pseudo(b":scheme", b"https").unwrap();
    builder.pseudo(b":path", b"/v1/verifications/vrf_1?key=2?3").unwrap();
    let names = [
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
    for (value, name) in names.iter().enumerate() {
        builder.field(name.as_bytes(), value.to_string().as_bytes()).unwrap();
    }
    let head = builder.finish().unwrap();
    for (value, (name, known)) in names.iter().zip(Known::ALL).enumerate() {
        assert_eq!(Known::named(name.as_bytes()), Some(known));
        assert!(head.get(known) == Field::One(value.to_string().as_bytes()), "{name}");
    }
    assert_eq!(head.method(), Method::Delete);
    assert_eq!((head.path(), head.query()), ("/v1/verifications/vrf_1", Some("key=2?3")));
    assert_eq!((head.authority(), head.content_length()), ("9", Some(5)));
    assert_eq!(Known::named(b"cookie"), None);
    assert_eq!(Known::named(b"\xff"), None);
}

#[test]
fn the_kept_part_of_a_head_is_bounded_for_every_caller() {
    let mut builder = HeadBuilder::new(Wire::Serial);
    let half = vec![b'x'; MAX_FIELD_SECTION_BYTES / 2];
    assert_eq!(builder.field(b"origin", &half), Ok(()));
    assert_eq!(builder.field(b"forwarded", &half), Ok(()));
    assert_eq!(builder.field(b"authorization", b"x"), Err(HeadFault::TooLarge));
    let mut builder = HeadBuilder::new(Wire::Serial);
    for _ in 0..MAX_FIELDS {
        builder.field(b"cookie", b"a=b").unwrap();
    }
    assert_eq!(builder.field(b"cookie", b"a=b"), Err(HeadFault::TooLarge));
}

#[test]
fn a_length_is_digits_and_fits() {
    assert_eq!(decimal(b"0"), Some(0));
    assert_eq!(decimal(b"007"), Some(7));
    assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
    for text in [&b""[..], b"18446744073709551616", b"1 ", b"+1", b"1e3", b"\xb2"] {
        assert_eq!(decimal(text), None, "{text:?}");
    }
}

#[test]
fn the_lines_of_a_forwarding_list_are_one_list_and_those_of_no_other_field() {
    let mut builder = HeadBuilder::new(Wire::Multiplexed);
    builder.pseudo(b":method", b"POST").unwrap();
    builder.pseudo(b":scheme", b"https").unwrap();
    builder.pseudo(b":path", b"/").unwrap();
    builder.pseudo(b":authority", b"a.example").unwrap();
    for line in [&b"1"[..], b"", b"2, 3"] {
        builder.field(b"x-forwarded-for", line).unwrap();
    }
    // In turn, so that neither list stays the last thing kept.
    for line in [&b"a"[..], b"b", b"c"] {
        builder.field(b"forwarded", line).unwrap();
        builder.field(b"x-forwarded-for", line).unwrap();
        builder.field(b"origin", line).unwrap();
    }
    let head = builder.finish().unwrap();
    assert!(head.get(Known::XForwardedFor) == Field::One(b"1, , 2, 3, a, b, c"));
    assert!(head.get(Known::Forwarded) == Field::One(b"a, b, c"));
    assert!(head.get(Known::Origin) == Field::Many);
    assert_eq!(head.path(), "/");
}

#[test]
fn joined_lists_are_bounded_by_the_same_room_as_all_that_is_kept() {
    let mut builder = HeadBuilder::new(Wire::Serial);
    let line = vec![b'1'; MAX_FIELD_SECTION_BYTES / 4];
    let mut taken = 0;
    while builder.field(b"x-forwarded-for", &line) == Ok(()) {
        taken += 1;
    }
    assert_eq!(taken, 3, "commas count, too");
    let mut builder = HeadBuilder::new(Wire::Serial);
    let line = vec![b'1'; 200];
    let in_turn = (0..MAX_FIELDS).map(|n| [&b"forwarded"[..], b"x-forwarded-for"][n % 2]);
    let ended = in_turn.map(|name| builder.field(name, &line)).find(Result::is_err);
    assert_eq!(ended, Some(Err(HeadFault::TooLarge)));
}

#[test]
fn debug_counts_fields_and_shows_none() {
    let mut builder = HeadBuilder::new(Wire::Multiplexed);
    builder.field(b"origin", b"https://a.example").unwrap();
    assert_eq!(format!("{builder:?}"), "HeadBuilder { fields: 1, .. }");
}
