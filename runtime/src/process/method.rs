use std::marker::PhantomData;

use super::{Context, Process};
use crate::future::{Future, IsFuture, IsValue, Returned};

/// A method of `P` and its arguments: what [`dispatch`](crate::dispatch) takes.
///
/// Implemented for every function and closure that takes `&mut P`, up to eight arguments, and then, if it wants it, `&mut Context<P>`; `Arguments`
/// is the tuple of their types, and `Kind` tells those that return a value from those that return a [`Future`], whose end is
/// then the end of the dispatch's future. You need not implement it.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method of `{P}` that takes `{Arguments}`",
    note = "a method takes `&mut {P}` and up to eight arguments, given as a tuple, and returns a `Future` or an `Unpin` value"
)]
pub trait Method<P: Process, Arguments, Kind>: Send + 'static {
    /// What it returns, or what the future does that it returns.
    type Output: Send + 'static;

    #[doc(hidden)]
    fn call(
        self,
        process: &mut P,
        cx: &mut Context<P>,
        arguments: Arguments,
    ) -> Returned<Self::Output>;
}

/// The kind of a method that takes a [`Context`] behind its arguments: see [`Method`].
#[derive(Debug)]
pub struct WithContext<Kind>(PhantomData<Kind>);

macro_rules! method {
    ($($argument:ident),*) => {
        impl<P, F, R, $($argument),*> Method<P, ($($argument,)*), IsValue> for F
        where
            P: Process,
            R: Send + Unpin + 'static,
            F: FnOnce(&mut P, $($argument,)*) -> R + Send + 'static,
        {
            type Output = R;

            #[inline]
            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            fn call(
                self,
                process: &mut P,
                _cx: &mut Context<P>,
                ($($argument,)*): ($($argument,)*),
            ) -> Returned<R> {
                Returned::Value(self(process, $($argument,)*))
            }
        }

        impl<P, F, R, $($argument),*> Method<P, ($($argument,)*), IsFuture> for F
        where
            P: Process,
            R: Send + 'static,
            F: FnOnce(&mut P, $($argument,)*) -> Future<R> + Send + 'static,
        {
            type Output = R;

            #[inline]
            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            fn call(
                self,
                process: &mut P,
                _cx: &mut Context<P>,
                ($($argument,)*): ($($argument,)*),
            ) -> Returned<R> {
                Returned::Future(self(process, $($argument,)*))
            }
        }

        impl<P, F, R, $($argument),*> Method<P, ($($argument,)*), WithContext<IsValue>> for F
        where
            P: Process,
            R: Send + Unpin + 'static,
            F: FnOnce(&mut P, $($argument,)* &mut Context<P>) -> R + Send + 'static,
        {
            type Output = R;

            #[inline]
            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            fn call(
                self,
                process: &mut P,
                cx: &mut Context<P>,
                ($($argument,)*): ($($argument,)*),
            ) -> Returned<R> {
                Returned::Value(self(process, $($argument,)* cx))
            }
        }

        impl<P, F, R, $($argument),*> Method<P, ($($argument,)*), WithContext<IsFuture>> for F
        where
            P: Process,
            R: Send + 'static,
            F: FnOnce(&mut P, $($argument,)* &mut Context<P>) -> Future<R> + Send + 'static,
        {
            type Output = R;

            #[inline]
            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            fn call(
                self,
                process: &mut P,
                cx: &mut Context<P>,
                ($($argument,)*): ($($argument,)*),
            ) -> Returned<R> {
                Returned::Future(self(process, $($argument,)* cx))
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
