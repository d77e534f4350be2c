//! This program under callgrind, and what it is counted with.
use std::process::{Command, Output};

use authepy_benches::micro::{COUNTED, Question};

/// Everything that makes other counts of the same source: compiler, C library, valgrind, and whether the processor
/// that it shows has AVX2, by which copying and comparing choose their way.
///
/// The compiler is the one of the path, which has built this program where it was built here.
///
/// # Errors
/// Valgrind is missing.
pub(crate) fn tools() -> Result<String, String> {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !line.is_empty()).then_some(line)
    };
    let valgrind = said("valgrind", "--version").ok_or("valgrind is needed: apt-get install valgrind")?;
    let rustc = said("rustc", "-V").unwrap_or("no rustc".into());
    let library = said("getconf", "GNU_LIBC_VERSION").unwrap_or("another C library".into());
    #[cfg(target_arch = "x86_64")]
    let avx2 = if std::is_x86_feature_detected!("avx2") { "AVX2" } else { "no AVX2" };
    #[cfg(not(target_arch = "x86_64"))]
    let avx2 = "no AVX2";
    Ok(format!("{rustc}, {library}, {valgrind}, {avx2}"))
}

/// glibc keeps what is freed in lists of seven, and tidies up at moments that depend on everything before: two
/// hundred verifications more in the shard moved a count by 4 %. In lists without an end a free costs always the same.
const STEADY_ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=65535");

/// Instructions of one turn.
///
/// # Errors
/// It can't be counted, or did not do what it should.
pub(crate) fn count(question: &Question) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| format!("where am I: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(own)
        .args(["--turns-of", question.name])
        .env(STEADY_ALLOCATOR.0, STEADY_ALLOCATOR.1)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let all = collected(&output).filter(|count| output.status.success() && *count > 0);
    let told = || format!("{}: not counted: {}", question.name, String::from_utf8_lossy(&output.stderr));
    Ok(all.ok_or_else(told)? / question.turns as u64)
}

/// All instructions between the first and the last counted turn.
fn collected(output: &Output) -> Option<u64> {
    let told = String::from_utf8_lossy(&output.stderr);
    told.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().parse().ok()
}
