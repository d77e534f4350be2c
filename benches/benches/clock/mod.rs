//! Questions by the clock: `cargo bench -p authepy-benches`. Under `cargo test` each is asked once.
//!
//! What the gate counts can't show, cache misses among it, shows here, with all the noise of the machine.
#![allow(
    clippy::panic,
    reason = "criterion has no way to be told that work failed, and time of such work is a lie"
)]
use authepy_benches::micro::Question;
use criterion::Criterion;

/// Times these, by turns of one.
pub(crate) fn time(questions: Vec<Question>) {
    let mut criterion = Criterion::default().configure_from_args();
    for question in questions {
        criterion.bench_function(question.name, |bencher| {
            bencher.iter_custom(|turns| question.time(turns).unwrap_or_else(|problem| panic!("{problem}")));
        });
    }
    criterion.final_summary();
}
