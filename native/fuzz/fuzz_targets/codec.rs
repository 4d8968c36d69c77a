#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| untrace_pipeline_fuzz::check_codec(input));
