//! What makes an item fit for an event queue: a link inside the item itself.
//!
//! An event queue allocates nothing. Whoever makes an event has allocated it already; the queue
//! threads a chain through the events by the [`Link`] that each of them contains. [`Linked`] says
//! how an owning pointer becomes a bare link and back, and [`Node`] is a ready-made item for those
//! who have no block of their own to put the link in.
//!
//! # Invariants
//!
//! *Ownership of a link follows ownership of the item.* Between [`Linked::into_link`] and
//! [`Linked::from_link`] the item is owned by the chain that the link is in, and `next` is touched
//! by the owner of that chain alone: the producer until its push is published, then, through the
//! acquire that takes the chain, whoever took it. That is why the cell inside needs no atomic.
//!
//! *A link's address is exposed before it is in a chain.* See [`Link::set_next`] for what that is
//! good for.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use crate::sync::UnsafeCell;

/// The place in an item by which an event queue chains it to the next one.
///
/// It is one word, aligned to 8 bytes on every machine, so that the three low bits of its address
/// are free for the queue's own states. What is in it is the queue's business alone: it has no
/// public operation but its making.
///
/// Put it into the block that your items point to, and implement [`Linked`] for the pointer.
///
/// ```
/// use libprocess_queues::event::Link;
///
/// struct Event {
///     link: Link,
///     name: &'static str,
/// }
///
/// let event = Event { link: Link::new(), name: "started" };
/// assert_eq!(event.name, "started");
/// assert!(align_of_val(&event.link) >= 8);
/// ```
#[repr(C, align(8))]
pub struct Link {
    /// The address of the next link of the chain, or 0. Owned as the module's first invariant says.
    next: UnsafeCell<usize>,
}

// SAFETY: a link is a number, and `next` is only reached through this crate, by the owner of the
// chain (first invariant). Moving it to, or sharing it with, another thread gives no access to it.
unsafe impl Send for Link {}
// SAFETY: as above: `&Link` alone allows nothing outside of this crate.
unsafe impl Sync for Link {}

impl Link {
    /// A link that is in no chain. Costs nothing; usable in constants.
    ///
    /// ```
    /// use libprocess_queues::event::Link;
    ///
    /// const UNLINKED: Link = Link::new();
    /// let _link = UNLINKED;
    /// ```
    #[cfg(not(libprocess_loom))]
    #[inline]
    pub const fn new() -> Link {
        Link {
            next: UnsafeCell::new(0),
        }
    }

    /// A link that is in no chain. Not `const` here because loom registers every cell when it is
    /// made.
    #[cfg(libprocess_loom)]
    pub fn new() -> Link {
        Link {
            next: UnsafeCell::new(0),
        }
    }

    /// Makes this link's address good for a pointer to come out of [`next`](Link::next).
    ///
    /// Every link goes through here before it is published.
    #[inline(always)]
    pub(crate) fn expose(link: NonNull<Link>) {
        link.as_ptr().expose_provenance();
    }

    /// The next link of the chain.
    ///
    /// # Safety
    ///
    /// The caller owns the chain that `link` is in.
    #[inline(always)]
    pub(crate) unsafe fn next(link: NonNull<Link>) -> Option<NonNull<Link>> {
        // SAFETY: the caller owns the chain, so the item is alive and nobody else writes its link.
        let address = unsafe { link.as_ref() }.next.with(|next| unsafe { *next });
        NonNull::new(ptr::with_exposed_provenance_mut(address))
    }

    /// Makes `next` (which may be null) the next link of the chain.
    ///
    /// Only the address is kept, and [`next`](Link::next) makes a pointer of it by exposed
    /// provenance. A producer links to the newest item that it saw, and its compare-and-swap then
    /// proves that an item *at that address* is the newest. It may be another one: the one it saw
    /// may have been taken and freed, and its memory used again. Its old pointer has no right to
    /// the new item; its address, which the new item's own producer exposed, has.
    ///
    /// # Safety
    ///
    /// The caller owns the chain that `link` is in.
    #[inline(always)]
    pub(crate) unsafe fn set_next(link: NonNull<Link>, next: *mut Link) {
        let address = next.addr();
        // SAFETY: the caller owns the chain, so the item is alive and nobody else touches its link.
        unsafe { link.as_ref() }
            .next
            .with_mut(|next| unsafe { *next = address });
    }
}

impl Default for Link {
    fn default() -> Link {
        Link::new()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address inside: whoever prints a link need not own the chain.
        f.write_str("Link")
    }
}

