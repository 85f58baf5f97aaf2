//! Has the processor fetch what is needed soon.

const LINE: usize = 64;

/// Fetches a value from its beginning, at most so many lines of it. Nothing where the processor's word for that is unknown.
#[inline(always)]
pub(crate) fn prefetch<T: ?Sized>(value: &T, most_lines: usize) {
    let lines = size_of_val(value).div_ceil(LINE).min(most_lines);
    prefetch_at(std::ptr::from_ref(value).cast::<()>(), lines);
}

/// Fetches so many lines from an address on, whatever is there now.
#[inline(always)]
pub(crate) fn prefetch_at<T>(address: *const T, lines: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = address.wrapping_byte_add(line * LINE);
        // SAFETY: a prefetch changes nothing that a program could see, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (address, lines, LINE);
}
