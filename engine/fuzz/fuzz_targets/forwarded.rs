#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    authepy_engine_testkit::targets::forwarded::check(input, cfg!(feature = "canary"));
});