/// An owning pointer to something that contains a [`Link`].
///
/// An event queue takes such a pointer apart into its link, chains the link, and puts the pointer
/// together again when the item comes out. It is `Send` because that usually happens on another
/// thread.
///
/// # Safety
///
/// An implementation promises that
///
/// 1. the link that [`into_link`](Linked::into_link) returns is alive, stays where it is, and
///    belongs to the queue alone until [`from_link`](Linked::from_link) is called with it: nothing
///    else moves, frees or mutably borrows the block around it;
/// 2. the pointer that `into_link` returns has the provenance of the whole block, as far as
///    `from_link` and [`target`](Linked::target) reach;
/// 3. `from_link` gives back the very value that `into_link` took apart, and `target` refers to
///    what that value owns;
/// 4. none of the three unwinds.
///
/// ```
/// use libprocess_queues::event::{EventQueue, Link, Linked, LockFreeEventQueue};
/// use std::ptr::NonNull;
///
/// #[repr(C)] // the link comes first: a pointer to it is a pointer to the block
/// struct Event {
///     link: Link,
///     name: &'static str,
/// }
///
/// struct EventBox(Box<Event>);
///
/// // SAFETY: the box owns the block alone, `into_raw` keeps it alive at its place and has the
/// // provenance of all of it, and `from_raw` is its inverse.
/// unsafe impl Linked for EventBox {
///     type Target = Event;
///
///     fn into_link(self) -> NonNull<Link> {
///         // SAFETY: a box is never null.
///         unsafe { NonNull::new_unchecked(Box::into_raw(self.0)) }.cast()
///     }
///
///     unsafe fn from_link(link: NonNull<Link>) -> EventBox {
///         // SAFETY: the caller passes what `into_link` returned.
///         EventBox(unsafe { Box::from_raw(link.cast().as_ptr()) })
///     }
///
///     unsafe fn target<'a>(link: NonNull<Link>) -> &'a Event {
///         // SAFETY: the caller passes what `into_link` returned, and keeps it for `'a`.
///         unsafe { link.cast().as_ref() }
///     }
/// }
///
/// let mailbox = LockFreeEventQueue::closed();
/// mailbox.open();
/// let _ = mailbox.enqueue(EventBox(Box::new(Event { link: Link::new(), name: "started" })));
/// assert_eq!(mailbox.take().pop_front().unwrap().0.name, "started");
/// ```
///
/// What is not `Send` cannot be enqueued:
///
/// ```compile_fail,E0277
/// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node};
/// use std::rc::Rc;
///
/// let mailbox = LockFreeEventQueue::closed();
/// let _ = mailbox.enqueue(Node::new(Rc::new(1)));
/// ```
pub unsafe trait Linked: Sized + Send {
    /// What can be looked at while the item is in a [`Batch`](super::Batch).
    type Target: ?Sized;

    /// Takes the pointer apart; the item is now owned through its link. O(1), allocates nothing.
    fn into_link(self) -> NonNull<Link>;

    /// Puts the pointer together again. O(1).
    ///
    /// # Safety
    ///
    /// `link` came from [`into_link`](Linked::into_link) of this type, the caller owns it, and
    /// gives it up with this call: once for each `into_link`.
    unsafe fn from_link(link: NonNull<Link>) -> Self;

    /// A look at the item while it is owned through its link. O(1).
    ///
    /// # Safety
    ///
    /// `link` came from [`into_link`](Linked::into_link) of this type, and for all of `'a` the item
    /// stays owned through it.
    unsafe fn target<'a>(link: NonNull<Link>) -> &'a Self::Target;
}

/// An item with a link beside it: what goes into an event queue if you have no block of your own.
///
/// `Box<Node<T>>` is [`Linked`]; a look at it in a batch shows the `T`. It costs one allocation for
/// each item, of the size of `T` and one word.
///
/// ```
/// use libprocess_queues::event::{EventQueue, LockingEventQueue, Node};
///
/// let mailbox = LockingEventQueue::closed();
/// mailbox.open();
/// let _ = mailbox.enqueue(Node::new("hello".to_string()));
///
/// let node = mailbox.take().pop_front().unwrap();
/// assert_eq!(node.len(), 5); // a node dereferences to its item
/// assert_eq!(node.into_item(), "hello");
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct Node<T> {
    /// First, so that a pointer to the link is a pointer to the node.
    link: Link,
    item: T,
}

impl<T> Node<T> {
    /// Puts `item` into a node of its own on the heap. Allocates; aborts as `Box::new` does.
    ///
    /// ```
    /// use libprocess_queues::event::Node;
    ///
    /// let mut node = Node::new(vec![1, 2]);
    /// node.push(3);
    /// assert_eq!(node.len(), 3);
    /// ```
    pub fn new(item: T) -> Box<Node<T>> {
        Box::new(Node {
            link: Link::new(),
            item,
        })
    }

    /// The item, moved out; the node's memory is freed. O(1).
    ///
    /// ```
    /// use libprocess_queues::event::Node;
    ///
    /// assert_eq!(Node::new("hello").into_item(), "hello");
    /// ```
    #[expect(clippy::boxed_local, reason = "a node only ever lives in a box")]
    pub fn into_item(self: Box<Node<T>>) -> T {
        self.item
    }
}

impl<T> Deref for Node<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Node<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

// SAFETY: a box owns its node alone; `into_raw` leaves it alive at its place, gives a pointer with
// the provenance of the whole node, and `from_raw` is its inverse. The node is `repr(C)` with the
// link first, so the cast between the two pointers keeps the address. Nothing here unwinds.
unsafe impl<T: Send> Linked for Box<Node<T>> {
    type Target = T;

    #[inline]
    fn into_link(self) -> NonNull<Link> {
        // SAFETY: a box is never null.
        unsafe { NonNull::new_unchecked(Box::into_raw(self)) }.cast()
    }

    #[inline]
    unsafe fn from_link(link: NonNull<Link>) -> Box<Node<T>> {
        // SAFETY: the caller passes what `into_link` returned and gives it up.
        unsafe { Box::from_raw(link.cast::<Node<T>>().as_ptr()) }
    }

    #[inline]
    unsafe fn target<'a>(link: NonNull<Link>) -> &'a T {
        // SAFETY: the caller passes what `into_link` returned and leaves the item there for `'a`.
        unsafe { &(*link.cast::<Node<T>>().as_ptr()).item }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_one_word_and_leaves_three_bits_of_its_address() {
        assert_eq!(size_of::<Link>(), 8);
        assert_eq!(align_of::<Link>(), 8);
        assert_eq!(size_of::<Node<u64>>(), 16);
    }

    #[test]
    fn a_node_survives_the_way_through_its_link() {
        let link = Node::new(String::from("kept")).into_link();
        // SAFETY: `link` came from `into_link` just now and is given up once, after the look.
        unsafe {
            assert_eq!(Box::<Node<String>>::target(link), "kept");
            assert_eq!(Box::<Node<String>>::from_link(link).into_item(), "kept");
        }
    }
}
