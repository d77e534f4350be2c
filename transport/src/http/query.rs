//! Canonical form of a URL query, independent of parameter order and escaping.
//!
//! No route reads its query. But a proxy or firewall in front of us may, and to it a request with
//! another query may be another request. So the query is part of what an idempotency key stands
//! for. A name that occurs twice is refused, because different implementations take different
//! values.
//!
//! Parameters are parsed like forms (WHATWG URL, 5.1): `&` between them, `=` after the name, `+`
//! for a space, `%` and two digits for an octet. They are written with every octet escaped that RFC
//! 3986, 2.3 does not list as unreserved, sorted by the escaped name as in OAuth 1.0 (RFC 5849,
//! 3.4.1.3.2). No name occurs twice, so values need no order.

use zeroize::Zeroizing;

use crate::http::reply::Problem;
use crate::limits::QUERY_PARAMETERS;

const TWICE: Problem = Problem::MalformedRequest("a query parameter occurs twice");
const TOO_MANY: Problem = Problem::MalformedRequest("a query has at most 64 parameters");

/// The canonical form of a query; empty if there is none.
pub(crate) fn canonical(query: Option<&str>) -> Result<Zeroizing<String>, Problem> {
    let Some(query) = query else { return Ok(Zeroizing::default()) };
    let mut parameters = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        if parameters.len() == QUERY_PARAMETERS {
            return Err(TOO_MANY);
        }
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        parameters.push((escaped(name), escaped(value)));
    }
    parameters.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    if parameters.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
        return Err(TWICE);
    }
    // Allocated at full size, so that growth never moves it and leaves a copy behind.
    let mut out = Zeroizing::new(String::with_capacity(3 * query.len() + parameters.len()));
    for (name, value) in &parameters {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    Ok(out)
}

/// Decodes the escapes of a text and escapes it canonically. A `%` without two digits after it
/// stands for itself.
fn escaped(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len()));
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (octet, left) = match (first, behind) {
            (b'+', _) => (b' ', behind),
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => (b'%', behind),
            },
            (octet, _) => (*octet, behind),
        };
        push(octet, &mut out);
        rest = left;
    }
    out
}

fn push(octet: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(octet.into()),
        _ => {
            out.push('%');
            out.push(DIGITS[usize::from(octet >> 4)].into());
            out.push(DIGITS[usize::from(octet & 15)].into());
        }
    }
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use authepy_engine::testing::Seeded;

    use super::*;

    fn text(query: &str) -> String {
        canonical(Some(query)).unwrap().to_string()
    }

    #[test]
    fn spellings_of_one_query_are_one_text() {
        assert_eq!(*canonical(None).unwrap(), "");
        for (query, expected) in [
            ("", ""),
            ("&&", ""),
            ("z", "z="),
            ("z=", "z="),
            ("b=2&a=1", "a=1&b=2"),
            ("a=b=c", "a=b%3Dc"),
            ("a=%62", "a=b"),
            ("%61=b", "a=b"),
            ("a=x+y", "a=x%20y"),
            ("a=x%20y", "a=x%20y"),
            ("a=%c3%A9", "a=%C3%A9"),
            ("a=é", "a=%C3%A9"),
            ("a=~%7E", "a=~~"),
            ("a=100%", "a=100%25"),
            ("a=%zz%2", "a=%25zz%252"),
            ("a%26b=1", "a%26b=1"),
            ("B=1&a=2&a-=3", "B=1&a=2&a-=3"),
        ] {
            assert_eq!(text(query), expected, "{query}");
        }
    }

    #[test]
    fn any_order_is_the_same_and_any_change_another() {
        let mut parameters: Vec<String> = (0..20).map(|n| format!("n{n}=v{}", n % 3)).collect();
        let expected = text(&parameters.join("&"));
        let mut random = Seeded::new(1);
        for _ in 0..200 {
            let (one, other) = (random.below(20) as usize, random.below(20) as usize);
            parameters.swap(one, other);
            assert_eq!(text(&parameters.join("&")), expected);
            let mut changed = parameters.clone();
            changed[one].push('x');
            assert_ne!(text(&changed.join("&")), expected);
            changed.remove(one);
            assert_ne!(text(&changed.join("&")), expected);
        }
    }

    #[test]
    fn a_name_twice_and_a_crowd_are_refused() {
        for query in ["a=1&a=1", "a=1&b=2&a=3", "a&%61", "a+b=1&a%20b=1", "=1&=2"] {
            assert_eq!(canonical(Some(query)), Err(TWICE), "{query}");
        }
        let many = |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>().join("&");
        assert!(canonical(Some(&many(QUERY_PARAMETERS))).is_ok());
        assert_eq!(canonical(Some(&many(QUERY_PARAMETERS + 1))), Err(TOO_MANY));
        assert_eq!(canonical(Some(&"&".repeat(16_000))).unwrap().as_str(), "");
    }
}
