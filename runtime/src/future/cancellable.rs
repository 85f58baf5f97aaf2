//! Futures of what somebody brings again and again: a connection's receives and sends, a listener's accepts.
//!
//! Each may have a number, by which it is cancelled when its discard is requested or its last handle is dropped. The core, the number, and who is to be asked to
//! cancel are one block. The block goes back to who brings, who keeps one for the next future: who waits in a loop allocates once.
//!
//! # Whose a block is
//!
//! ```text
//!            cancellable                    last reference
//! a spare ────────────────► promise, future ──────────────► a spare, or freed if there is one already
//! ```
//!
//! A block does not keep who brings: a future that somebody holds on to, ended or not, keeps no socket open. If he is gone when the block's last reference goes, the
//! block is freed.
//!
//! # What can go wrong
//!
//! * *A block is used again while somebody still frees it.* It becomes a spare only behind the last use of its core, by a release that whoever takes it acquires.
//! * *It is cancelled while it is completed.* Who brings knows which numbers he has promises for, under his own lock: whoever takes the promise out completes it.
//! * *It is cancelled although its future was detached.* The side table knows: see `Header::detach`.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use super::core::{Core, Header, Outcome, Table};
use super::counts::Counts;
use super::{Future, Promise};
use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::facade::{UnsafeCell, weakened};

/// Who brings something for each of many futures, and may be asked to give one up.
pub(crate) trait Cancel<T>: Send + Sync + Sized + 'static {
    /// Ends the future with this number, if nothing was brought for it yet. `None`: it goes on, whoever gives it up.
    const CANCEL: Option<fn(&Self, u64)>;

    /// The place for the block that is used next.
    fn spare(&self) -> &Spare<Self, T>;
}

#[repr(C)]
struct Block<C, T> {
    // First, so that a pointer to the core is one to the block.
    core: Core<T>,
    number: u64,
    of: Weak<C>,
}

/// What a block is made in, again and again. Of a thousand connections that are read in turn none is in the processor's cache: a block of bytes has two of its
/// lines, and begins with one.
#[repr(C, align(64))]
struct Memory<C, T> {
    // First, so that a pointer to the block is one to the memory.
    block: MaybeUninit<Block<C, T>>,
    /// For models: whoever has the memory may write it.
    written: UnsafeCell<()>,
}

/// The memory of one block at most.
pub(crate) struct Spare<C, T>(AtomicPtr<Memory<C, T>>);

impl<C, T> Spare<C, T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    fn take(&self) -> Option<Box<Memory<C, T>>> {
        // Relaxed: only whether an exchange is worth it.
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let ordering = if weakened("spare") {
            Ordering::Relaxed
        } else {
            // Pairs with the Release in `put`: the last use of the block that was in it is behind us.
            Ordering::Acquire
        };
        let memory = NonNull::new(self.0.swap(std::ptr::null_mut(), ordering))?;
        // SAFETY: `put` made it of a box, and the exchange gave it to us alone.
        Some(unsafe { Box::from_raw(memory.as_ptr()) })
    }

    fn put(&self, memory: Box<Memory<C, T>>) {
        let memory = Box::into_raw(memory);
        let null = std::ptr::null_mut();
        // Release: pairs with the Acquire in `take`. Relaxed on failure: the one that is there is not touched.
        let put = self
            .0
            .compare_exchange(null, memory, Ordering::Release, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: made of a box above, and nobody else has it.
            drop(unsafe { Box::from_raw(memory) });
        }
    }
}

impl<C, T> Drop for Spare<C, T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<C: Cancel<T>, T> Block<C, T> {
    const TABLE: &'static Table = &Table {
        free: Self::free,
        upstream: |_| None,
        owner: |_| 0,
        cancel: match C::CANCEL {
            Some(_) => Some(Self::cancel),
            None => None,
        },
    };

    /// # Safety
    ///
    /// The header is that of a block's core, of which the caller holds a reference.
    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: by the contract.
        let block = unsafe { header.cast::<Self>().as_ref() };
        if let Some(cancel) = C::CANCEL
            && let Some(of) = block.of.upgrade()
        {
            cancel(&of, block.number);
        }
    }

    /// # Safety
    ///
    /// The header is that of the core of a block in a boxed `Memory`, which nobody uses any more.
    unsafe fn free(header: NonNull<Header>) -> [Option<NonNull<Header>>; 2] {
        let block = header.cast::<Self>().as_ptr();
        // SAFETY: by the contract; each part is moved out or dropped once, and the memory is given on without them.
        let (of, memory) = unsafe {
            (*block).core.is_freed();
            std::ptr::drop_in_place(&raw mut (*block).core);
            let of = (&raw const (*block).of).read();
            (of, Box::from_raw(block.cast::<Memory<C, T>>()))
        };
        memory.written.with_mut(|_| ());
        if let Some(of) = of.upgrade() {
            of.spare().put(memory);
        }
        [None, None]
    }
}

