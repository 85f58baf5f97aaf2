//! Any bytes, as a server reads them.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libprocess_fuzz::check(bytes));

#[cfg(not(fuzzing))]
fn main() {}
