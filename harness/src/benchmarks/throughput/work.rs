//! How the work is divided.

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) clients: u64,
    /// Of each client. What the division leaves over is not done, and does not count.
    pub(super) repeats: u64,
    pub(super) window: u64,
}

impl Work {
    pub(super) fn new(repeat: u64, clients: u64, window: u64) -> Self {
        let repeats = repeat / clients;
        Self {
            clients,
            repeats,
            window: window.min(repeats),
        }
    }

    pub(super) fn total(self) -> u64 {
        self.clients * self.repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_divided_and_the_window_is_no_larger() {
        let work = Work::new(2_001, 2, 1_500);
        assert_eq!(
            (work.repeats, work.window, work.total()),
            (1_000, 1_000, 2_000)
        );
    }
}