/// A promise, and its future that is cancelled by this number of who brings.
pub(crate) fn cancellable<C: Cancel<T>, T>(of: &Arc<C>, number: u64) -> (Promise<T>, Future<T>) {
    let memory = of.spare().take().unwrap_or_else(|| {
        Box::new(Memory {
            block: MaybeUninit::uninit(),
            written: UnsafeCell::new(()),
        })
    });
    memory.written.with_mut(|_| ());
    let memory = NonNull::from(Box::leak(memory));
    let core = memory.cast::<Core<T>>();
    let counts = if C::CANCEL.is_some() {
        Counts::cleaned_up(1, 2)
    } else {
        Counts::new(1, 2)
    };
    // SAFETY: the memory is ours, for a block. The pointer is to the whole, so that `free` may have it. A promise and a future are counted.
    unsafe {
        memory.cast::<Block<C, T>>().write(Block {
            core: Core::new(Outcome::None, counts, Block::<C, T>::TABLE),
            number,
            of: Arc::downgrade(of),
        });
        (Promise::from_core(core), Future::from_core(core))
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use bytes::Bytes;

    use super::*;

    /// Brings one thing at a time.
    struct Bringer {
        promise: Mutex<Option<(u64, Promise<Bytes>)>>,
        cancelled: Mutex<Vec<u64>>,
        spare: Spare<Self, Bytes>,
    }

    impl Bringer {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                promise: Mutex::new(None),
                cancelled: Mutex::default(),
                spare: Spare::new(),
            })
        }

        fn ask(self: &Arc<Self>, number: u64) -> Future<Bytes> {
            let (promise, future) = cancellable(self, number);
            *self.promise.lock().unwrap() = Some((number, promise));
            future
        }

        fn bring(&self, text: &'static str) {
            let (_, promise) = self.promise.lock().unwrap().take().expect("asked for");
            promise.settle(Outcome::Ready(Bytes::from_static(text.as_bytes())));
        }

        fn cancel(&self, number: u64) {
            self.cancelled.lock().unwrap().push(number);
            let mut promise = self.promise.lock().unwrap();
            let taken = promise.take_if(|(of, _)| *of == number);
            drop(promise);
            if let Some((_, promise)) = taken {
                promise.discard();
            }
        }

        fn cancelled(&self) -> Vec<u64> {
            self.cancelled.lock().unwrap().clone()
        }
    }

    impl Cancel<Bytes> for Bringer {
        const CANCEL: Option<fn(&Self, u64)> = Some(Self::cancel);

        fn spare(&self) -> &Spare<Self, Bytes> {
            &self.spare
        }
    }

    /// What goes on, whoever gives it up.
    struct Goer(Spare<Self, ()>);

    impl Cancel<()> for Goer {
        const CANCEL: Option<fn(&Self, u64)> = None;

        fn spare(&self) -> &Spare<Self, ()> {
            &self.0
        }
    }

    #[test]
    fn what_is_not_cancelled_goes_on_without_its_future() {
        let goer = Arc::new(Goer(Spare::new()));
        let (promise, future) = cancellable(&goer, 0);
        assert!(future.discard() && promise.has_discard() && future.is_pending());
        drop(future);
        assert!(promise.is_unwatched());
        promise.settle(Outcome::Ready(()));
        assert_eq!(Arc::strong_count(&goer), 1, "no block holds it");
    }

    #[test]
    fn a_block_of_bytes_has_two_lines() {
        assert_eq!(size_of::<Memory<Bringer, Bytes>>(), 128);
    }

    #[test]
    fn who_waits_again_is_given_the_same_memory() {
        let bringer = Bringer::new();
        let mut places = std::collections::HashSet::new();
        for number in 0..10 {
            let future = bringer.ask(number);
            places.insert(&raw const *future.core() as usize);
            bringer.bring("something");
            assert_eq!(future.get().as_deref(), Ok(&b"something"[..]));
        }
        assert_eq!(places.len(), 1);
        assert_eq!(bringer.cancelled(), [0; 0], "of what was brought");
    }

    #[test]
    fn of_two_blocks_at_a_time_one_is_kept() {
        let bringer = Bringer::new();
        let (first, second) = (bringer.ask(1), {
            let (_promise, second) = cancellable(&bringer, 2);
            second
        });
        assert!(second.is_abandoned());
        drop(second);
        bringer.bring("a");
        assert!(first.get().is_ok());
        assert_eq!(Arc::strong_count(&bringer), 1, "no block holds it");
    }

    #[test]
    fn a_future_that_is_held_keeps_nobody() {
        let bringer = Bringer::new();
        let (brought, pending) = (bringer.ask(1), {
            bringer.bring("something");
            bringer.ask(2)
        });
        let weak = Arc::downgrade(&bringer);
        drop(bringer);
        assert!(weak.upgrade().is_none(), "kept by a future");
        assert!(pending.is_abandoned());
        assert!(brought.get().is_ok());
    }

    /// Whatever the cancel completes.
    #[test]
    fn a_callback_for_a_discard_runs_beside_the_cancel() {
        let ran = Arc::new(AtomicUsize::new(0));
        let bringer = Bringer::new();
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            move || {
                ran.fetch_add(1, Relaxed);
            }
        };
        let future = bringer.ask(1);
        future.on_discard(count(&ran));
        future.discard();
        assert!(future.is_discarded());
        let dropped = bringer.ask(2);
        dropped.on_cancelled(count(&ran));
        drop(dropped);
        assert_eq!((ran.load(Relaxed), bringer.cancelled()), (2, vec![1, 2]));
    }

    #[test]
    fn it_is_cancelled_by_a_request_and_by_the_last_drop_and_not_when_detached() {
        let bringer = Bringer::new();
        let first = bringer.ask(1);
        let clone = first.clone();
        assert!(first.discard() && clone.is_discarded());
        drop((first, clone));
        drop(bringer.ask(2));
        assert_eq!(bringer.cancelled(), [1, 2]);
        let third = bringer.ask(3);
        let clone = third.clone();
        third.detach();
        clone.discard();
        drop(clone);
        assert_eq!(bringer.cancelled(), [1, 2]);
        bringer.bring("for nobody");
    }

    #[test]
    fn a_request_goes_up_a_chain() {
        let bringer = Bringer::new();
        let chained = bringer.ask(7).then(|bytes| bytes.len());
        assert!(chained.discard() && chained.is_discarded());
        assert_eq!(bringer.cancelled(), [7]);
    }
}
