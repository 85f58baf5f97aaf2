//! The two ways through a [`Batch`](super::Batch): looking at its items, and taking them out.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::{Batch, Link, Linked};

/// Looks at the items of a [`Batch`], oldest first. Made by [`Batch::iter`].
///
/// ```
/// use libprocess_queues::event::{Batch, Node};
///
/// let batch: Batch<_> = ["a", "b"].map(Node::new).into_iter().collect();
/// let mut iter = batch.iter();
/// assert_eq!(iter.next(), Some(&"a"));
/// assert_eq!(iter.clone().count(), 1);
/// ```
pub struct Iter<'a, T: Linked> {
    next: Option<NonNull<Link>>,
    batch: PhantomData<&'a Batch<T>>,
}

// SAFETY: an iterator is a shared borrow of a batch, and gives `&T::Target` only.
unsafe impl<T: Linked> Send for Iter<'_, T> where T::Target: Sync {}
// SAFETY: as above.
unsafe impl<T: Linked> Sync for Iter<'_, T> where T::Target: Sync {}

impl<T: Linked> Iter<'_, T> {
    /// # Safety
    ///
    /// `head` is the head of a batch of `T` that stays borrowed as long as the iterator.
    #[inline]
    pub(super) unsafe fn new(head: Option<NonNull<Link>>) -> Self {
        Iter {
            next: head,
            batch: PhantomData,
        }
    }
}

impl<'a, T: Linked> Iterator for Iter<'a, T>
where
    T::Target: 'a,
{
    type Item = &'a T::Target;

    #[inline]
    fn next(&mut self) -> Option<&'a T::Target> {
        let link = self.next?;
        // SAFETY: the batch is borrowed for `'a`: it owns the item all that time, and nobody else
        // touches its links.
        unsafe {
            self.next = Link::next(link);
            Some(T::target(link))
        }
    }
}

impl<'a, T: Linked> FusedIterator for Iter<'a, T> where T::Target: 'a {}

impl<T: Linked> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter {
            next: self.next,
            batch: PhantomData,
        }
    }
}

impl<'a, T: Linked> fmt::Debug for Iter<'a, T>
where
    T::Target: fmt::Debug + 'a,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Takes the items out of a [`Batch`], oldest first. Dropping it drops what is left.
///
/// ```
/// use libprocess_queues::event::{Batch, Node};
///
/// let batch: Batch<_> = ["a", "b"].map(Node::new).into_iter().collect();
/// let items: Vec<_> = batch.into_iter().map(|node| node.into_item()).collect();
/// assert_eq!(items, ["a", "b"]);
/// ```
pub struct IntoIter<T: Linked>(Batch<T>);

impl<T: Linked> IntoIter<T> {
    #[inline]
    pub(super) fn new(batch: Batch<T>) -> Self {
        IntoIter(batch)
    }
}

impl<T: Linked> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

impl<T: Linked> FusedIterator for IntoIter<T> {}

impl<T: Linked> fmt::Debug for IntoIter<T>
where
    T::Target: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
