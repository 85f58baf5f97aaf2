//! See `libprocess::http::fuzzing::url_query`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libprocess::http::fuzzing::url_query(bytes));

#[cfg(not(fuzzing))]
fn main() {}
