//! The event queue that is one atomic word.
//!
//! # The word
//!
//! It is *idle*, *scheduled* (null), *closed*, or the address of the newest event, each event
//! leading to the one that was enqueued before it (see `word.rs`). Every operation is one
//! successful compare-and-swap or swap of this word, and there are no states in between: an enqueue
//! that has not happened is invisible, one that has is complete.
//!
//! | from \ operation | enqueue | take | rest | close |
//! |---|---|---|---|---|
//! | idle | chain of one, **token** | nothing | – | closed |
//! | scheduled | chain of one | nothing | idle | closed |
//! | chain of n | chain of n + 1 | scheduled, n events | refused | closed, n events |
//! | closed | refused | nothing | stays closed | nothing |
//!
//! # The protocol
//!
//! *Enqueue* reads the word, lets the new event lead to what it read, and swaps the event in if the
//! word is still the same; otherwise it starts over with what the word is now. If it replaced
//! *idle* it has won the token: only one compare-and-swap can replace one idle, so the token is won
//! once for each time it was put back.
//!
//! *Take* swaps the chain for *scheduled*, and turns it around, as it leads from the newest to the
//! oldest.
//!
//! *Rest* swaps *scheduled* for *idle*. If an event has come, the word is not *scheduled* and the
//! swap fails.
//!
//! *Close* swaps in *closed* and owns the chain that it got.
//!
//! # What could go wrong
//!
//! *A lost event.* A check "nothing pending" followed by "now idle" would lose an event that comes
//! in between. Here both are one compare-and-swap.
//!
//! *A queue that opens again.* A `take` that swaps blindly would be wait-free, but if somebody
//! closed the queue after the look at the word, it would replace *closed* by *scheduled*, and
//! events would be accepted that nobody ever takes. So `take` is a compare-and-swap as well. It
//! fails only where an event or a close got in, and starts over.
//!
//! *ABA.* Between a producer's read and its compare-and-swap, the newest event may be taken and
//! freed, and another one be enqueued whose memory has the same address. The compare-and-swap
//! succeeds, and rightly so: it says that the newest event is at this address, and leading there is
//! right whichever event that is. The producer never looks into the event. (That the address leads
//! to the new one also in the eyes of the compiler: see [`Link::set_next`].) A `take` looks at
//! nothing before its swap has succeeded, and then only at what it owns.
//!
//! *A producer that stalls* before its compare-and-swap holds up nobody. If meanwhile the queue was
//! closed, and opened for another receiver, its event goes to that one. Who minds gives events a
//! generation, and drops the strays.
//!
//! # Orderings
//!
//! Every change of the word is a read-modify-write, so each is in the release sequence of all
//! changes before it: an acquire that reads any of them synchronizes with every release before. The
//! pairs that matter are named at the places.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::sync::{AtomicPtr, Ordering, fence, weakened};

use super::word::Word;
use super::{Batch, Enqueued, EventQueue, Link, Linked, Rest, State};

/// An event queue in one atomic word, eight bytes on a 64-bit machine.
///
/// **Order**: first in, first out.
///
/// **Progress**: `enqueue`, `take` and `rest` are lock-free: an attempt fails only because another
/// operation has succeeded. `close` and `state` are wait-free (turning the taken chain around
/// aside, which is O(n) and private). Nobody ever waits for a thread that is paused in the middle
/// of something.
///
/// **Memory**: the word and nothing else; items bring their own links. An enqueue without
/// contention is one load and one compare-and-swap. Under contention producers retry; what others
/// have measured as faster (a swap and a later link) would make the receiver wait for a stalled
/// producer.
///
/// ```
/// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node};
///
/// let mailbox = LockFreeEventQueue::closed();
/// mailbox.open();
/// std::thread::scope(|scope| {
///     for producer in 0..4 {
///         let mailbox = &mailbox;
///         scope.spawn(move || drop(mailbox.enqueue(Node::new(producer))));
///     }
/// });
/// assert_eq!(mailbox.take().iter().sum::<i32>(), 6);
/// ```
pub struct LockFreeEventQueue<T: Linked> {
    /// A [`Word`]. Anybody may change it, by the transitions below only.
    word: AtomicPtr<Link>,
    items: PhantomData<T>,
}

