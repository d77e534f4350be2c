//! How long does it take to read a request off its stream, and to write an answer? See `src/micro/codec.rs`.
use authepy_benches::micro;

mod clock;

fn main() {
    clock::time(micro::codec::questions());
}
