//! A key is known by prefix, length, alphabet and checksum, and by nothing less.
//!
//! The input is read as a text, and as a recipe: what to draw, what to change, how to escape.

use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::{ALPHABET, KeyClass, KeyText, bearer, looks_like_key};
use sha2::{Digest, Sha256};

const PREFIXES: [(&str, KeyClass, Mode); 4] = [
    ("ath_sec_live_", KeyClass::Secret, Mode::Live),
    ("ath_sec_test_", KeyClass::Secret, Mode::Test),
    ("rk_live_ath_", KeyClass::Restricted, Mode::Live),
    ("rk_test_ath_", KeyClass::Restricted, Mode::Test),
];
const BODY: usize = 22;
const CHECKSUM: usize = 6;

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    assert_eq!(reads(input, canary).is_some(), is_key(input));
    if let Some(credential) = bearer(input) {
        assert!(input.ends_with(credential) && credential.iter().all(u8::is_ascii_graphic));
        assert_eq!(bearer(&[b"bEARER ", credential].concat()), Some(credential));
    }
    let Some((recipe, rest)) = input.split_at_checked(BODY + 3) else { return };
    let (prefix, class, mode) = PREFIXES[usize::from(recipe[0] % 4)];
    let key = make(prefix, &recipe[3..]);
    let read = KeyText::parse(&key).expect("a key with its checksum is one");
    assert_eq!((read.class(), read.mode(), &read.last_four()[..]), (class, mode, &key[key.len() - 4..]));
    assert_eq!(read.digest().as_bytes(), &<[u8; 32]>::from(Sha256::digest(&key)));
    assert_eq!(bearer(&[b"Bearer ", &key[..]].concat()), Some(&key[..]));

    let mut other = key.clone();
    let place = usize::from(recipe[1]) % key.len();
    other[place] = recipe[2];
    assert_eq!(reads(&other, canary).is_some(), other == key, "a changed key is none");
    assert!(KeyText::parse(&key[..key.len() - 1]).is_err());
    assert!(KeyText::parse(&[&key[..], b"0"].concat()).is_err());
    leaks(&key, rest);
}

/// A key in a URL is found whatever stands around it and however it is escaped.
fn leaks(key: &[u8], around: &[u8]) {
    let (before, escapes) = around.split_at(around.len() / 2);
    let mut url = before.to_vec();
    for (at, octet) in key.iter().enumerate() {
        match escapes.get(at).map_or(0, |choice| choice % 4) {
            0 => url.push(*octet),
            1 => url.extend(format!("%{octet:02x}").bytes()),
            2 => url.extend(format!("%{octet:02X}").bytes()),
            _ => url.extend(format!("%2525{octet:02x}").bytes()),
        }
    }
    assert!(looks_like_key(&url), "{:?}", String::from_utf8_lossy(&url));
}

fn make(prefix: &str, drawn: &[u8]) -> Vec<u8> {
    let mut key = prefix.as_bytes().to_vec();
    key.extend(drawn[..BODY].iter().map(|octet| ALPHABET[usize::from(octet % 62)]));
    let sum = checksum(&key);
    key.extend(sum);
    key
}

fn is_key(text: &[u8]) -> bool {
    PREFIXES.iter().any(|(prefix, ..)| {
        let tail = text.strip_prefix(prefix.as_bytes()).unwrap_or_default();
        tail.len() == BODY + CHECKSUM
            && tail.iter().all(|octet| ALPHABET.contains(octet))
            && checksum(&text[..text.len() - CHECKSUM]) == text[text.len() - CHECKSUM..]
    })
}

/// The slow way: a 64-bit number, divided by 62 again and again.
fn checksum(covered: &[u8]) -> Vec<u8> {
    let start = Sha256::digest(covered)[..8].iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
    let places = std::iter::successors(Some(start), |left| Some(left / 62)).take(CHECKSUM);
    let mut digits: Vec<u8> = places.map(|left| ALPHABET[(left % 62) as usize]).collect();
    digits.reverse();
    digits
}

/// The canary's bug: the last character of the checksum is not looked at.
fn reads(text: &[u8], canary: bool) -> Option<KeyClass> {
    let read = |text: &[u8]| KeyText::parse(text).ok().map(|key| key.class());
    let last = |digit: &u8| read(&[&text[..text.len() - 1], &[*digit]].concat());
    match read(text) {
        None if canary && text.len() > BODY => ALPHABET.iter().find_map(last),
        known => known,
    }
}
