//! Keys: formats, checksum, fairness of the draw, bearer values, keys in URLs.

use KeyClass::{Restricted, Secret};
use Mode::{Live, Test};
use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::{ALPHABET, ApiKey, KeyClass, KeyText, bearer, looks_like_key};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// xorshift64*: fair enough to count digits, and the same at every run.
fn entropy(mut state: u64) -> impl FnMut(&mut [u8]) {
    move |buffer| {
        for octet in buffer {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            *octet = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8;
        }
    }
}

const CLASSES: [(KeyClass, Mode, &str); 4] = [
    (Secret, Live, "ath_sec_live_"),
    (Secret, Test, "ath_sec_test_"),
    (Restricted, Live, "rk_live_ath_"),
    (Restricted, Test, "rk_test_ath_"),
];

#[test]
fn a_drawn_key_reads_back_as_what_it_is() {
    for (class, mode, prefix) in CLASSES {
        let key = ApiKey::generate(class, mode, entropy(7));
        assert!(key.expose().starts_with(prefix));
        assert_eq!(key.expose().len(), prefix.len() + 28);
        let read = KeyText::parse(key.expose().as_bytes()).unwrap();
        assert_eq!((read.class(), read.mode()), (class, mode));
        assert_eq!(read.digest(), key.as_text().digest());
        let digest: [u8; 32] = Sha256::digest(key.expose()).into();
        assert_eq!(read.digest().as_bytes(), &digest);
        assert!(key.expose().as_bytes().ends_with(&read.last_four()));
    }
}

#[test]
fn the_format_is_pinned() {
    // python3: d=int.from_bytes(sha256(b"rk_live_ath_"+b"0"*22).digest()[:8],"big") % 62**6
    let key = ApiKey::generate(Restricted, Live, |buffer| buffer.fill(0));
    assert_eq!(key.expose(), "rk_live_ath_00000000000000000000009psexJ");
}

#[test]
fn any_changed_character_is_refused() {
    let key = ApiKey::generate(Secret, Live, entropy(1));
    for index in 0..key.expose().len() {
        for other in [b'A', b'z', b'_', b' ', 0, 0xff] {
            let mut text = key.expose().as_bytes().to_vec();
            if text[index] != other {
                text[index] = other;
                assert!(KeyText::parse(&text).is_err(), "{index} {other}");
            }
        }
    }
}

#[test]
fn a_key_with_the_prefix_of_another_class_is_refused() {
    for (class, mode, prefix) in CLASSES {
        let key = ApiKey::generate(class, mode, entropy(3));
        let tail = &key.expose()[prefix.len()..];
        for (.., other) in CLASSES.iter().filter(|(.., other)| *other != prefix) {
            assert!(KeyText::parse(format!("{other}{tail}").as_bytes()).is_err());
        }
    }
}

#[test]
fn cut_padded_and_foreign_texts_are_refused() {
    let key = ApiKey::generate(Secret, Live, entropy(1));
    let text = key.expose();
    let upper = text.to_ascii_uppercase();
    let cases = [
        "",
        "ath_sec_live_",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "rk_live_4eC39HqLyjWDarjtT1zdp7dc00000000",
        &text[1..],
        &text[..text.len() - 1],
        &upper,
    ];
    for case in cases {
        assert!(KeyText::parse(case.as_bytes()).is_err(), "{case}");
    }
    assert!(KeyText::parse(format!("{text}0").as_bytes()).is_err());
    assert!(KeyText::parse(format!(" {text}").as_bytes()).is_err());
}

#[test]
fn octets_that_would_favour_a_digit_are_thrown_away() {
    let mut round = 0_u8;
    let key = ApiKey::generate(Secret, Live, |buffer| {
        // 248 and above must leave no trace, wherever they stand.
        for (index, octet) in buffer.iter_mut().enumerate() {
            *octet = if index % 2 == 0 { 248 + (index % 8) as u8 } else { 61 };
        }
        round += 1;
    });
    assert_eq!(&key.expose()[13..35], "z".repeat(22));
    assert_eq!(round, 2, "16 fair octets a draw");
}

