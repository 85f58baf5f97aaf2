//! A progress bar for whoever sits before a terminal and wonders.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use libprocess::{Future, FutureError};

/// What ends sooner shows no bar: it would only flicker.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a wait looks how far things are. Each look costs the runtime some cache misses, so it is seldom.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The bar that may be on the terminal: of one run at a time.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Wipes out the bar that is on the terminal, for whoever is about to end this program.
pub(crate) fn wipe() {
    if let Some(bar) = drawn().take() {
        bar.finish_and_clear();
    }
}

fn drawn() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a run is, on standard error, if that is a terminal; else nothing, at no cost.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    visible: Cell<bool>,
}

impl Progress {
    /// Of `total` steps. The bar is drawn once it has taken a second, and wiped out by the drop.
    pub(crate) fn new(label: String, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent:>3} %, {eta} left")
                .expect("the template is well-formed");
            bar.with_style(style).with_message(label)
        });
        Self::of(bar)
    }

    fn of(bar: Option<ProgressBar>) -> Self {
        Self {
            bar,
            began: Instant::now(),
            visible: Cell::new(false),
        }
    }

    /// So many steps are done.
    pub(crate) fn advance(&self, done: u64) {
        let Some(bar) = &self.bar else { return };
        if !self.visible.get() && self.began.elapsed() >= PATIENCE {
            self.visible.set(true);
            *drawn() = Some(bar.clone());
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position(done);
    }

    /// Waits for the future; meanwhile shows how many steps `done` says are done.
    ///
    /// Where there is no bar it just waits: this thread then sleeps until the future is there.
    ///
    /// # Errors
    ///
    /// The future's.
    pub(crate) fn wait<T>(
        &self,
        future: Future<T>,
        done: impl Fn() -> u64,
    ) -> Result<T, FutureError>
    where
        T: Clone + Send + Sync,
    {
        if self.bar.is_none() {
            return future.get();
        }
        loop {
            match future.clone().get_timeout(LOOK_EVERY) {
                Err(FutureError::TimedOut) => self.advance(done()),
                result => return result,
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            if self.visible.get() {
                *drawn() = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bar_nothing_is_asked() {
        let future = Future::ready(7);
        assert_eq!(Progress::of(None).wait(future, || unreachable!()), Ok(7));
    }

    #[test]
    fn a_bar_looks_until_the_future_is_there() {
        let bar = ProgressBar::with_draw_target(Some(10), ProgressDrawTarget::hidden());
        let progress = Progress::of(Some(bar.clone()));
        let promise = libprocess::Promise::new();
        let future = promise.future();
        let looked = Cell::new(0);
        let result = progress.wait(future, || {
            looked.set(looked.get() + 1);
            promise.set("there");
            3
        });
        assert_eq!((result, looked.get(), bar.position()), (Ok("there"), 1, 3));
    }
}
