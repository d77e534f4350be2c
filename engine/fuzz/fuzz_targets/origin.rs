#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    authepy_engine_fuzz::targets::origin::check(input, authepy_engine_fuzz::CANARY);
});
