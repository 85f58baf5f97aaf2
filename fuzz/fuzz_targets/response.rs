//! Any bytes, as a client reads them. The first says what was asked, and whether the server closes behind the others: `g` or `h` for GET or HEAD, `G` or `H` if it does.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((first, bytes)) = bytes.split_first() {
        let is_head = first & 1 == 0;
        let closes = first & 0x20 == 0;
        libprocess_fuzz::check_responses(bytes, is_head, closes);
    }
});

#[cfg(not(fuzzing))]
fn main() {}
