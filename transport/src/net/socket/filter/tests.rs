use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use authepy_engine::clock::Moment;
use authepy_engine::perimeter::ban::{BanChange, BanTable};
use authepy_engine::testing::Seeded;

use super::*;
use crate::limits::KERNEL_BANS;

/// Runs a program as the kernel does: `None` if the kernel would refuse it, or a load failed.
fn verdict(program: &[sock_filter], packet: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
    loop {
        let &sock_filter { code, jt, jf, k } = program.get(at)?;
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        let offset = k.wrapping_sub(libc::SKF_NET_OFF as u32) as usize;
        match u32::from(code) {
            LOAD_BYTE => a = u32::from(*packet.get(offset)?),
            LOAD_WORD => a = u32::from_be_bytes(packet.get(offset..offset + 4)?.try_into().ok()?),
            SHIFT_RIGHT => a >>= k,
            KEEP_IN_X => x = a,
            TAKE_FROM_X => a = x,
            JUMP => at += k as usize,
            IF_EQUAL => at += jump(a == k),
            IF_AT_LEAST => at += jump(a >= k),
            IF_ABOVE => at += jump(a > k),
            RETURN => return Some(k),
            _ => return None,
        }
    }
}

/// The shortest packet from this address: an IP header and an empty UDP datagram.
fn packet(from: IpAddr) -> Vec<u8> {
    match from {
        IpAddr::V4(v4) => {
            let mut packet = vec![0x11; 28];
            packet[0] = 0x45;
            packet[12..16].copy_from_slice(&v4.octets());
            packet
        }
        IpAddr::V6(v6) => {
            let mut packet = vec![0x11; 48];
            packet[0] = 0x60;
            packet[8..24].copy_from_slice(&v6.octets());
            packet
        }
    }
}

fn drops(program: &[sock_filter], from: IpAddr) -> bool {
    match verdict(program, &packet(from)) {
        Some(0) => true,
        Some(u32::MAX) => false,
        other => panic!("{other:?}"),
    }
}

/// Addresses from few enough bits that they collide: neighbours, nested networks, both families.
fn address(random: &mut Seeded) -> IpAddr {
    let (kind, bits) = (random.below(8), random.draw());
    let few = |bits: u64| (bits & 0x8000_0003_0001_0301) as u128;
    match kind {
        0 | 1 => Ipv4Addr::from_bits(bits as u32 & 0xc000_001f).into(),
        2 => Ipv4Addr::from_bits(bits as u32).into(),
        3 => Ipv6Addr::from_bits(u128::from(random.draw() & 0x1f) << 64).into(),
        4 => {
            Ipv6Addr::from_bits(u128::from(bits & 1) << 64 | 0xffff_0000_0000 | u128::from(bits >> 60)).into()
        }
        5 => Ipv6Addr::from_bits(u128::from(bits) << 64 | u128::from(random.draw())).into(),
        _ => Ipv6Addr::from_bits(few(bits) << 64 | u128::from(random.draw())).into(),
    }
}

fn network(random: &mut Seeded) -> Prefix {
    let (address, width) = (address(random).to_canonical(), random.below(3) as usize);
    match address {
        IpAddr::V4(v4) => v4.to_string().parse().unwrap(),
        IpAddr::V6(v6) => format!("{v6}/{}", [64, 56, 48][width]).parse().unwrap(),
    }
}

/// Whether the filter may leave this address to the ban table: it looks IPv4-mapped.
fn is_left_to_the_table(from: IpAddr) -> bool {
    matches!(from, IpAddr::V6(v6) if v6.segments()[..2] == [0, 0] && v6.segments()[4..6] == [0, 0xffff])
}

#[test]
fn the_filter_drops_what_the_table_bans_and_nothing_else() {
    let mut random = Seeded::new(58);
    let (mut dropped, mut passed) = (0, 0);
    for round in 0..600 {
        let count = [0, 1, 2, 8, 9, 40, KERNEL_BANS][round % 7];
        let networks: Vec<Prefix> = (0..count).map(|_| network(&mut random)).collect();
        let mut table = BanTable::default();
        for &prefix in &networks {
            let change = BanChange { prefix, until: Some(Moment::from_millis(1)), count: 1 };
            table.apply(&change, Moment::default());
        }
        let program = program(&networks);
        for _ in 0..300 {
            let from = address(&mut random);
            let (is_dropped, is_banned) =
                (drops(&program, from), table.until(from, Moment::default()).is_some());
            assert!(!is_dropped || is_banned, "{from} was heard before");
            assert!(is_dropped || !is_banned || is_left_to_the_table(from), "{from} is still heard");
            *(if is_dropped { &mut dropped } else { &mut passed }) += 1;
        }
    }
    assert!(dropped > 10_000 && passed > 10_000, "{dropped} and {passed}");
}

#[test]
fn every_edge_of_every_network_is_where_the_table_has_it() {
    let texts = ["10.0.0.1", "255.255.255.255", "2001:db8:0:100::/56", "2001:db8:1::/48", "fe80::/64"];
    let networks = texts.map(|text| text.parse::<Prefix>().unwrap());
    let program = program(&networks);
    for network in networks {
        let edges: Vec<IpAddr> = match network.sources() {
            Sources::V4(v4) => {
                [v4.wrapping_sub(1), v4, v4.wrapping_add(1)].map(|v4| Ipv4Addr::from_bits(v4).into()).to_vec()
            }
            Sources::V6 { first, last } => [first - 1, first, last, last + 1]
                .map(|half| Ipv6Addr::from_bits(u128::from(half) << 64 | 9).into())
                .to_vec(),
        };
        for edge in edges {
            assert_eq!(drops(&program, edge), networks.iter().any(|one| one.covers(edge)), "{edge}");
        }
    }
}

#[test]
fn a_header_that_is_of_no_family_or_cut_short_behind_the_source_is_let_through() {
    let everybody: Vec<Prefix> = ["0.0.0.0", "::/48"].map(|text| text.parse().unwrap()).to_vec();
    let program = program(&everybody);
    for version in (0..16).filter(|version| ![4, 6].contains(version)) {
        assert_eq!(verdict(&program, &[version << 4 | 5]), Some(u32::MAX), "version {version}");
    }
    // No load is beyond these bytes, whatever follows: an option, an extension, or nothing.
    assert!(verdict(&program, &packet(IpAddr::from([0; 4]))[..16]) == Some(0));
    assert!(verdict(&program, &packet(IpAddr::from([0; 16]))[..20]) == Some(0));
}

#[test]
fn the_greatest_program_stays_within_what_the_kernel_takes() {
    // Networks in separate /32s need the most instructions; wide ones need one more than narrow
    // ones.
    let apart: Vec<Prefix> =
        (0..KERNEL_BANS).map(|n| format!("{:x}:1::/48", 0x2000 + n).parse().unwrap()).collect();
    let together: Vec<Prefix> =
        (0..KERNEL_BANS).map(|n| format!("2001:db8:{n:x}::/48").parse().unwrap()).collect();
    let v4: Vec<Prefix> =
        (0..KERNEL_BANS).map(|n| Ipv4Addr::from_bits(n as u32 * 7).to_string().parse().unwrap()).collect();
    let most = 9 * KERNEL_BANS + 16;
    assert!(most * 3 / 2 <= libc::BPF_MAXINSNS as usize);
    for networks in [&apart, &together, &v4, &[&apart[..128], &v4[..128]].concat()] {
        let length = program(networks).len();
        assert!(length <= most, "{length}");
    }
}
