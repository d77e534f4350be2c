//! How long does it take to find out which inbox an address means? See `src/micro/canonicaliser.rs`.
use authepy_benches::micro;

mod clock;

fn main() {
    clock::time(micro::canonicaliser::questions());
}
