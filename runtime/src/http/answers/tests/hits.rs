//! How often what the tests are for has happened.

macro_rules! hits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Hits {
            $($(#[$doc])* pub(super) $name: usize,)*
        }

        impl Hits {
            pub(super) fn add(&mut self, more: Self) {
                $(self.$name += more.$name;)*
            }

            /// Each of them, or the test has not tried what it is for.
            pub(super) fn assert_all(&self) {
                $(assert!(self.$name >= 20, "{} is hit too seldom: {self:?}", stringify!($name));)*
            }
        }
    };
}

hits! {
    /// Sent by who answered.
    elsewhere,
    /// The same, and not with the kernel at once.
    elsewhere_pending,
    /// The connection's turn came while somebody else was sending.
    met,
    /// The connection was woken by an answer.
    woken,
    out_of_turn,
    /// There was something to be sent, and the connection waited for the kernel.
    busy,
    /// No more was taken, for what was not answered.
    full,
    continued,
    closed,
    stopped,
    failed,
    discarded,
    discarded_late,
}
