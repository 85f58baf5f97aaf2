//! Callbacks that wait in a core, and the loop that runs them.
//!
//! A node is the head of something that waits: an *observer*, a closure that is shown the value, or a *consumer*, a link to a
//! further core, which holds a handle of its own and may take the value away. Observers are run by the completer itself; consumers are put on
//! its [`Work`] list, which it works off in a loop: completing a link puts the links behind it in front of the list, so that a chain of any
//! length is walked in the order of a recursion without being one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::core::{Core, Header};
use crate::facade::UnsafeCell;

/// What a node is the head of.
pub(super) struct NodeTable {
    /// Takes the node (and frees what it is the head of, or gives it up). The header is that of the core it waited in, which is settled, or
    /// running if this is an observer.
    pub(super) run: unsafe fn(NonNull<Node>, NonNull<Header>, &mut Work),
    pub(super) observer: bool,
}

#[repr(C, align(16))]
pub(super) struct Node {
    /// Written by whoever owns the node: its maker until it is pushed, then whoever took the list it is in.
    next: UnsafeCell<*mut Node>,
    table: UnsafeCell<&'static NodeTable>,
}

impl Node {
    pub(super) fn new(table: &'static NodeTable) -> Self {
        Self {
            next: UnsafeCell::new(std::ptr::null_mut()),
            table: UnsafeCell::new(table),
        }
    }

    /// # Safety
    ///
    /// The node is pushed and not taken (then nobody writes it), or the caller owns it.
    pub(super) unsafe fn next(&self) -> *mut Node {
        // SAFETY: by the contract.
        self.next.with(|next| unsafe { *next })
    }

    /// # Safety
    ///
    /// The caller owns the node.
    pub(super) unsafe fn set_next(&self, node: *mut Node) {
        // SAFETY: by the contract.
        self.next.with_mut(|next| unsafe { *next = node });
    }

    /// # Safety
    ///
    /// As `next`.
    pub(super) unsafe fn table(&self) -> &'static NodeTable {
        // SAFETY: by the contract.
        self.table.with(|table| unsafe { *table })
    }

    /// # Safety
    ///
    /// The caller owns the node.
    pub(super) unsafe fn set_table(&self, new: &'static NodeTable) {
        // SAFETY: by the contract.
        self.table.with_mut(|table| unsafe { *table = new });
    }
}

/// Whether a list has an observer in it.
///
/// # Safety
///
/// The nodes are pushed and not taken: nobody but the caller takes lists of this core.
pub(super) unsafe fn has_observer(mut list: *mut Node) -> bool {
    while let Some(node) = NonNull::new(list) {
        // SAFETY: by the contract.
        let (observer, next) = unsafe { (node.as_ref().table().observer, node.as_ref().next()) };
        if observer {
            return true;
        }
        list = next;
    }
    false
}

/// Nodes in the order in which they are to be run. The list owns them.
pub(super) struct NodeList {
    head: *mut Node,
    tail: *mut Node,
}

impl NodeList {
    pub(super) const fn new() -> Self {
        Self {
            head: std::ptr::null_mut(),
            tail: std::ptr::null_mut(),
        }
    }

    /// Takes over a list as the word has it, newest first, and turns it around.
    ///
    /// # Safety
    ///
    /// The caller took the list, and owns its nodes.
    pub(super) unsafe fn from_newest(mut list: *mut Node) -> Self {
        let mut turned = Self::new();
        while let Some(node) = NonNull::new(list) {
            // SAFETY: by the contract.
            list = unsafe { node.as_ref().next() };
            // SAFETY: as above; it is in no list now.
            unsafe { turned.push_front(node) };
        }
        turned
    }

    /// # Safety
    ///
    /// The caller owns the node, and gives it up.
    unsafe fn push_front(&mut self, node: NonNull<Node>) {
        // SAFETY: by the contract.
        unsafe { node.as_ref().set_next(self.head) };
        if self.head.is_null() {
            self.tail = node.as_ptr();
        }
        self.head = node.as_ptr();
    }

    /// # Safety
    ///
    /// As `push_front`.
    pub(super) unsafe fn push_back(&mut self, node: NonNull<Node>) {
        // SAFETY: by the contract; the tail is ours.
        unsafe {
            node.as_ref().set_next(std::ptr::null_mut());
            match NonNull::new(self.tail) {
                Some(tail) => tail.as_ref().set_next(node.as_ptr()),
                None => self.head = node.as_ptr(),
            }
        }
        self.tail = node.as_ptr();
    }

