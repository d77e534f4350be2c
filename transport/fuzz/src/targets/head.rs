//! A request head is taken exactly if each rule of RFC 9114 section 4.3 and RFC 9110 section 5 holds, one
//! by one, and says what its fields say.
//!
//! The input is the wire, then fields: a length for the name, one for the value, name, value.

use super::request_stream::NAMES;
use authepy_http3::head::{Field, Head, HeadBuilder, HeadFault, Known, Wire};
use authepy_http3::limits::MAX_FIELDS;

type Pair<'a> = (&'a [u8], &'a [u8]);

pub(crate) fn check(input: &[u8], canary: bool) {
    let Some((&wire, rest)) = input.split_first() else { return };
    let wire = if wire % 2 == 0 { Wire::Multiplexed } else { Wire::Serial };
    let fields = pairs(rest);
    match built(&fields, wire, canary) {
        Ok(head) => {
            if let Err(why) = is_lawful(&fields, wire) {
                panic!("taken, though {why}: {}", shown(&fields));
            }
            says(&head, &fields);
        }
        // Two lists in turns are kept again and again, which may become too much.
        Err(HeadFault::TooLarge) => assert!(fields.len() > MAX_FIELDS || lines(&fields, "forwarded") > 1),
        Err(why) => assert!(is_lawful(&fields, wire).is_err(), "{why:?} for {}", shown(&fields)),
    }
}

fn pairs(mut rest: &[u8]) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    while let [name, value, after @ ..] = rest {
        let Some((name, after)) = after.split_at_checked(usize::from(*name)) else { break };
        let Some((value, after)) = after.split_at_checked(usize::from(*value)) else { break };
        pairs.push((name, value));
        rest = after;
    }
    pairs
}

/// The canary's bug: nobody looks at `te`.
fn built(fields: &[Pair<'_>], wire: Wire, canary: bool) -> Result<Head, HeadFault> {
    let mut builder = HeadBuilder::new(wire);
    for (name, value) in fields.iter().filter(|(name, _)| !canary || name != b"te") {
        match name.first() {
            Some(b':') => builder.pseudo(name, value)?,
            _ => builder.field(name, value)?,
        }
    }
    builder.finish()
}

fn is_lawful(fields: &[Pair<'_>], wire: Wire) -> Result<(), &'static str> {
    let is_pseudo = |(name, _): &&Pair<'_>| name.first() == Some(&b':');
    let ordinary = fields.iter().skip_while(is_pseudo).count();
    let known = [":method", ":scheme", ":path", ":authority"];
    let rule = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
    rule(fields.iter().filter(is_pseudo).count() + ordinary == fields.len(), "a pseudo-field is late")?;
    rule(ordinary <= MAX_FIELDS, "there are too many")?;
    rule(known.iter().all(|name| lines(fields, name) <= 1), "a pseudo-field is repeated")?;
    let strange = |(name, _): &Pair<'_>| !known.iter().any(|known| known.as_bytes() == *name);
    rule(!fields.iter().filter(is_pseudo).any(strange), "a pseudo-field is strange")?;
    rule(fields.iter().all(|(_, value)| is_value(value)), "a value is malformed")?;
    rule(
        fields.iter().filter(|pair| !is_pseudo(pair)).all(|(name, _)| is_name(name)),
        "a name is malformed",
    )?;
    let of_hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let serial = wire == Wire::Serial;
    rule(serial || of_hop.iter().all(|name| lines(fields, name) == 0), "it is about the connection")?;
    let te = |(name, value): &Pair<'_>| *name == b"te" && !value.eq_ignore_ascii_case(b"trailers");
    rule(serial || !fields.iter().any(te), "te asks for more than trailers")?;

    let method = one(fields, ":method").ok_or("there is no method")?;
    rule(is_name(&method.to_ascii_lowercase()) && method != b"CONNECT", "the method is none")?;
    let scheme = one(fields, ":scheme").ok_or("there is no scheme")?.to_ascii_lowercase();
    rule(scheme == b"https" || scheme == b"http", "the scheme is foreign")?;
    let path = one(fields, ":path").ok_or("there is no path")?;
    let is_target = path.starts_with(b"/") && path.iter().all(|o| o.is_ascii_graphic() && *o != b'#');
    rule(is_target || path == b"*" && method == b"OPTIONS", "the path is none")?;

    rule(lines(fields, "host") <= 1 && lines(fields, "authorization") <= 1, "a field contradicts itself")?;
    let (host, authority) = (one(fields, "host"), one(fields, ":authority"));
    rule([host, authority].into_iter().flatten().all(is_authority), "the authority is none")?;
    rule(host.or(authority).is_some(), "there is no authority")?;
    let both = host.zip(authority);
    rule(both.is_none_or(|(host, other)| host.eq_ignore_ascii_case(other)), "host is another")?;
    let lengths: Vec<_> = values(fields, "content-length").map(number).collect();
    rule(lengths.iter().all(Option::is_some), "a length is no number")?;
    rule(lengths.windows(2).all(|pair| pair[0] == pair[1]), "the lengths differ")
}

fn says(head: &Head, fields: &[Pair<'_>]) {
    let path = one(fields, ":path").expect("it is lawful");
    let said = [head.path(), head.query().map_or("", |_| "?"), head.query().unwrap_or_default()].concat();
    assert_eq!(said.as_bytes(), path);
    assert!(!head.path().contains('?'));
    let authority = one(fields, "host").or(one(fields, ":authority"));
    assert_eq!(Some(head.authority().as_bytes()), authority);
    assert_eq!(head.content_length(), values(fields, "content-length").find_map(number));
    for (known, name) in Known::ALL.into_iter().zip(NAMES) {
        let lines: Vec<&[u8]> = values(fields, name).collect();
        match head.get(known) {
            Field::Absent => assert!(lines.is_empty(), "{name}"),
            Field::One(value) if known.is_list() => assert_eq!(value, lines.join(&b", "[..]), "{name}"),
            Field::One(value) => assert_eq!(value, lines[0], "{name}"),
            Field::Many => assert!(lines.len() > 1 && !known.is_list(), "{name}"),
        }
    }
}

fn values<'a>(fields: &[Pair<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| *value)
}

fn lines(fields: &[Pair<'_>], name: &str) -> usize {
    values(fields, name).count()
}

fn one<'a>(fields: &[Pair<'a>], name: &str) -> Option<&'a [u8]> {
    values(fields, name).next()
}

fn number(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    text.parse().ok()
}

fn is_name(name: &[u8]) -> bool {
    let fits = |o: &u8| o.is_ascii_lowercase() || o.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(o);
    !name.is_empty() && name.iter().all(fits)
}

fn is_value(value: &[u8]) -> bool {
    let is_blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    let has_control = value.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t');
    !has_control && !is_blank(value.first()) && !is_blank(value.last())
}

fn is_authority(text: &[u8]) -> bool {
    let fits = |octet: &u8| octet.is_ascii_graphic() && !b"#/?@\\".contains(octet);
    !text.is_empty() && text[0] != b':' && text.iter().all(fits)
}

fn shown(fields: &[Pair<'_>]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{}: {}\n", name.escape_ascii(), value.escape_ascii()))
        .collect()
}
