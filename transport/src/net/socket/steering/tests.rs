use authepy_engine::entropy::Entropy as _;
use authepy_engine::testing::Seeded;

use super::*;

/// Runs a program as the kernel does: `None` if the kernel would refuse it, or a load failed.
fn verdict(program: &[sock_filter], packet: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut at, mut scratch) = (0u32, 0u32, 0usize, [0u32; 16]);
    let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    loop {
        let &sock_filter { code, jt, jf, k } = program.get(at)?;
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match u32::from(code) {
            LENGTH => a = packet.len() as u32,
            LOAD_BYTE => a = u32::from(*packet.get(k as usize)?),
            LOAD_WORD => a = word(k as usize)?,
            LOAD_WORD_AT_X => a = word(x.wrapping_add(k) as usize)?,
            LOAD_NUMBER => a = k,
            LOAD_SCRATCH => a = *scratch.get(k as usize)?,
            LOAD_SCRATCH_X => x = *scratch.get(k as usize)?,
            STORE => *scratch.get_mut(k as usize)? = a,
            KEEP_IN_X => x = a,
            SUBTRACT => a = a.wrapping_sub(k),
            MULTIPLY => a = a.wrapping_mul(k),
            MODULO => a %= k,
            SHIFT_RIGHT => a >>= k,
            XOR_X => a ^= x,
            JUMP => at += k as usize,
            IF_SET => at += jump(a & k != 0),
            IF_AT_LEAST => at += jump(a >= k),
            IF_AT_LEAST_X => at += jump(a >= x),
            IF_ABOVE => at += jump(a > k),
            RETURN => return Some(k),
            RETURN_A => return Some(a),
            _ => return None,
        }
    }
}

fn short(id: &[u8]) -> Vec<u8> {
    [&[0x40], id, &[7; 20]].concat()
}

fn long(id: &[u8], behind: usize) -> Vec<u8> {
    [&[0xc0, 0, 0, 0, 1, id.len() as u8], id, &vec![9; behind]].concat()
}

fn id(random: &mut Seeded, length: usize) -> Vec<u8> {
    let mut id = vec![0; length];
    random.fill(&mut id);
    id
}

#[test]
fn the_program_and_the_rule_agree_about_every_id() {
    let mut random = Seeded::new(18);
    for lanes in [2, 3, 8, 256] {
        let steering = Steering::draw(lanes);
        let program = steering.program();
        assert!(program.len() < 128, "{}", program.len());
        for round in 0..2_000 {
            let length = 8 + round % 13;
            let id = id(&mut random, length);
            let lane = steering.lane(&id).map(|lane| lane as u32);
            assert!(lane.is_some_and(|lane| lane < lanes as u32));
            for behind in [0, 1, 1_200] {
                assert_eq!(verdict(&program, &long(&id, behind)), lane, "{length} bytes");
            }
            assert_eq!(verdict(&program, &short(&id)), steering.lane(&id[..8]).map(|lane| lane as u32));
        }
    }
}

#[test]
fn what_has_no_whole_id_is_nobodys() {
    let program = Steering::draw(4).program();
    for length in 0..9 {
        assert_eq!(verdict(&program, &vec![0x40; length]), Some(NO_LANE), "short, {length}");
    }
    for length in 0..=255 {
        let mut packet = long(&vec![1; length], 0);
        packet[0] = 0xff;
        let is_whole = (8..=20).contains(&length);
        assert_eq!(verdict(&program, &packet) != Some(NO_LANE), is_whole, "long, id of {length}");
        packet.pop();
        assert_eq!(verdict(&program, &packet), Some(NO_LANE), "long, {length} cut by one");
    }
    assert_eq!(verdict(&program, &[0xc0; 5]), Some(NO_LANE));
}

/// How unevenly these ids spread over eight lanes, as chi-squared with seven degrees of freedom:
/// for a uniform distribution it exceeds 40 once in a million times.
fn unevenness(steering: &Steering, ids: impl Iterator<Item = Vec<u8>>) -> f64 {
    let mut counts = [0u32; 8];
    ids.for_each(|id| counts[steering.lane(&id).unwrap()] += 1);
    let mean = f64::from(counts.iter().sum::<u32>()) / 8.0;
    counts.iter().map(|count| (f64::from(*count) - mean).powi(2) / mean).sum()
}

#[test]
fn whoever_fixes_a_byte_of_his_id_still_reaches_every_lane_alike() {
    let mut random = Seeded::new(6);
    for length in [8, 12, 16, 18, 20] {
        for fixed in 0..length {
            let steering = Steering::draw(8);
            let ids = (0..8_000).map(|_| {
                let mut id = id(&mut random, length);
                id[fixed] = 0x42;
                id
            });
            let uneven = unevenness(&steering, ids);
            assert!(uneven < 45.0, "byte {fixed} of {length}: {uneven}");
        }
    }
}

#[test]
fn whoever_fixes_all_bytes_but_two_still_reaches_every_lane() {
    for length in [8, 11, 20] {
        for free in 0..length - 1 {
            let steering = Steering::draw(8);
            let ids = (0..=u16::MAX).step_by(7).map(|n| {
                let mut id = vec![0x42; length];
                id[free..free + 2].copy_from_slice(&n.to_be_bytes());
                id
            });
            let mut counts = [0u32; 8];
            ids.for_each(|id| counts[steering.lane(&id).unwrap()] += 1);
            // A few thousand: not quite uniform, but no lane gets most of it.
            assert!(
                counts.iter().all(|count| (800..1_600).contains(count)),
                "{free} of {length}: {counts:?}"
            );
        }
    }
}

#[test]
fn another_start_leads_the_same_id_elsewhere() {
    let starts: Vec<_> = (0..64).map(|_| Steering::draw(8).lane(&[7; 8]).unwrap()).collect();
    assert!((0..8).filter(|lane| starts.contains(lane)).count() > 4, "{starts:?}");
}
