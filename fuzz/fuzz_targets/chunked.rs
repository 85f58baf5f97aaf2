//! See `libprocess::http::fuzzing::chunked`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libprocess::http::fuzzing::chunked(bytes));

#[cfg(not(fuzzing))]
fn main() {}
