use std::sync::LazyLock;

use super::super::tests::Seeded;
use super::*;

/// Bits and length of every code, found by counting as appendix B's construction does.
static CODES: LazyLock<[(u32, u32); 257]> = LazyLock::new(|| {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
    let mut codes = [(0, 0); 257];
    let (mut code, mut length) = (0u32, 0);
    for symbol in order {
        code <<= u32::from(LENGTHS[symbol]) - length;
        length = u32::from(LENGTHS[symbol]);
        codes[symbol] = (code, length);
        code += 1;
    }
    codes
});

/// A slow encoder: a text of zeroes and ones, padded with ones.
fn encode(text: &[u8]) -> Vec<u8> {
    let spell = |byte: &u8| {
        let (bits, length) = CODES[usize::from(*byte)];
        format!("{bits:0width$b}", width = length as usize)
    };
    pack(text.iter().map(spell).collect())
}

fn pack(mut bits: String) -> Vec<u8> {
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let octets = bits.as_bytes().chunks(8);
    octets.map(|octet| u8::from_str_radix(str::from_utf8(octet).unwrap(), 2).unwrap()).collect()
}

fn decoded(input: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut out = vec![0; longest(input.len())];
    let written = decode(input, &mut out)?;
    assert!(shortest(input.len()) <= written);
    out.truncate(written);
    Ok(out)
}

#[test]
fn the_code_is_complete() {
    let kraft: u64 = LENGTHS.iter().map(|length| 1 << (32 - length)).sum();
    assert_eq!(kraft, 1 << 32);
}

#[test]
fn a_length_says_between_how_many_symbols_it_holds() {
    assert_eq!([0, 1, 5, 16].map(longest), [0, 1, 8, 25]);
    // The last seven bits may be padding.
    assert_eq!([0, 1, 4, 5, 30, 31].map(shortest), [0, 0, 0, 1, 7, 8]);
}

#[test]
fn codes_are_those_printed_in_rfc_7541_appendix_b() {
    for (symbol, bits, length) in [
        (0, 0x1ff8, 13),
        (10, 0x3fff_fffc, 30),
        (usize::from(b' '), 0x14, 6),
        (usize::from(b'!'), 0x3f8, 10),
        (usize::from(b'0'), 0x0, 5),
        (usize::from(b'A'), 0x21, 6),
        (usize::from(b'Z'), 0xfd, 8),
        (usize::from(b'\\'), 0x7_fff0, 19),
        (usize::from(b'a'), 0x3, 5),
        (usize::from(b'z'), 0x7b, 7),
        (usize::from(b'~'), 0x1ffd, 13),
        (128, 0xf_ffe6, 20),
        (255, 0x3ff_ffee, 26),
        (256, 0x3fff_ffff, 30),
    ] {
        assert_eq!(CODES[symbol], (bits, length), "symbol {symbol}");
    }
}

#[test]
fn the_examples_of_rfc_7541_appendix_c_are_read() {
    let examples: [(&[u8], &str); 6] = [
        (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
        (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
        (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key"),
        (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
        (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
        (
            &[
                0xd0, 0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81,
                0x66, 0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff,
            ],
            "Mon, 21 Oct 2013 20:13:21 GMT",
        ),
    ];
    for (bytes, text) in examples {
        assert_eq!(decoded(bytes).as_deref(), Ok(text.as_bytes()));
        assert_eq!(encode(text.as_bytes()), bytes);
    }
}

#[test]
fn every_symbol_at_every_bit_offset_comes_back() {
    for symbol in 0..=255u8 {
        for before in 0..8 {
            let text = [vec![b'0'; before], vec![symbol; 3], vec![b'a'; before]].concat();
            assert_eq!(decoded(&encode(&text)), Ok(text));
        }
    }
}

#[test]
fn random_texts_come_back() {
    let mut seeded = Seeded(7);
    for _ in 0..300 {
        let length = seeded.below(64);
        let text: Vec<u8> = (0..length).map(|_| seeded.next() as u8).collect();
        assert_eq!(decoded(&encode(&text)), Ok(text));
    }
}

#[test]
fn padding_is_under_eight_bits_and_all_ones() {
    assert_eq!(decoded(&[]), Ok(vec![]));
    assert_eq!(decoded(&pack("00011".into())), Ok(b"a".to_vec()));
    let malformed = Err(Unreadable::Malformed);
    assert_eq!(decoded(&[0b0001_1110]), malformed, "a zero at the end");
    assert_eq!(decoded(&[0b0001_1011]), malformed, "a zero at the start");
    assert_eq!(decoded(&[0b0001_1111, 0xff]), malformed, "eleven bits");
    assert_eq!(decoded(&[0xff]), malformed, "eight bits after nothing");
    let seven = pack(format!("{}{}", "00011".repeat(5), "1111111"));
    assert_eq!(decoded(&seven), Ok(b"aaaaa".to_vec()), "seven are the most");
}

#[test]
fn eos_has_no_place_in_a_string() {
    for before in 0..8 {
        let bits = format!("{}{}00011", "00011".repeat(before), "1".repeat(30));
        assert_eq!(decoded(&pack(bits)), Err(Unreadable::Malformed));
    }
    assert_eq!(decoded(&[0xff; 4]), Err(Unreadable::Malformed));
}

#[test]
fn a_string_longer_than_its_space_is_told_apart_from_a_bad_one() {
    let bytes = encode(b"0123456789");
    assert_eq!(decode(&bytes, &mut [0; 10]), Ok(10));
    assert_eq!(decode(&bytes, &mut [0; 9]), Err(Unreadable::TooLong));
}
