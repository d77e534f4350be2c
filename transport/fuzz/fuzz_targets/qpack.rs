#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    authepy_transport_fuzz::targets::qpack::check(input, authepy_transport_fuzz::CANARY);
});
