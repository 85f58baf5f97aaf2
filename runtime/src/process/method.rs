use super::Process;

/// A method of `P` and its arguments: what [`dispatch`](crate::dispatch) takes.
///
/// Implemented for every function and closure that takes `&mut P` and up to eight arguments; `Arguments`
/// is the tuple of their types. You need not implement it.
///
/// ```
/// use libprocess::{Process, dispatch, spawn_owned};
///
/// #[derive(Default)]
/// struct Adder { calls: u64 }
/// impl Process for Adder {}
/// impl Adder {
///     fn add(&mut self, a: i64, b: i64) -> i64 { self.calls += 1; a + b }
///     fn calls(&mut self) -> u64 { self.calls }
/// }
///
/// let adder = spawn_owned(Adder::default());
/// assert_eq!(dispatch(adder.pid(), Adder::add, (99, 101)).get(), Ok(200));
/// assert_eq!(dispatch(adder.pid(), Adder::calls, ()).get(), Ok(1));
/// ```
pub trait Method<P: Process, Arguments>: Send + 'static {
    /// What it returns.
    type Output: Send + 'static;

    /// Calls it.
    fn call(self, process: &mut P, arguments: Arguments) -> Self::Output;
}

macro_rules! method {
    ($($argument:ident),*) => {
        impl<P, F, R, $($argument),*> Method<P, ($($argument,)*)> for F
        where
            P: Process,
            R: Send + 'static,
            F: FnOnce(&mut P, $($argument),*) -> R + Send + 'static,
        {
            type Output = R;

            #[inline]
            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            fn call(self, process: &mut P, ($($argument,)*): ($($argument,)*)) -> R {
                self(process, $($argument),*)
            }
        }
    };
}

method!();
method!(A);
method!(A, B);
method!(A, B, C);
method!(A, B, C, D);
method!(A, B, C, D, E);
method!(A, B, C, D, E, G);
method!(A, B, C, D, E, G, H);
method!(A, B, C, D, E, G, H, I);
