//! `Forwarded` (RFC 7239, 4): a list of elements, each a list of pairs, of which only `for` is
//! read.
//!
//! ```text
//!   for=192.0.2.1;by=203.0.113.7 , for="[2001:db8::1]:80"
//!   ╰── second ────────────────╯   ╰── first ───────────╯
//! ```

use std::net::IpAddr;

use super::node::node;

/// The elements of a `Forwarded` list, last first, each trimmed; empty ones are skipped (RFC 9110,
/// 5.6.1).
pub(super) struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Elements<'a> {
    pub(super) fn of(list: &'a [u8]) -> Self {
        Self(Some(list))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.0?;
            let comma = last_bare_comma(rest);
            self.0 = comma.map(|at| &rest[..at]);
            let element = rest[comma.map_or(0, |at| at + 1)..].trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The last comma outside quotes, searched from the right, where the quotes are the proxy's own.
fn last_bare_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if quoted && is_escaped(list, at) => {}
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes precedes this position.
fn is_escaped(list: &[u8], at: usize) -> bool {
    list[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The address in one element's `for`; `None` if it is hidden, missing or repeated, or the element
/// is malformed.
pub(super) fn node_of(element: &[u8]) -> Option<IpAddr> {
    let (mut rest, mut named) = (element, None);
    loop {
        let (pair, after) = pair(rest)?;
        if let Some((name, value)) = pair
            && name.eq_ignore_ascii_case(b"for")
            && named.replace(value).is_some()
        {
            return None;
        }
        match after.split_first() {
            None => break,
            Some((b';', next)) => rest = next,
            Some(_) => return None,
        }
    }
    match named? {
        Value::Quoted(text) => node(&text),
        // Brackets and colons are not token characters: only IPv4 without a port can be unquoted.
        Value::Token(text) => node(text),
    }
}

enum Value<'a> {
    Token(&'a [u8]),
    Quoted(Vec<u8>),
}

type Pair<'a> = Option<(&'a [u8], Value<'a>)>;

/// Reads `[token "=" (token / quoted-string)]` from the front. The outer `None` means neither.
fn pair(text: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let text = text.trim_ascii_start();
    if matches!(text.first(), None | Some(b';')) {
        return Some((None, text));
    }
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted).map(|(value, rest)| (Value::Quoted(value), rest))?,
        None => token(rest).map(|(value, rest)| (Value::Token(value), rest))?,
    };
    Some((Some((name, value)), rest.trim_ascii_start()))
}

/// One or more token characters (RFC 9110, 5.6.2), and what follows.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The rest of a quoted string after its opening quote, and what follows its closing quote.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut value, mut at) = (Vec::new(), 0);
    loop {
        match *text.get(at)? {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' => {
                value.push(*text.get(at + 1)?);
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
}