// SAFETY: the queue owns the items whose chain is in the word, and items are `Send`, as `Linked`
// demands.
unsafe impl<T: Linked> Send for LockFreeEventQueue<T> {}
// SAFETY: through a shared queue items move in and out whole, each out to one thread alone; nobody
// gets a reference to an item inside. That needs `Send`, which `Linked` demands, and no more.
unsafe impl<T: Linked> Sync for LockFreeEventQueue<T> {}

impl<T: Linked> LockFreeEventQueue<T> {
    #[inline(always)]
    fn word(&self, order: Ordering) -> Word {
        Word::from_raw(self.word.load(order))
    }

    /// One attempt to go from one word to another; returns what the word was.
    ///
    /// A failure is Relaxed: it only tells where to try next, and nothing is looked at on its word.
    #[inline(always)]
    fn exchange(&self, from: Word, to: Word, order: Ordering) -> Result<Word, Word> {
        self.word
            .compare_exchange_weak(from.into_raw(), to.into_raw(), order, Ordering::Relaxed)
            .map(Word::from_raw)
            .map_err(Word::from_raw)
    }

    /// The way out of an enqueue that found the queue closed.
    ///
    /// # Safety
    ///
    /// `link` came from `into_link` and was not published.
    #[cold]
    #[inline(never)]
    unsafe fn refuse_as_closed(link: NonNull<Link>) -> Enqueued<T> {
        // Acquire: with the load that saw `CLOSED`, it pairs with the Release in `close`. A fence
        // here, so that the load on the way of every push can be Relaxed.
        fence(Ordering::Acquire);
        // SAFETY: by this function's own contract the item is still the caller's, and is given up
        // once.
        Enqueued::Closed(unsafe { T::from_link(link) })
    }

    /// # Safety
    ///
    /// The caller has just replaced `word` by a read-modify-write with Acquire.
    #[inline]
    unsafe fn batch(word: Word) -> Batch<T> {
        match word.newest() {
            // SAFETY: whoever replaces a chain in the word owns it, and its Acquire pairs with the
            // Release of the pushes that made it. Each push exposed its link and let it lead to the
            // one before, or to nothing.
            Some(newest) => unsafe { Batch::from_newest(newest) },
            None => Batch::new(),
        }
    }
}

impl<T: Linked> EventQueue<T> for LockFreeEventQueue<T> {
    const NAME: &'static str = "lock-free";

    fn closed() -> Self {
        LockFreeEventQueue {
            word: AtomicPtr::new(Word::CLOSED.into_raw()),
            items: PhantomData,
        }
    }