    pub(super) fn pop_front(&mut self) -> Option<NonNull<Node>> {
        let node = NonNull::new(self.head)?;
        // SAFETY: nodes of the list are ours.
        self.head = unsafe { node.as_ref().next() };
        if self.head.is_null() {
            self.tail = std::ptr::null_mut();
        }
        Some(node)
    }

    /// Puts all of `other` in front.
    fn prepend(&mut self, other: Self) {
        let Some(tail) = NonNull::new(other.tail) else {
            return;
        };
        // SAFETY: nodes of either list are ours.
        unsafe { tail.as_ref().set_next(self.head) };
        if self.head.is_null() {
            self.tail = other.tail;
        }
        self.head = other.head;
    }
}

/// Consumers that are to be run, and the first panic of foreign code that was run.
pub(super) struct Work {
    consumers: NodeList,
    panic: Option<Box<dyn Any + Send>>,
}

impl Work {
    pub(super) const fn new() -> Self {
        Self {
            consumers: NodeList::new(),
            panic: None,
        }
    }

    /// Puts consumers in front of those that wait.
    pub(super) fn prepend(&mut self, consumers: NodeList) {
        self.consumers.prepend(consumers);
    }

    /// Runs foreign code, and keeps the first panic.
    pub(super) fn contain<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| f(self))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.keep(payload);
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn keep(&mut self, payload: Box<dyn Any + Send>) {
        match self.panic {
            None => self.panic = Some(payload),
            // One goes on. Dropping the others could panic again.
            Some(_) => std::mem::forget(payload),
        }
    }

    /// Runs what is to be run, until nothing is. Gives the first panic.
    // By reference: moved, its words would be read together just behind where they were written one by one, which waits until they are in the cache.
    pub(super) fn drive(&mut self) -> Option<Box<dyn Any + Send>> {
        while let Some(node) = self.consumers.pop_front() {
            self.contain(|work| {
                // SAFETY: the node came out of our list; a consumer does not use the header, as it has a handle of its own.
                unsafe { (node.as_ref().table().run)(node, NonNull::dangling(), work) }
            });
        }
        self.panic.take()
    }

    /// As `drive`, for where no panic may go on: it is logged.
    pub(super) fn finish_in_drop(&mut self) {
        if let Some(payload) = self.drive() {
            tracing::error!("panic in a callback of an abandoned future");
            // Its drop is foreign code too, and may panic.
            std::mem::forget(payload);
        }
    }

    /// As `drive`. The first panic goes on here, after all has run.
    #[inline]
    pub(super) fn finish(&mut self) {
        if let Some(payload) = self.drive() {
            std::panic::resume_unwind(payload);
        }
    }
}

/// A closure that is shown a core when it is settled.
#[repr(C)]
struct Observer<F> {
    node: Node,
    callback: F,
}

/// A node that shows the core it is pushed into to `callback`. One allocation.
pub(super) fn observer<T, F>(callback: F) -> NonNull<Node>
where
    F: FnOnce(&Core<T>) + Send + 'static,
{
    /// # Safety
    ///
    /// The node is an `Observer<F>`'s and waited in a `Core<T>`.
    unsafe fn run<T, F: FnOnce(&Core<T>)>(
        node: NonNull<Node>,
        header: NonNull<Header>,
        _work: &mut Work,
    ) {
        // SAFETY: by the contract; the core is kept by whoever completes it.
        let (observer, core) = unsafe {
            (
                Box::from_raw(node.cast::<Observer<F>>().as_ptr()),
                header.cast::<Core<T>>().as_ref(),
            )
        };
        (observer.callback)(core);
    }
    struct TableOf<T, F>(std::marker::PhantomData<(fn(T), F)>);
    impl<T, F: FnOnce(&Core<T>)> TableOf<T, F> {
        const TABLE: &'static NodeTable = &NodeTable {
            run: run::<T, F>,
            observer: true,
        };
    }
    let observer = Box::new(Observer {
        node: Node::new(TableOf::<T, F>::TABLE),
        callback,
    });
    // A pointer to the whole, so that `run` may free it.
    NonNull::from(Box::leak(observer)).cast()
}
