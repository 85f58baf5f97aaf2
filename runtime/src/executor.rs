use std::panic::Location;

use crate::future::{Future, ValueOrFuture};
use crate::process::{Context, Pid, Process, ProcessHandle, defer_with};
use crate::{Runtime, functions};

/// Runs closures one after another, none in the thread that asks for it: libprocess's `Executor`.
///
/// It owns a process, and they are its events: for code that is no process and wants to have its callbacks serialized. Dropping it ends the process: closures that have not begun
/// are dropped, and their futures abandoned.
///
/// ```
/// use libprocess::{Executor, Future};
///
/// let executor = Executor::new();
/// assert_eq!(executor.execute(|| 6 * 7).get(), Ok(42));
/// let length = Future::ready("four").then(executor.defer(|text: &str| text.len()));
/// assert_eq!(length.get(), Ok(4));
/// ```
#[derive(Debug)]
pub struct Executor {
    process: ProcessHandle<ExecutorProcess>,
}

#[derive(Debug)]
struct ExecutorProcess;

impl Process for ExecutorProcess {
    fn prefix() -> &'static str {
        "executor"
    }
}

impl Executor {
    /// An executor on the current runtime.
    pub fn new() -> Self {
        Self {
            process: functions::spawn_owned(ExecutorProcess),
        }
    }

    /// An executor on that runtime.
    pub fn on(runtime: &Runtime) -> Self {
        Self {
            process: runtime.spawn_owned(ExecutorProcess),
        }
    }

    fn pid(&self) -> Pid<ExecutorProcess> {
        self.process.pid()
    }

    /// Runs `f` after all that were given before, and gives a future of what it returns: a value, or what the future that it returns becomes. (The next closure does not wait for that future.)
    #[track_caller]
    pub fn execute<U, R, F, K>(&self, f: F) -> Future<U>
    where
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        let call = move |_: &mut ExecutorProcess, _: &mut Context<ExecutorProcess>| f();
        functions::dispatch_at(self.pid(), call, Location::caller())
    }

    /// A closure that has `f` executed with what it is called with: for callbacks.
    #[track_caller]
    pub fn defer<A, U, R, F, K>(&self, f: F) -> impl FnOnce(A) -> Future<U> + Send + 'static
    where
        A: Send + 'static,
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce(A) -> R + Send + 'static,
    {
        defer_with(
            self.pid(),
            move |_: &mut ExecutorProcess, _: &mut Context<ExecutorProcess>, argument| f(argument),
        )
    }

    /// Ends it after what was given before, without waiting for that.
    pub fn stop(&self) {
        self.process.terminate_after_pending();
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}
