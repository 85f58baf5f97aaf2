//! A chain of items that somebody owns: what a consumer takes out of an event queue.
//!
//! # Invariants
//!
//! 1. `head` is `None` and the batch is empty, or the links from `head` lead to `tail` and end
//!    there: the link of `tail` leads nowhere.
//! 2. Every link in the chain came from [`Linked::into_link`] of `T`, was exposed, and is in no
//!    other chain: the batch owns the items, as a vector would.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::iter::{IntoIter, Iter};
use super::{Link, Linked};

/// A first-in first-out chain of items, linked through the items themselves.
///
/// **Order**: oldest first. **Cost**: two words in size; no operation allocates; each is O(1)
/// unless it says otherwise. **Memory**: the items' own, freed item by item as they are popped.
///
/// Dropping a batch drops what is left in it, oldest first and in a loop, however long it is; a
/// panic in one item's drop does not keep the others from being dropped.
///
/// ```
/// use libprocess_queues::event::{Batch, Node};
///
/// let mut batch = Batch::new();
/// batch.push_back(Node::new(1));
/// batch.push_back(Node::new(2));
///
/// assert_eq!(batch.iter().sum::<i32>(), 3);
/// assert_eq!(batch.pop_front().unwrap().into_item(), 1);
/// assert_eq!(batch.len(), 1);
/// ```
///
/// An item cannot be popped while somebody looks at it:
///
/// ```compile_fail,E0502
/// use libprocess_queues::event::{Batch, Node};
///
/// let mut batch: Batch<_> = [Node::new(1)].into_iter().collect();
/// let first = batch.iter().next().unwrap();
/// drop(batch.pop_front());
/// assert_eq!(*first, 1);
/// ```
pub struct Batch<T: Linked> {
    head: Option<NonNull<Link>>,
    /// Meaningful only while `head` is there.
    tail: Option<NonNull<Link>>,
    items: PhantomData<T>,
}

// SAFETY: a batch owns its items (invariant 2), and an item is `Send`, as `Linked` demands.
unsafe impl<T: Linked> Send for Batch<T> {}
// SAFETY: through `&Batch` there is only `&T::Target`, and links that nobody writes meanwhile.
unsafe impl<T: Linked> Sync for Batch<T> where T::Target: Sync {}

impl<T: Linked> Batch<T> {
    /// An empty batch. Allocates nothing; usable in constants.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// const EMPTY: Batch<Box<Node<u8>>> = Batch::new();
    /// assert!(EMPTY.is_empty());
    /// ```
    #[inline]
    pub const fn new() -> Batch<T> {
        Batch {
            head: None,
            tail: None,
            items: PhantomData,
        }
    }

    /// The batch of a chain whose links lead from the newest item to the oldest. O(n): every link
    /// is turned around, in place.
    ///
    /// # Safety
    ///
    /// The caller owns the chain of `newest` and gives it up; its links came from `into_link` of
    /// `T`, were exposed, and the oldest leads nowhere.
    #[inline]
    pub(super) unsafe fn from_newest(newest: NonNull<Link>) -> Batch<T> {
        let mut at = newest;
        let mut newer = ptr::null_mut();
        loop {
            // SAFETY: the chain is the caller's, and therefore ours now, down to its oldest link.
            let older = unsafe { Link::next(at) };
            // SAFETY: as above.
            unsafe { Link::set_next(at, newer) };
            match older {
                Some(older) => {
                    newer = at.as_ptr();
                    at = older;
                }
                None => {
                    return Batch {
                        head: Some(at),
                        tail: Some(newest),
                        items: PhantomData,
                    };
                }
            }
        }
    }

    /// Whether nothing is in the batch.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let mut batch = Batch::new();
    /// assert!(batch.is_empty());
    /// batch.push_back(Node::new(()));
    /// assert!(!batch.is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// How many items are in the batch. O(n): it walks the chain, because a count would be a third
    /// word that every take had to fill.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let batch: Batch<_> = (0..5).map(Node::new).collect();
    /// assert_eq!(batch.len(), 5);
    /// ```
    pub fn len(&self) -> usize {
        let mut count = 0;
        let mut at = self.head;
        while let Some(link) = at {
            count += 1;
            // SAFETY: the batch owns the chain (invariant 2).
            at = unsafe { Link::next(link) };
        }
        count
    }

