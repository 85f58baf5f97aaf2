//! Latches, locks, queues, a sequence and a rate limiter: what waits does not block a thread, it gets a [`Future`](crate::Future).
//!
//! None of them has a process, a thread or a runtime inside. They are plain shared objects: `clone` gives another handle to the same one, and any
//! thread may use it, in a process or not.
//!
//! | type | what waits | until |
//! |---|---|---|
//! | [`Latch`] | `triggered()` | somebody triggers it, once |
//! | [`CountDownLatch`] | `triggered()` | it was decremented as often as was said |
//! | [`Once`] | `once()` | it is done; or it is the waiter's turn, as whoever had it gave up |
//! | [`Mutex`] | `lock()` | everybody before has unlocked |
//! | [`RwLock`] | `read()`, `write()` | everybody before, but for readers among themselves, has unlocked |
//! | [`Queue`] | `get()` | there is an element for it |
//! | [`BoundedQueue`] | `get()`, `put()` | there is an element, or room |
//! | [`Sequence`] | `add(callback)` | the callback had its turn, and what it returned has ended |
//! | [`RateLimiter`] | `acquire()` | a permit is free |
//!
//! # Rules for all
//!
//! *First come, first served.* Who gets what is decided under a short lock, in the order of the calls.
//!
//! *Giving up.* A waiter whose future is discarded is out at once: its future is discarded when `discard` returns, its memory is freed, and what it
//! waited for goes to somebody else. So it is when the last handle to the future is dropped, which is how an `async` block gives up, also if callbacks wait: not `queue.get().on_ready(f);`,
//! but `queue.get().then(f);`, or keep the future, or [detach](crate::Future::detach) it. (Not so
//! for a [`Sequence`]: to drop the future of a callback is not to call it off.) A waiter that was chosen before it gave up gets what it waited
//! for; as that is in the future, dropping the future, or a `then` that finds that a discard was requested, drops it: a guard passes its lock on, a turn
//! goes to the next, and an element of a queue is gone.
//!
//! *Who runs callbacks.* Callbacks of a future run in the thread that completes it: in the one that unlocks, puts, triggers. Never under a
//! lock of ours, so they may use the very object.
//!
//! *No recursion.* A callback may unlock, put or give up a turn, which completes the next future, whose callback does the same, a million times.
//! What a callback completes of the very object that has called it is completed when that callback has returned, by the same thread, in a loop. So a
//! callback must not block for what it has completed itself. Everywhere else the other side is complete when the call returns.
//!
//! *Panics.* If callbacks panic, the others run all the same. The first panic goes on in the thread that put, triggered, or the like, when they have; where it is a drop
//! that completed the future (of a guard, of a turn) or a `get`, which must not lose its element, it is logged.
//!
//! | file | what |
//! |---|---|
//! | `waiters` | who waits, in order, each to be taken out at any time |
//! | `hand_over` | the loop that completes promises |
//! | `queue`, `bounded_queue` | one implementation, two faces |
//! | all others | the type of that name |

mod bounded_queue;
mod count_down_latch;
mod hand_over;
mod latch;
mod limiter;
mod mutex;
mod once;
mod queue;
mod rwlock;
mod sequence;
mod waiters;

pub use bounded_queue::BoundedQueue;
pub use count_down_latch::CountDownLatch;
pub use latch::Latch;
pub use limiter::RateLimiter;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceTurn};
pub use queue::Queue;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use sequence::Sequence;
