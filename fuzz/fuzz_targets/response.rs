//! See `libprocess::http::fuzzing::response`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libprocess::http::fuzzing::response(bytes));

#[cfg(not(fuzzing))]
fn main() {}
