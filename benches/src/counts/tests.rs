//! The gate can fail, and for each reason it has.
use super::*;

fn counted(rows: &[(&str, u64)]) -> Counts {
    let rows = rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Counts { architecture: "x86_64".into(), tools: "rustc 1.95.0, glibc 2.36".into(), rows }
}

fn finding(kept: u64, now: u64) -> Finding {
    counted(&[("a", kept)]).judge(&counted(&[("a", now)]))[0].finding
}

#[test]
fn three_per_cent_either_way_are_let_through_and_no_more() {
    for (now, expected) in [
        (10_000, Finding::Within),
        (10_300, Finding::Within),
        (10_301, Finding::Dearer),
        (9_700, Finding::Within),
        (9_699, Finding::Cheaper),
        (0, Finding::Cheaper),
    ] {
        assert_eq!(finding(10_000, now), expected, "{now}");
    }
    assert_eq!(finding(0, 1), Finding::Dearer);
}

#[test]
fn a_name_that_only_one_side_has_closes_the_gate() {
    let (kept, now) = (counted(&[("a", 1), ("gone", 2)]), counted(&[("a", 1), ("new", 3)]));
    let rows = kept.judge(&now);
    let findings: Vec<(&str, Finding)> = rows.iter().map(|row| (row.name.as_str(), row.finding)).collect();
    assert_eq!(findings, [("a", Finding::Within), ("new", Finding::NotKept), ("gone", Finding::NotAsked)]);
}

#[test]
fn other_tools_widen_the_band_and_another_architecture_judges_nothing() {
    let kept = counted(&[("a", 10_000)]);
    let (within, beyond) = (counted(&[("a", 11_500)]), counted(&[("a", 11_501)]));
    let updated = |counts: Counts| Counts { tools: "rustc 1.96.0, glibc 2.36".into(), ..counts };
    assert_eq!(kept.judge(&updated(within))[0].finding, Finding::Within);
    assert_eq!(kept.judge(&updated(beyond.clone()))[0].finding, Finding::Dearer);
    let elsewhere = Counts { architecture: "aarch64".into(), ..beyond.clone() };
    assert_eq!(kept.judge(&elsewhere)[0].finding, Finding::Incomparable);
    let bands = [&beyond, &updated(beyond.clone()), &elsewhere].map(|now| kept.band(now));
    assert_eq!(bands, [Some(3), Some(15), None]);
    let renamed = Counts { architecture: "aarch64".into(), ..counted(&[("b", 1)]) };
    assert!(kept.judge(&renamed).iter().all(|row| !row.finding.is_well()), "names are judged everywhere");
}

#[test]
fn only_what_is_within_or_incomparable_is_well() {
    use Finding::{Cheaper, Dearer, Incomparable, NotAsked, NotKept, Within};
    assert!([Within, Incomparable].into_iter().all(Finding::is_well));
    assert!(![Dearer, Cheaper, NotKept, NotAsked].into_iter().any(Finding::is_well));
}

#[test]
fn what_is_written_is_what_is_read() {
    let counts = counted(&[("codec/read-issue", 5_000), ("rulebook/issue", 9_000)]);
    assert_eq!(counts.to_string().parse::<Counts>().unwrap(), counts);
    for broken in [
        "",
        "architecture x86_64\n",
        "tools none\narchitecture x86_64\n",
        "architecture x86_64\ntools t\na\n",
        "architecture x86_64\ntools t\na many\n",
        "architecture x86_64\ntools t\na 1\na 2\n",
    ] {
        assert!(broken.parse::<Counts>().is_err(), "{broken:?}");
    }
}

#[test]
fn the_kept_file_can_be_read_and_names_every_question() {
    let kept: Counts = include_str!("../../instructions.txt").parse().unwrap();
    let names: Vec<&str> = kept.rows.iter().map(|(name, _)| name.as_str()).collect();
    let asked: Vec<&str> = crate::micro::questions().iter().map(|question| question.name).collect();
    assert_eq!(names, asked);
}
