//! Who waits for whom: processes that are blocked without a time-out, and the refusal of a wait that could never end.
//!
//! # What it is
//!
//! One map for the whole OS process, as processes of several runtimes may wait for each other: from a blocked process to what it awaits,
//! which tells who alone can bring that about ([`Awaited::owner`]). Processes are numbers here, those that the clock knows them by.
//! Only a thread that runs a process, and sleeps without a deadline, is entered.
//!
//! # Why a report is true
//!
//! Each process on the path from the one that asks back to itself is in the map, so its thread sleeps or is about to, and until it has left the map, which
//! takes the lock, it does nothing. What it awaits needs the next one to go on. The last needs the one that asks. So if that one slept too, none would ever
//! go on. What an entry awaits is asked anew each time: an answer that arrived a moment ago, or is in somebody else's hands
//! now, has no owner, though the thread was not woken yet.
//!
//! The word that says who has a dispatch in hand is written by that process, before it enters the map and under no lock; who reads it came to it by the
//! process's entry, made under the lock after that write. Where there is no entry the path ends, and what was read does not matter.
//!
//! # What can go wrong
//!
//! * *Two processes close a circle together.* The lock makes one the second, which finds the other.
//! * *What is awaited gets an owner while its waiter sleeps.* The owner finds the waiter's entry when it blocks itself.
//! * *An entry outlives what it points to.* [`Entered`] borrows it, and takes the entry out when dropped.
//! * *A circle that does not go through the one that asks.* There is none, as the one that would have closed it was refused; the walk is
//!   bounded by the number of entries all the same.
//!
//! A wait costs the lock twice, beside the two hand-overs between threads. There are at most as many entries as blocked threads, which are
//! [bounded](crate::RuntimeBuilder::max_blocked_threads).

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Mutex;

use crate::clock;
use crate::facade::lock_std;
use crate::future::WaitCycle;
use crate::future::blocking::Awaited;

static WAITS: Mutex<BTreeMap<u64, Entry>> = Mutex::new(BTreeMap::new());

/// What a blocked process awaits.
struct Entry(*const dyn Awaited);

// SAFETY: what it points to is used under the lock only, by `owner`, which reads atomics and looks at the arena.
unsafe impl Send for Entry {}

/// The entry of a process, for as long as its thread sleeps.
pub(super) struct Entered<'a> {
    process: u64,
    awaited: PhantomData<&'a dyn Awaited>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        lock_std(&WAITS).remove(&self.process);
    }
}

/// Enters what this thread's process is about to sleep for, also if it has no owner yet: a dispatch between the mailbox and its function has
/// none for a moment. `None` in a thread that runs no process.
pub(super) fn enter(awaited: &dyn Awaited) -> Result<Option<Entered<'_>>, WaitCycle> {
    let process = clock::current_or_ending_owner();
    if process == 0 {
        return Ok(None);
    }
    let mut waits = lock_std(&WAITS);
    let mut path = vec![process];
    let mut next = awaited.owner();
    while next != 0 && path.len() <= waits.len() + 1 {
        if next == process {
            return Err(WaitCycle::new(&path));
        }
        path.push(next);
        // SAFETY: the entry is in the map, so its `Entered` was not dropped, and what it borrows is there; we have the lock.
        next = waits
            .get(&next)
            .map_or(0, |entry| unsafe { &*entry.0 }.owner());
    }
    let pointer: *const (dyn Awaited + '_) = awaited;
    // SAFETY: only the lifetime is erased: `Entered` borrows it, and takes the pointer out of the map when dropped.
    let pointer: *const (dyn Awaited + 'static) = unsafe { std::mem::transmute(pointer) };
    waits.insert(process, Entry(pointer));
    Ok(Some(Entered {
        process,
        awaited: PhantomData,
    }))
}
