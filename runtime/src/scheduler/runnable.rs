//! What the scheduler runs.

use std::ptr::NonNull;

use super::Worker;

/// Runs the thing that starts with this header, for a while. The worker is the one whose thread it is.
pub(crate) type Run = unsafe fn(NonNull<Header>, &Worker);

/// The first field of everything that can be scheduled. `repr(C)` there, so that a pointer to the
/// header is a pointer to the whole.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header {
    run: Run,
}

impl Header {
    pub(crate) const fn new(run: Run) -> Self {
        Self { run }
    }
}

/// A token: whoever holds it has the sole right, and the duty, to run the thing or pass the token on.
///
/// It is one word, so that a run queue's node is small.
#[must_use = "a token that is dropped leaves its process scheduled and never run"]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: the token is the exclusive right to run; what it points to is `Send` by the contract of `new`.
unsafe impl Send for Runnable {}

impl Runnable {
    /// # Safety
    ///
    /// `header` is valid until the token was run, may be run from any thread, and no other token for it exists.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn run(self, worker: &Worker) {
        // SAFETY: by the contract of `new` the header is valid and this token alone may run it.
        unsafe { (self.0.as_ref().run)(self.0, worker) }
    }
}
