//! Any bytes, as a body in chunks and what is behind it.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    libprocess_fuzz::check(&[head, bytes].concat());
});

#[cfg(not(fuzzing))]
fn main() {}
