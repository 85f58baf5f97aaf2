//! [`LifoFixedSizeSemaphore`]: wakes the newest waiter, over a fixed number of slots.
//!
//! # Parts
//!
//! | part | what it is | who may touch it, when |
//! |---|---|---|
//! | `state` | one word: the kept signals, or "there are waiters", and "decommissioned" | anyone, by its transitions; the two flags change only under the mutex |
//! | `waiters` | the waiters in the order of their coming, with their parkers | under its mutex |
//! | `slots` | one word per slot: the turn of a waiter, and how it ended | written under the mutex; the waiter whose turn it is reads it without |
//!
//! Invariants, whenever the mutex is free:
//!
//! 1. `WAITERS` is set if and only if the list is not empty.
//! 2. If `WAITERS` is set, no signals are kept.
//! 3. A slot is on the list if and only if its turn is `Waiting`, and is free otherwise. So a slot
//!    is taken for exactly as long as its thread waits, and a thread that was picked holds none.
//!
//! # Protocol
//!
//! `wait`:
//!
//! 1. Take a kept signal: one compare-and-swap. Done, if there was one.
//! 2. Under the mutex, *announce*: from "no signals kept" to `WAITERS` by compare-and-swap. If a
//!    signal was kept meanwhile, take it instead; if decommissioned meanwhile, say so. Then begin a
//!    turn in a free slot and join the list as its newest member.
//! 3. Look at the turn for a bounded time, then park; look again after each return from the parker.
//! 4. If the parker left for the deadline or for a reason of its own: under the mutex, look once
//!    more. If a signaller has ended the turn, that counts, whatever the parker said; else leave
//!    the list and go.
//!
//! `signal`:
//!
//! 1. Keep the signal: one compare-and-swap. Done, if `WAITERS` was not set.
//! 2. Under the mutex, take a waiter off the list, the newest or, if asked so, the newest of those
//!    that fell asleep on another processor; end its turn as `Signalled`, clear
//!    `WAITERS` if it was the last. If there is none any more, keep the signal after all.
//! 3. Free the mutex, then unpark the waiter.
//!
//! `decommission`: under the mutex, set `DECOMMISSIONED`; then take the waiters off one by one like
//! a signaller, ending their turns as `Decommissioned`. Nobody joins the list from then on, so this
//! ends.
//!
//! # What could go wrong
//!
//! *A wake-up is lost*: a signal is kept while its waiter goes to sleep. A waiter announces itself
//! by a compare-and-swap from "no signals kept": a signal kept before makes it fail, and is taken;
//! one that comes later sees `WAITERS`, goes to the mutex, and finds the waiter on the list, as the
//! announcement and the joining happen under one hold of it.
//!
//! *A signal is lost to a waiter that leaves.* Picking and leaving both happen under the mutex.
//! Whoever comes second sees what the first did: the signaller does not find the waiter, or the
//! waiter finds itself picked and reports `Signalled`. So a signal is used by the one it was given
//! to, or was never given to it.
//!
//! *Two signallers wake the same waiter.* The first takes it off the list.
//!
//! *The slot has a new tenant before the old one has looked.* The signaller frees the slot at once,
//! so it may. A turn carries a ticket that is never given twice; a waiter that finds another ticket
//! knows that its own turn is over, and by a signal: after a decommissioning there are no new
//! turns.
//!
//! *The unpark comes late*, when the waiter has already seen the end of its turn, returned, and
//! perhaps ended its thread. The signaller moved the parker's `Arc` out of the list, so it is
//! alive; its thread, if there is one, has one wake-up too many ahead, which
//! [`Parker`](crate::Parker) says is to be expected.
//!
//! *Foreign code runs under the mutex.* It does not: parkers are cloned before it is locked, and
//! unparked and dropped after it is free.
//!
//! *The parker panics.* The wait is then undone while unwinding, as if it had left; a signal it had
//! been given is signalled again.
//!
//! *All slots are taken.* The wait fails with [`TooManyWaiters`](crate::TooManyWaiters); it never
//! sleeps unlisted.

mod semaphore;
mod slot;
mod state;
mod waiters;
mod waiting;

pub use self::semaphore::LifoFixedSizeSemaphore;
