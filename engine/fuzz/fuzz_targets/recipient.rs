#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    authepy_engine_testkit::targets::recipient::check(input, cfg!(feature = "canary"));
});