#[test]
fn all_digits_are_drawn_alike() {
    let mut counts = [0_u32; 128];
    let mut source = entropy(99);
    for _ in 0..6_200 {
        let key = ApiKey::generate(Restricted, Live, &mut source);
        key.expose()[12..34].bytes().for_each(|octet| counts[usize::from(octet)] += 1);
    }
    // 2 200 expected, standard deviation 47; a biased draw favours 8 digits by a quarter.
    for &octet in ALPHABET {
        let count = counts[usize::from(octet)];
        assert!((1_950..2_450).contains(&count), "{}: {count}", char::from(octet));
    }
}

#[test]
fn secret_scanners_do_not_take_a_key_for_another_vendors() {
    for (class, mode, _) in CLASSES {
        let key = ApiKey::generate(class, mode, entropy(5));
        for start in ["sk_test_", "sk_live_", "rk_test_", "rk_live_"] {
            // (sk|rk)_(test|live)_[a-zA-Z0-9]{10,}
            let run = key
                .expose()
                .split_once(start)
                .map_or(0, |(_, tail)| tail.bytes().take_while(u8::is_ascii_alphanumeric).count());
            assert!(run < 10, "{start}");
        }
    }
}

#[test]
fn debug_shows_no_character_of_a_key() {
    let key = ApiKey::generate(Secret, Live, entropy(1));
    let text = format!("{key:?} {:?} {:?}", key.as_text(), key.as_text().digest());
    assert_eq!(text, "ApiKey(Secret, Live, redacted) KeyText(Secret, Live, redacted) KeyDigest(redacted)");
}

#[test]
fn bearer_takes_one_credential_and_nothing_else() {
    type Row = (&'static [u8], Option<&'static [u8]>, &'static str);
    let table: &[Row] = &[
        (b"Bearer abc", Some(b"abc"), "plain"),
        (b"bearer abc", Some(b"abc"), "scheme case"),
        (b"BEARER abc", Some(b"abc"), "scheme case"),
        (b"Bearer   abc", Some(b"abc"), "1*SP"),
        (b"Bearer a_b-c.d~e+f/g==", Some(b"a_b-c.d~e+f/g=="), "token68"),
        (b"Bearer", None, "no credential"),
        (b"Bearer ", None, "no credential"),
        (b"Bearerabc", None, "no space"),
        (b"Bearer\tabc", None, "tab"),
        (b"Bearer \tabc", None, "tab"),
        (b" Bearer abc", None, "leading space"),
        (b"Bearer abc ", None, "trailing space"),
        (b"Bearer abc def", None, "two credentials"),
        (b"Bearer abc,Bearer def", None, "list"),
        (b"Bearer \"abc\"", None, "quoted"),
        (b"Basic abc", None, "other scheme"),
        (b"abc", None, "no scheme"),
        (b"", None, "empty"),
        (b"Bearer ab\0c", None, "NUL"),
        (b"Bearer ab\xc3\xa9", None, "beyond ASCII"),
    ];
    for (value, want, why) in table {
        assert_eq!(bearer(value), *want, "{why}");
    }
}

#[test]
fn a_key_in_a_url_is_found_however_it_is_written() {
    for found in [
        "/v1/verifications?key=rk_live_ath_0123",
        "/rk_test_ath_x",
        "?k=ath_sec_live_",
        "aath_sec_test_x",
        "/?k=%72k_live_ath_0",
        "/?k=rk%5Flive%5fath_0",
        "/?k=%61%74%68%5f%73%65%63%5f%6c%69%76%65%5f",
        "/?k=%2572k_live_ath_0",
        "/?k=%252561th_sec_live_",
    ] {
        assert!(looks_like_key(found.as_bytes()), "{found}");
    }
    for clean in [
        "",
        "/v1/verifications",
        "/rk_live_x",
        "?path_sec=live_",
        "/%",
        "/%7",
        "/%zz",
        "/%25",
        "ath_sec_liv",
        "RK_LIVE_ATH_",
    ] {
        assert!(!looks_like_key(clean.as_bytes()), "{clean}");
    }
}

proptest! {
    #[test]
    fn no_octets_make_the_parsers_panic(text in prop::collection::vec(any::<u8>(), 0..60), tail in "[a-zA-Z0-9]{28}") {
        let _ = (KeyText::parse(&text), bearer(&text), looks_like_key(&text));
        let _ = KeyText::parse(format!("rk_live_ath_{tail}").as_bytes());
    }
}
