//! `std::thread`, with a `scope` whose end ThreadSanitizer sees.
//!
//! Where std is not instrumented, the sanitizer knows that a thread has ended only if it is joined. A scope waits for its threads
//! by a counter inside of std, so here each thread also counts itself out, and the end of the scope reads the count.

#![allow(
    unused_imports,
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

pub use std::thread::*;

static ENDED: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Copy)]
pub struct Scope<'scope, 'env>(&'scope std::thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    pub fn spawn<T: Send + 'scope>(
        self,
        f: impl FnOnce() -> T + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        self.0.spawn(move || {
            let result = f();
            // Release: pairs with the Acquire in `scope`.
            ENDED.fetch_add(1, Ordering::Release);
            result
        })
    }
}

pub fn scope<'env, T>(f: impl for<'scope> FnOnce(Scope<'scope, 'env>) -> T) -> T {
    let result = std::thread::scope(|scope| f(Scope(scope)));
    // Acquire: pairs with the Release in `spawn`.
    ENDED.load(Ordering::Acquire);
    result
}
