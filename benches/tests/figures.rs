//! Every program that `compare` reads from, small: it measures something and ends with its figures as JSON. How large
//! they are is not judged; this machine's speed proves nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation in a test is the point")]
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the program ends with.
fn said(program: &str, options: &[&str]) -> Value {
    let output = Command::new(program).args(options).arg("--json").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{output:?}"))
}

fn assert_positive(figures: &Value, names: &[&str]) {
    for name in names {
        assert!(figures[*name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {figures}");
    }
}

#[test]
fn the_engine_is_measured_one_by_one_and_in_batches() {
    let options = ["--live", "2000", "--pairs", "2000", "--rounds", "2"];
    let figures = said(env!("CARGO_BIN_EXE_engine_pairs"), &options);
    assert_positive(&figures, &["pairs_per_s", "one_by_one_pairs_per_s"]);
}

#[test]
fn growth_is_the_ratio_of_a_large_table_and_a_small_one() {
    let options = ["--few", "500", "--many", "5000", "--pairs", "2000", "--rounds", "2"];
    assert_positive(&said(env!("CARGO_BIN_EXE_engine_growth"), &options), &["growth"]);
}

#[test]
fn growth_of_a_request_is_the_ratio_of_two_servers() {
    let authepy = Path::new(env!("CARGO_BIN_EXE_request_growth")).with_file_name("authepy");
    assert!(authepy.is_file(), "{} is missing: build the workspace", authepy.display());
    let size = ["--few", "500", "--many", "3000", "--rounds", "2", "--window", "0.3"];
    let options = [&size[..], &["--server", authepy.to_str().unwrap()]].concat();
    assert_positive(&said(env!("CARGO_BIN_EXE_request_growth"), &options), &["growth"]);
}

#[test]
fn peers_say_hello_beside_the_server() {
    let authepy = Path::new(env!("CARGO_BIN_EXE_pair_vs_echo")).with_file_name("authepy");
    assert!(authepy.is_file(), "{} is missing: build the workspace", authepy.display());
    let size = ["--rounds", "2", "--window", "0.2", "--grid", "2x2", "--hellos", "--beside", "2"];
    let options = [&size[..], &["--server", authepy.to_str().unwrap()]].concat();
    let figures = said(env!("CARGO_BIN_EXE_pair_vs_echo"), &options);
    for peer in ["hyper_h2_16x16", "h3_crate_16x16", "beside_2x2"] {
        assert_positive(&figures[peer], &["echo_us", "pair_us", "ratio"]);
    }
}

#[test]
fn redis_keeps_the_rules_beside_the_engine() {
    let options = ["--live", "500", "--pairs", "2000", "--rounds", "2", "--window", "0.2"];
    let figures = said(env!("CARGO_BIN_EXE_pair_vs_redis"), &options);
    assert_positive(&figures, &["engine_us", "redis_us", "engine_vs_redis"]);
}

#[test]
fn an_overload_is_offered_and_its_goodput_told() {
    let authepy = Path::new(env!("CARGO_BIN_EXE_overload")).with_file_name("authepy");
    assert!(authepy.is_file(), "{} is missing: build the workspace", authepy.display());
    // On a whole core: nobody may have the right to slow one down here.
    let size = ["--share", "1", "--phones", "8", "--rounds", "1", "--window", "2", "--times", "2"];
    let figures =
        said(env!("CARGO_BIN_EXE_overload"), &[&size[..], &["--server", authepy.to_str().unwrap()]].concat());
    assert_positive(&figures, &["goodput_2x"]);
}
