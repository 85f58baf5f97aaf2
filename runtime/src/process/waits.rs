//! Who waits for a connection, and where that is which wakes him and what he is woken for: so that it can be fetched ahead.
//!
//! Of a thousand connections that are served in turn, nothing is in the processor's cache when the kernel has news of one. To wake who waits touches the future that he waits for and his slot, and his turn
//! then the slot and the cell: each a line that is waited for, and found by the one before. But who waited last time mostly does next time, and mostly in the same places. So a connection remembers these, and has
//! them fetched while others' news are still delivered.
//!
//! All of it is hints, which may be of a process that has ended, and of memory that was freed. Nothing is read through them.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use super::arena::arena;
use super::{RawPid, current};
use crate::prefetch::{prefetch, prefetch_at};

/// A future of bytes: see `future::cancellable`.
const FUTURE_LINES: usize = 2;
/// Of a process and what the runtime keeps with it, as far as most are large.
const CELL_LINES: usize = 3;

/// Who waits, mostly. Each place is read and written relaxed: they need not be of one time.
#[derive(Default)]
pub(crate) struct Waits {
    /// As bits; none: zero.
    pid: AtomicU64,
    cell: AtomicPtr<()>,
    /// The future of the last receive, and of the last piece that was sent alone and had to wait.
    received: AtomicPtr<()>,
    sent: AtomicPtr<()>,
    /// Where that piece was, in the queue of what is to go out.
    outgoing: AtomicPtr<()>,
}

impl Waits {
    /// The process that this thread runs, if any, waits for what comes: with this future.
    #[inline]
    pub(crate) fn for_receive(&self, future: *const ()) {
        let running = current::running();
        let bits = RawPid::to_bits(running);
        if self.pid.load(Relaxed) != bits {
            // SAFETY: this thread is in the handler of that process: only while it holds the token one is named as running, and calls anything (see `current::set_running`).
            let cell = running.map(|pid| unsafe { arena().slot(pid).cell() });
            self.cell.store(cell.unwrap_or_default(), Relaxed);
            self.pid.store(bits, Relaxed);
        }
        remember(&self.received, future);
    }

    /// Somebody waits until this has gone out: with this future.
    #[inline]
    pub(crate) fn for_send<T>(&self, future: *const (), what: Option<&T>) {
        remember(&self.sent, future);
        let what = what.map_or_else(std::ptr::null, std::ptr::from_ref);
        remember(&self.outgoing, what.cast());
    }

    /// Something has come, and is told soon.
    #[inline]
    pub(crate) fn fetch_for_receive(&self) {
        fetch(&self.received, FUTURE_LINES);
        self.fetch_process();
    }

    /// Something has gone out, and is told soon.
    #[inline]
    pub(crate) fn fetch_for_send(&self) {
        fetch(&self.sent, FUTURE_LINES);
        fetch(&self.outgoing, 1);
        self.fetch_process();
    }

    #[inline]
    fn fetch_process(&self) {
        if let Some(pid) = RawPid::from_bits(self.pid.load(Relaxed)) {
            prefetch(arena().slot(pid), usize::MAX);
            fetch(&self.cell, CELL_LINES);
        }
    }
}

/// Nothing of nowhere: to look for that costs more than what is there.
#[inline]
fn fetch(place: &AtomicPtr<()>, lines: usize) {
    let address = place.load(Relaxed);
    if !address.is_null() {
        prefetch_at(address, lines);
    }
}

/// Mostly it is the same again, and then its line is not written.
#[inline]
fn remember(place: &AtomicPtr<()>, address: *const ()) {
    let address = address.cast_mut();
    if place.load(Relaxed) != address {
        place.store(address, Relaxed);
    }
}