    fn open(&self) {
        // Acquire pairs with the Release in `close`: the opener sees what happened before the
        // closing. Release pairs with the Acquire in `enqueue`: whoever is let in sees what
        // happened before the opening.
        let opened = self.word.compare_exchange(
            Word::CLOSED.into_raw(),
            Word::SCHEDULED.into_raw(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if let Err(word) = opened {
            panic!(
                "an event queue was opened that is not closed but {:?}",
                Word::from_raw(word)
            );
        }
    }

    #[inline]
    fn enqueue(&self, item: T) -> Enqueued<T> {
        // Release pairs with the Acquire in `take` and `close`: who gets the chain sees the item
        // and its link. Acquire pairs with the Release in `rest`: who wins the token sees what its
        // last holder did; and with that in `open`. Asked for on every push and not only on a
        // winning one, as both are one instruction where the processor has one.
        let order = if weakened("push-release") {
            Ordering::Acquire
        } else {
            Ordering::AcqRel
        };
        let link = item.into_link();
        Link::expose(link);
        // Relaxed: a stale word makes the exchange fail, and closed is dealt with in
        // `refuse_as_closed`.
        let mut word = self.word(Ordering::Relaxed);
        loop {
            if word == Word::CLOSED {
                // SAFETY: `link` is from above, and no exchange has succeeded.
                return unsafe { Self::refuse_as_closed(link) };
            }
            // SAFETY: the item is ours until the exchange succeeds.
            unsafe { Link::set_next(link, word.chain()) };
            match self.exchange(word, Word::with_newest(link), order) {
                Ok(Word::IDLE) => return Enqueued::Schedule,
                Ok(_) => return Enqueued::Queued,
                Err(actual) => word = actual,
            }
        }
    }

    #[inline]
    fn take(&self) -> Batch<T> {
        if weakened("take-compare") {
            let word = Word::from_raw(
                self.word
                    .swap(Word::SCHEDULED.into_raw(), Ordering::Acquire),
            );
            // SAFETY: the line above.
            return unsafe { Self::batch(word) };
        }
        // Relaxed: decides only whether to try; what is in the chain is seen through the exchange.
        let mut word = self.word(Ordering::Relaxed);
        while word.newest().is_some() {
            // Acquire pairs with the Release in `enqueue`: we see the items and their links. No
            // Release: the token stays where it is, and `rest` will publish what its holder did.
            match self.exchange(word, Word::SCHEDULED, Ordering::Acquire) {
                // SAFETY: the exchange has just replaced the word that it returned, with Acquire.
                Ok(taken) => return unsafe { Self::batch(taken) },
                Err(actual) => word = actual,
            }
        }
        Batch::new()
    }

    #[inline]
    fn rest(&self) -> Rest {
        // Release pairs with the Acquire in `enqueue` and `state`: the next holder of the token, or
        // who sees that there is none, sees what we did.
        let order = if weakened("rest-release") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        // A failure is Relaxed: nothing is looked at on its word; `take` has its own Acquire.
        let rested = self.word.compare_exchange(
            Word::SCHEDULED.into_raw(),
            Word::IDLE.into_raw(),
            order,
            Ordering::Relaxed,
        );
        match rested.map_err(Word::from_raw) {
            Ok(_) | Err(Word::CLOSED) => Rest::Idle,
            Err(Word::IDLE) => {
                debug_assert!(
                    false,
                    "an event queue was rested by somebody without the token"
                );
                Rest::Idle
            }
            Err(_) => Rest::Pending,
        }
    }

    fn close(&self) -> Batch<T> {
        // Acquire pairs with the Release in `enqueue`, as in `take`, and with that in `rest`: who
        // closes an idle queue sees what its last holder did. Release pairs with the Acquire in
        // `open` and in a refused `enqueue`: both see what happened before the closing.
        let order = if weakened("close-release") {
            Ordering::Acquire
        } else {
            Ordering::AcqRel
        };
        let word = Word::from_raw(self.word.swap(Word::CLOSED.into_raw(), order));
        // SAFETY: the line above, with Acquire in either case.
        unsafe { Self::batch(word) }
    }

    #[inline]
    fn state(&self) -> State {
        // Acquire pairs with the Release in `rest` and `close`: who sees idle or closed sees what
        // led there.
        self.word(Ordering::Acquire).state()
    }
}

impl<T: Linked> Drop for LockFreeEventQueue<T> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl<T: Linked> fmt::Debug for LockFreeEventQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockFreeEventQueue")
            .field(&self.word(Ordering::Relaxed))
            .finish()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::event::Node;

    #[test]
    fn the_queue_is_one_word() {
        assert_eq!(
            size_of::<LockFreeEventQueue<Box<Node<u64>>>>(),
            size_of::<usize>()
        );
        assert_eq!(size_of::<Batch<Box<Node<u64>>>>(), 2 * size_of::<usize>());
    }

    #[test]
    fn debug_unpacks_the_word() {
        let queue = LockFreeEventQueue::<Box<Node<u64>>>::closed();
        assert_eq!(format!("{queue:?}"), "LockFreeEventQueue(Closed)");
        queue.open();
        assert_eq!(format!("{queue:?}"), "LockFreeEventQueue(Scheduled)");
    }
}