    /// Takes the oldest item out.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let mut batch: Batch<_> = (0..2).map(Node::new).collect();
    /// assert_eq!(batch.pop_front().unwrap().into_item(), 0);
    /// assert_eq!(batch.pop_front().unwrap().into_item(), 1);
    /// assert!(batch.pop_front().is_none());
    /// ```
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        let link = self.head?;
        // SAFETY: the batch owns the chain (invariant 2); the link leaves it before it is given up.
        unsafe {
            self.head = Link::next(link);
            Some(T::from_link(link))
        }
    }

    /// Puts an item behind the others.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let mut batch = Batch::new();
    /// batch.push_back(Node::new("first"));
    /// batch.push_back(Node::new("second"));
    /// assert_eq!(batch.iter().collect::<Vec<_>>(), [&"first", &"second"]);
    /// ```
    #[inline]
    pub fn push_back(&mut self, item: T) {
        let link = item.into_link();
        Link::expose(link);
        // SAFETY: the item was ours, so its link is, until it is in the chain.
        unsafe { Link::set_next(link, ptr::null_mut()) };
        self.append(Batch {
            head: Some(link),
            tail: Some(link),
            items: PhantomData,
        });
    }

    /// Puts all of `other` behind what is here. O(1), however long either is.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let mut batch: Batch<_> = [1, 2].map(Node::new).into_iter().collect();
    /// batch.append([3].map(Node::new).into_iter().collect());
    /// assert_eq!(batch.iter().collect::<Vec<_>>(), [&1, &2, &3]);
    /// ```
    #[inline]
    pub fn append(&mut self, mut other: Batch<T>) {
        let Some(first) = other.head.take() else {
            return;
        };
        match (self.head, self.tail) {
            // SAFETY: both chains are ours; `tail` is the end of this one (invariant 1).
            (Some(_), Some(tail)) => unsafe { Link::set_next(tail, first.as_ptr()) },
            _ => self.head = Some(first),
        }
        self.tail = other.tail;
    }

    /// Takes out the oldest item that `matches`, and leaves the others in their order.
    ///
    /// O(n) up to that item. If `matches` panics, the batch is as it was.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let mut batch: Batch<_> = (0..5).map(Node::new).collect();
    /// assert_eq!(batch.extract(|item| item % 2 == 1).unwrap().into_item(), 1);
    /// assert!(batch.extract(|item| *item == 1).is_none());
    /// assert_eq!(batch.iter().collect::<Vec<_>>(), [&0, &2, &3, &4]);
    /// ```
    pub fn extract(&mut self, mut matches: impl FnMut(&T::Target) -> bool) -> Option<T> {
        let mut before: Option<NonNull<Link>> = None;
        let mut at = self.head;
        while let Some(link) = at {
            // SAFETY: the batch owns the item, and gives it up only after the look at it.
            let found = matches(unsafe { T::target(link) });
            // SAFETY: the batch owns the chain (invariant 2).
            let next = unsafe { Link::next(link) };
            if found {
                match before {
                    // SAFETY: as above.
                    Some(before) => unsafe {
                        Link::set_next(before, next.map_or(ptr::null_mut(), NonNull::as_ptr));
                    },
                    None => self.head = next,
                }
                if next.is_none() {
                    self.tail = before;
                }
                // SAFETY: the link has left the chain, and is given up once.
                return Some(unsafe { T::from_link(link) });
            }
            before = at;
            at = next;
        }
        None
    }

    /// Looks at every item, oldest first.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let batch: Batch<_> = (0..3).map(Node::new).collect();
    /// assert!(batch.iter().eq(&[0, 1, 2]));
    /// ```
    #[inline]
    pub fn iter(&self) -> Iter<'_, T> {
        // SAFETY: the batch owns the chain (invariant 2), and stays borrowed as long as the
        // iterator.
        unsafe { Iter::new(self.head) }
    }

    /// Calls `look` with every item, oldest first.
    ///
    /// ```
    /// use libprocess_queues::event::{Batch, Node};
    ///
    /// let batch: Batch<_> = (1..4).map(Node::new).collect();
    /// let mut sum = 0;
    /// batch.for_each(|item| sum += item);
    /// assert_eq!(sum, 6);
    /// ```
    #[inline]
    pub fn for_each(&self, look: impl FnMut(&T::Target)) {
        self.iter().for_each(look);
    }
}

impl<T: Linked> Drop for Batch<T> {
    #[inline]
    fn drop(&mut self) {
        /// Goes on with the rest when the drop of one item unwinds.
        struct Rest<'a, T: Linked>(&'a mut Batch<T>);

        impl<T: Linked> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Some(item) = self.0.pop_front() {
                    drop(item);
                }
            }
        }

        while let Some(item) = self.pop_front() {
            let rest = Rest(self);
            drop(item);
            std::mem::forget(rest);
        }
    }
}

impl<T: Linked> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch::new()
    }
}

impl<T: Linked> Extend<T> for Batch<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push_back(item));
    }
}

impl<T: Linked> FromIterator<T> for Batch<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Batch<T> {
        let mut batch = Batch::new();
        batch.extend(items);
        batch
    }
}

impl<T: Linked> IntoIterator for Batch<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[inline]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter::new(self)
    }
}

impl<'a, T: Linked> IntoIterator for &'a Batch<T>
where
    T::Target: 'a,
{
    type Item = &'a T::Target;
    type IntoIter = Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Linked> fmt::Debug for Batch<T>
where
    T::Target: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
