#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    authepy_transport_fuzz::targets::request_stream::check(input, authepy_transport_fuzz::CANARY);
});
