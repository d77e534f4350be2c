//! The ways in which a text can stand in a log without looking like itself.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Bytes shown around what was found.
const AROUND: usize = 80;

/// A secret in each encoding that is looked for, with its name.
pub(crate) fn spellings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let joined = |each: &dyn Fn(&u8) -> String, between: &str| {
        bytes.iter().map(each).collect::<Vec<_>>().join(between).into_bytes()
    };
    let mut all = vec![
        ("plain text", bytes.to_vec()),
        ("lower case", secret.to_lowercase().into_bytes()),
        ("upper case", secret.to_uppercase().into_bytes()),
        ("percent escapes", joined(&|byte| format!("%{byte:02X}"), "")),
        ("hexadecimal", joined(&|byte| format!("{byte:02x}"), "")),
        ("upper hexadecimal", joined(&|byte| format!("{byte:02X}"), "")),
        ("JSON escapes", joined(&|byte| format!("\\u{byte:04x}"), "")),
        ("a list of decimals", joined(&|byte| byte.to_string(), ", ")),
        ("a dense list of decimals", joined(&|byte| byte.to_string(), ",")),
        ("a list of hexadecimals", joined(&|byte| format!("{byte:x}"), ", ")),
        ("reversed text", bytes.iter().rev().copied().collect()),
        ("UTF-16, little end first", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, big end first", secret.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ];
    for shift in 0..3 {
        all.push((
            ["base64", "base64 from its second byte on", "base64 from its third byte on"][shift],
            base64(bytes, shift),
        ));
    }
    all
}

/// A peer's address in the spellings that programs have for one, and in those of any text.
pub(crate) fn spellings_of_address(address: IpAddr) -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: String| text.into_bytes();
    let mut all = spellings(&address.to_string());
    let (octets, mapped) = match address {
        IpAddr::V4(v4) => (v4.octets().to_vec(), v4.to_ipv6_mapped()),
        // Short as `::1` is, it stands in module paths; in brackets it does not.
        IpAddr::V6(v6) => {
            return vec![("an IPv6 address", text(format!("[{v6}]"))), ("its bytes", v6.octets().to_vec())];
        }
    };
    let [.., high, low] = mapped.segments();
    let each = |between: &str, each: fn(&u8) -> String| {
        octets.iter().map(each).collect::<Vec<_>>().join(between).into_bytes()
    };
    all.extend([
        ("an IPv4-mapped address", text(format!("::ffff:{high:x}:{low:x}"))),
        ("its segments", text(format!("{high:x}:{low:x}"))),
        ("hexadecimal octets", each("", |octet| format!("{octet:02x}"))),
        ("upper hexadecimal octets", each("", |octet| format!("{octet:02X}"))),
        ("a list of octets", each(", ", u8::to_string)),
        ("a dense list of octets", each(",", u8::to_string)),
        ("octets with dashes", each("-", u8::to_string)),
        ("one number", text(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]).to_string())),
        ("its bytes", octets.clone()),
    ]);
    all
}

/// Where this number stands in a text by itself, and not as a part of a longer one or of a word.
pub(crate) fn found_number(text: &[u8], number: u16) -> Option<String> {
    let digits = number.to_string().into_bytes();
    let is_part = |at: Option<&u8>| at.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let at = memchr::memmem::find_iter(text, &digits).find(|&at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !is_part(before) && !is_part(text.get(at + digits.len()))
    })?;
    Some(around(text, at, digits.len()))
}

/// The characters that base64 has for these bytes wherever they begin, less those shared with neighbours.
fn base64(bytes: &[u8], shift: usize) -> Vec<u8> {
    let text = STANDARD_NO_PAD.encode([&[0; 3][..shift], bytes].concat()).into_bytes();
    let (from, whole) = ((shift * 8).div_ceil(6), (shift + bytes.len()) * 8 / 6);
    text[from..whole].to_vec()
}

/// Where a spelling stands in a text: what is around it.
pub(crate) fn found(text: &[u8], spelling: &[u8]) -> Option<String> {
    memchr::memmem::find(text, spelling).map(|at| around(text, at, spelling.len()))
}

fn around(text: &[u8], at: usize, length: usize) -> String {
    text[at.saturating_sub(AROUND)..(at + length + AROUND).min(text.len())].escape_ascii().to_string()
}

#[test]
fn each_spelling_is_found_where_it_is_planted() {
    let secret = "canaryH30qz7w";
    let base64 = |before: &[u8]| STANDARD_NO_PAD.encode([before, secret.as_bytes(), b"after"].concat());
    let planted = [
        format!("to={secret};"),
        format!("to={};", secret.to_lowercase()),
        format!("{:?}", secret.as_bytes()),
        format!("{:x?}", secret.as_bytes()),
        base64(b""),
        base64(b"x"),
        base64(b"xy"),
        base64(b"xyz"),
        secret.chars().rev().collect(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for text in planted {
        let seen = spellings(secret).iter().any(|(_, spelling)| found(text.as_bytes(), spelling).is_some());
        assert!(seen, "{text}");
    }
    assert!(
        spellings("somebodyelse").iter().all(|(_, spelling)| found(secret.as_bytes(), spelling).is_none())
    );
}

#[test]
fn an_address_and_a_port_are_found_in_each_spelling() {
    let peer: IpAddr = "127.83.41.211".parse().unwrap();
    let planted = [
        "from 127.83.41.211:39156".to_owned(),
        format!("{:?}", std::net::SocketAddr::from(([127, 83, 41, 211], 39156))),
        "[::ffff:127.83.41.211]:1".into(),
        format!(
            "{:?}",
            std::net::Ipv4Addr::new(127, 83, 41, 211)
                .to_ipv6_mapped()
                .segments()
                .map(|part| format!("{part:x}"))
        )
        .replace("\", \"", ":"),
        format!("{:?}", [127_u8, 83, 41, 211]),
        "7f5329d3".into(),
        u32::from_be_bytes([127, 83, 41, 211]).to_string(),
        "ip-127-83-41-211".into(),
    ];
    for text in planted {
        let seen = spellings_of_address(peer).iter().any(|(_, one)| found(text.as_bytes(), one).is_some());
        assert!(seen, "{text}");
    }
    let v6 = spellings_of_address("::1".parse().unwrap());
    assert!(v6.iter().any(|(_, one)| found(b"remote=[::1]:39156", one).is_some()));
    for (text, seen) in [
        ("127.83.41.211:39156", true),
        ("port: 39156, x", true),
        ("\"port\":39156}", true),
        ("139156", false),
        ("391560", false),
        ("a39156", false),
    ] {
        assert_eq!(found_number(text.as_bytes(), 39156).is_some(), seen, "{text}");
    }
}
