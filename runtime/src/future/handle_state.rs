//! What a handle knows beside its core, in one word: a [`Future`](super::Future) is a pointer and a word, which functions return in two registers. With a third
//! field it was returned through memory, and whoever moved it on waited for its parts to be written.

/// Nothing, a waker's ticket, or that the value was moved out through the handle, which then does not count as one. Who moves it out may forget the
/// ticket: the core is settled, and whoever settled it takes the wakers out, if he has not yet.
#[derive(Debug)]
pub(super) struct HandleState(u32);

/// Above every ticket ([`LAST_TICKET`]).
const CLAIMED: u32 = u32::MAX;

/// The largest ticket; zero is none.
pub(super) const LAST_TICKET: u32 = CLAIMED - 1;

impl HandleState {
    pub(super) const fn new() -> Self {
        Self(0)
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.0 == CLAIMED
    }

    pub(super) fn claim(&mut self) {
        self.0 = CLAIMED;
    }

    /// What a waker is kept under; zero if none is.
    pub(super) fn ticket(&self) -> u32 {
        if self.is_claimed() { 0 } else { self.0 }
    }

    /// The waker was taken out. Without effect on a handle whose value was moved out.
    pub(super) fn clear_ticket(&mut self) {
        if !self.is_claimed() {
            self.0 = 0;
        }
    }

    /// Not for a handle whose value was moved out: it waits for nothing.
    pub(super) fn set_ticket(&mut self, ticket: u32) {
        debug_assert!(!self.is_claimed() && ticket <= LAST_TICKET);
        self.0 = ticket;
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::super::Future;
    use super::*;

    #[test]
    fn a_future_is_two_words() {
        assert_eq!(size_of::<Future<String>>(), 2 * size_of::<usize>());
        assert_eq!(size_of::<Option<Future<String>>>(), 2 * size_of::<usize>());
    }

    #[test]
    fn a_claimed_handle_has_no_ticket() {
        let mut state = HandleState::new();
        state.set_ticket(LAST_TICKET);
        assert_eq!((state.ticket(), state.is_claimed()), (LAST_TICKET, false));
        state.claim();
        assert_eq!((state.ticket(), state.is_claimed()), (0, true));
    }
}
