//! How long does a shard take to decide one command of each kind? See `src/micro/rulebook.rs`.
use authepy_benches::micro;

mod clock;

fn main() {
    clock::time(micro::rulebook::questions());
}
