//! See `libprocess::http::fuzzing::request`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libprocess::http::fuzzing::request(bytes));

#[cfg(not(fuzzing))]
fn main() {}
