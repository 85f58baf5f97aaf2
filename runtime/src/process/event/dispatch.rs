use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{Block, EventBox, Header, Table, dispatch_table_of, dispatch_table_with};
use super::recycle;
use crate::future::embedded::{CoreHeader, Embedded, EmbeddedTable, NothingHeld};
use crate::future::{Future, MailboxFull, Outcome, Promise, Returned, ValueOrFuture};
use crate::process::resume::guarded;
use crate::process::{Context, Method, Process, RawPid};

/// What is needed to run a dispatch, beside its closure.
pub(crate) struct DispatchTable {
    /// Where in the block the word of [`put_aside`] is.
    in_hand: usize,
    /// Takes the block and calls its closure on a `P` and a `Context<P>`.
    call: unsafe fn(NonNull<Header>, *mut (), *mut ()),
    identity: Identity,
    /// Drops the closure and has the future fail, as the mailbox is full.
    refuse: unsafe fn(NonNull<Header>, MailboxFull),
}

/// How to learn which function a dispatch calls.
enum Identity {
    /// Of the block of one that a user made.
    Known(unsafe fn(NonNull<Header>) -> DispatchIdentity),
    /// The runtime's own, a poll, which filters do not see: of the process, where it was spawned.
    Poll(unsafe fn(NonNull<()>) -> &'static Location<'static>),
}

/// Which function a dispatch calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispatchIdentity {
    /// A method, by the path of the function and its type.
    Method {
        /// As `std::any::type_name` gives it: `my_crate::Adder::add`.
        name: &'static str,
        /// The type of the function item.
        function: TypeId,
    },
    /// A closure, by the place of the call that dispatched it.
    Closure {
        /// File, line and column of the `dispatch_with`.
        location: &'static Location<'static>,
    },
}

impl fmt::Display for DispatchIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { name, .. } => f.write_str(name),
            Self::Closure { location } => write!(f, "closure at {location}"),
        }
    }
}

/// A function call that a `P` is being served.
///
/// Dropping it unrun abandons the future that the dispatcher has.
///
/// ```
/// use libprocess::{Context, DispatchEvent, Process};
///
/// #[derive(Default)]
/// struct Counting { dispatches: u64 }
/// impl Process for Counting {
///     fn consume_dispatch(&mut self, event: DispatchEvent<Self>, cx: &mut Context<Self>) {
///         self.dispatches += 1;
///         event.run(self, cx);
///     }
/// }
/// ```
pub struct DispatchEvent<P> {
    event: EventBox,
    process: PhantomData<fn(&mut P)>,
}

impl<P: Process> DispatchEvent<P> {
    /// # Safety
    ///
    /// The block is a dispatch to a `P`.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        put_aside(&event);
        Self {
            event,
            process: PhantomData,
        }
    }

    fn table(&self) -> &'static DispatchTable {
        match &self.event.table().dispatch {
            Some(table) => table,
            // By the contract of `from_box`.
            None => unreachable!("a dispatch without a table"),
        }
    }

    /// Calls the function on `process`.
    #[inline]
    pub fn run(self, process: &mut P, cx: &mut Context<P>) {
        let call = self.table().call;
        let header = libprocess_queues::event::Linked::into_link(self.event).cast();
        let process: *mut P = process;
        let cx: *mut Context<P> = cx;
        // SAFETY: the block is a dispatch to a `P` (contract of `from_box`), so its function takes a
        // `P` and a `Context<P>`; it is given up here, and `call` frees it.
        unsafe { call(header, process.cast(), cx.cast()) }
    }

    /// Which function this calls.
    pub fn identity(&self) -> DispatchIdentity {
        // No poll comes here: its process is the runtime's, and has it run at once.
        identity(&self.event).expect("a user's dispatch")
    }
}

impl<P> fmt::Debug for DispatchEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchEvent").finish_non_exhaustive()
    }
}

/// An event goes out of the mailbox, to be served or not: if it is a dispatch, it is in nobody's hand for now.
///
/// Every dispatch's payload has a word that says which process has it *in hand*: it waits in the mailbox or its function runs, so that its future
/// is completed by that process going on, and by nothing else. Zero while somebody else may have it: a process that puts it aside, a filter
/// that holds it, the future that the function returned.
///
/// The word is `Relaxed` throughout. It is read of processes that are blocked, by who holds the lock of `scheduler::waits`, and they took
/// that lock after they, as the ones that had it in hand, wrote it.
#[inline]
pub(crate) fn put_aside(event: &EventBox) {
    if let Some(table) = &event.table().dispatch {
        // SAFETY: the table is the block's, and says where in it the word is.
        unsafe {
            event
                .header_pointer()
                .byte_add(table.in_hand)
                .cast::<AtomicU64>()
                .as_ref()
        }
        .store(0, Ordering::Relaxed);
    }
}

/// Which function a dispatch to this process calls, also if it is the runtime's own. Of a dispatch only.
///
/// # Safety
///
/// The dispatch is one to a `P`.
pub(crate) unsafe fn identity_for<P: Process>(event: &EventBox, process: &P) -> DispatchIdentity {
    let table = event.table().dispatch.as_ref();
    match &table.expect("a dispatch without a table").identity {
        // SAFETY: the table belongs to the block, which stays borrowed; the function only reads.
        Identity::Known(of) => unsafe { of(event.header_pointer()) },
        Identity::Poll(place) => {
            // SAFETY: by the contract the process is what the table's type is for.
            let location = unsafe { place(NonNull::from(process).cast()) };
            DispatchIdentity::Closure { location }
        }
    }
}

/// Which function a dispatch of unknown process type calls; `None` for other kinds of event, and for the runtime's own.
pub(crate) fn identity(event: &EventBox) -> Option<DispatchIdentity> {
    match event.table().dispatch.as_ref()?.identity {
        // SAFETY: the table belongs to the block, which stays borrowed; the function only reads.
        Identity::Known(of) => Some(unsafe { of(event.header_pointer()) }),
        Identity::Poll(_) => None,
    }
}

/// Whether a block is a dispatch of the runtime's own.
pub(crate) fn is_internal(table: &Table) -> bool {
    table
        .dispatch
        .as_ref()
        .is_some_and(|table| matches!(table.identity, Identity::Poll(_)))
}

/// Drops a dispatch that found its mailbox full, and has its future say so.
pub(super) fn refuse(event: EventBox, full: MailboxFull) {
    if let Some(table) = &event.table().dispatch {
        let header = libprocess_queues::event::Linked::into_link(event).cast();
        // SAFETY: the table is the block's, which is given up here.
        unsafe { (table.refuse)(header, full) }
    }
}

/// Completes a dispatch's future with what the function returns.
///
/// The callbacks of the future are its caller's, so a panic in one of them is not this process's. If the function itself panics, the future is
/// abandoned only after its stack is unwound: a callback that panicked in the middle of that would abort the OS process.
/// The word is that of [`put_aside`], and `by` the process that runs the function.
#[inline]
fn answer<R: Send + 'static>(
    promise: Promise<R>,
    (in_hand, by): (InHand, RawPid),
    function: impl FnOnce() -> Returned<R>,
) {
    in_hand.set(RawPid::to_bits(Some(by)));
    match catch_unwind(AssertUnwindSafe(function)) {
        Ok(returned) => {
            guarded("a callback of a dispatch's future", || match returned {
                Returned::Value(value) => promise.settle(Outcome::Ready(value)),
                Returned::Future(future) => {
                    in_hand.set(0);
                    promise.associate(future);
                }
            });
        }
        Err(payload) => {
            drop(promise);
            resume_unwind(payload);
        }
    }
}

/// The word of [`put_aside`] in a block that a promise keeps.
struct InHand(NonNull<AtomicU64>);

impl InHand {
    /// To be called before the promise is completed or given away.
    #[inline(always)]
    fn set(&self, process: u64) {
        // SAFETY: the block is there as long as the promise. Relaxed: see `put_aside`.
        unsafe { self.0.as_ref() }.store(process, Ordering::Relaxed);
    }
}

/// The payload of a dispatch with a future: the future's core and the call, in one block.
///
/// The block is freed with the core's last reference, which is the future's or the promise's. The event that owns the block until it runs stands for the
/// promise: running it, or dropping it, takes the promise out and the call with it.
struct Call<C, R> {
    /// See [`put_aside`].
    in_hand: AtomicU64,
    core: Embedded<R>,
    call: ManuallyDrop<C>,
}

impl<C, R> Call<C, R>
where
    C: Send + 'static,
    R: Send + 'static,
{
    const CORE: &'static EmbeddedTable = &EmbeddedTable::new(Self::free_core, Self::owner);

    /// # Safety
    ///
    /// The core is that of a block of this type, and no reference is left. The call was taken out.
    unsafe fn free_core(core: NonNull<CoreHeader>) -> NothingHeld {
        // SAFETY: the core is at this place in the block, and the pointer is one to the whole block.
        let block: NonNull<Block<Self>> =
            unsafe { core.byte_sub(offset_of!(Block<Self>, payload.core)).cast() };
        // SAFETY: a block like any other, and nobody uses it any more.
        unsafe { recycle::drop_and_release(block) };
        [None, None]
    }

    /// # Safety
    ///
    /// The core is that of a block of this type.
    unsafe fn owner(core: NonNull<CoreHeader>) -> u64 {
        // SAFETY: by the contract; see `free_core`.
        let block = unsafe {
            core.byte_sub(offset_of!(Block<Self>, payload.core))
                .cast::<Block<Self>>()
        };
        // SAFETY: by the contract; only this field is looked at.
        let in_hand = unsafe { &(*block.as_ptr()).payload.in_hand };
        // Relaxed: see `put_aside`.
        in_hand.load(Ordering::Relaxed)
    }

    /// A block with this call, and the future of its result.
    ///
    /// # Safety
    ///
    /// The table's functions are for this payload, and free it with `drop_unrun`.
    #[inline(always)]
    unsafe fn allocate(table: &'static Table, to: RawPid, call: C) -> (EventBox, Future<R>) {
        // SAFETY: by the contract; all fields are written.
        let event = unsafe {
            EventBox::allocate_with(table, |payload: *mut Self| {
                (&raw mut (*payload).in_hand).write(AtomicU64::new(RawPid::to_bits(Some(to))));
                (&raw mut (*payload).core).write(Embedded::new(Self::CORE));
                (&raw mut (*payload).call).write(ManuallyDrop::new(call));
            })
        };
        // SAFETY: the block's, with its provenance; once.
        let future = unsafe { Embedded::future(Self::core_of(event.header_pointer())) };
        (event, future)
    }

    /// # Safety
    ///
    /// The header is that of a block of this type.
    unsafe fn core_of(header: NonNull<Header>) -> NonNull<Embedded<R>> {
        // SAFETY: by the contract.
        unsafe {
            header
                .byte_add(offset_of!(Block<Self>, payload.core))
                .cast()
        }
    }

    /// Takes the call and the promise out of a block, which is freed with the core from here on.
    ///
    /// # Safety
    ///
    /// The header is that of a block of this type, which the caller gives up.
    #[inline(always)]
    unsafe fn take(header: NonNull<Header>) -> (C, Promise<R>, InHand) {
        // SAFETY: by the contract; the call is read before the promise may free the block, and never again.
        unsafe {
            let call = (&raw const (*header.cast::<Block<Self>>().as_ptr()).payload.call)
                .cast::<C>()
                .read();
            let in_hand = NonNull::from(&(*header.cast::<Block<Self>>().as_ptr()).payload.in_hand);
            (
                call,
                Embedded::promise(Self::core_of(header)),
                InHand(in_hand),
            )
        }
    }

    /// Drops a dispatch that is not run: the call, then the promise, which abandons the future.
    ///
    /// # Safety
    ///
    /// As `take`.
    unsafe fn drop_unrun(header: NonNull<Header>) {
        // SAFETY: by the contract.
        let (call, _abandoned, _) = unsafe { Self::take(header) };
        drop(call);
    }

    /// As `drop_unrun`, but the future fails.
    ///
    /// # Safety
    ///
    /// As `take`.
    unsafe fn refuse(header: NonNull<Header>, full: MailboxFull) {
        // SAFETY: by the contract.
        let (call, promise, _) = unsafe { Self::take(header) };
        drop(call);
        promise.settle_apart(Outcome::Full(full));
    }
}

/// The call of `dispatch`.
struct MethodCall<P, M, A, K> {
    method: M,
    arguments: A,
    process: PhantomData<fn(P, K)>,
}

impl<P, M, A, K> MethodCall<P, M, A, K>
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    const TABLE: &'static Table = &dispatch_table_with(
        DispatchTable {
            in_hand: offset_of!(Block<Call<Self, M::Output>>, payload.in_hand),
            call: Self::call,
            identity: Identity::Known(|_| DispatchIdentity::Method {
                name: std::any::type_name::<M>(),
                function: TypeId::of::<M>(),
            }),
            refuse: Call::<Self, M::Output>::refuse,
        },
        Call::<Self, M::Output>::drop_unrun,
    );

    unsafe fn call(header: NonNull<Header>, process: *mut (), cx: *mut ()) {
        // SAFETY: the caller gives up a block of this call, and passes a `P` and a context that are exclusively its
        // own (contract of `DispatchTable::call`, kept by `DispatchEvent::run`).
        let ((call, promise, in_hand), process, cx) = unsafe {
            (
                Call::<Self, M::Output>::take(header),
                &mut *process.cast::<P>(),
                &mut *cx.cast::<Context<P>>(),
            )
        };
        answer(promise, (in_hand, cx.raw_pid()), || {
            call.method.call(process, cx, call.arguments)
        });
    }
}

/// A dispatch of a method and its future, in one block.
#[inline]
pub(crate) fn of_method<P, A, M, K>(
    to: RawPid,
    method: M,
    arguments: A,
) -> (EventBox, Future<M::Output>)
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    let call = MethodCall {
        method,
        arguments,
        process: PhantomData::<fn(P, K)>,
    };
    // SAFETY: the table is the one of this call.
    unsafe { Call::allocate(MethodCall::<P, M, A, K>::TABLE, to, call) }
}

/// The call of `dispatch_with`.
struct ClosureCall<P, F, U, R, K> {
    closure: F,
    location: &'static Location<'static>,
    process: PhantomData<fn(P, U, R, K)>,
}

impl<P, F, U, R, K> ClosureCall<P, F, U, R, K>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    const TABLE: &'static Table = &dispatch_table_with(
        DispatchTable {
            in_hand: offset_of!(Block<Call<Self, U>>, payload.in_hand),
            call: Self::call,
            identity: Identity::Known(Self::identity),
            refuse: Call::<Self, U>::refuse,
        },
        Call::<Self, U>::drop_unrun,
    );

    unsafe fn identity(header: NonNull<Header>) -> DispatchIdentity {
        // SAFETY: the block is one of this call, borrowed by the caller.
        let location = unsafe {
            header
                .cast::<Block<Call<Self, U>>>()
                .as_ref()
                .payload
                .call
                .location
        };
        DispatchIdentity::Closure { location }
    }

    unsafe fn call(header: NonNull<Header>, process: *mut (), cx: *mut ()) {
        // SAFETY: as in `MethodCall::call`.
        let ((call, promise, in_hand), process, cx) = unsafe {
            (
                Call::<Self, U>::take(header),
                &mut *process.cast::<P>(),
                &mut *cx.cast::<Context<P>>(),
            )
        };
        answer(promise, (in_hand, cx.raw_pid()), || {
            (call.closure)(process, cx).into_returned()
        });
    }
}

/// A dispatch of a closure and its future, in one block.
#[inline]
pub(crate) fn of_closure<P, F, U, R, K>(
    to: RawPid,
    closure: F,
    location: &'static Location<'static>,
) -> (EventBox, Future<U>)
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    let call = ClosureCall {
        closure,
        location,
        process: PhantomData::<fn(P, U, R, K)>,
    };
    // SAFETY: the table is the one of this call.
    unsafe { Call::allocate(ClosureCall::<P, F, U, R, K>::TABLE, to, call) }
}

/// A process that an event has go on, of which nobody is told when it has run.
pub(crate) trait Polled: Process {
    /// Goes on.
    fn poll(&mut self, cx: &mut Context<Self>);

    /// Where it was spawned.
    fn location(&self) -> &'static Location<'static>;
}

/// The payload of `of_poll`.
struct PollCall<P> {
    /// See [`put_aside`].
    in_hand: AtomicU64,
    process: PhantomData<fn(&mut P)>,
}

impl<P: Polled> PollCall<P> {
    const TABLE: &'static Table = &dispatch_table_of::<Self>(DispatchTable {
        in_hand: offset_of!(Block<Self>, payload.in_hand),
        call: Self::call,
        identity: Identity::Poll(Self::location),
        refuse: Self::refuse,
    });

    unsafe fn location(process: NonNull<()>) -> &'static Location<'static> {
        // SAFETY: the caller passes a `P`, borrowed.
        unsafe { process.cast::<P>().as_ref() }.location()
    }

    /// Not called: the runtime's own take no credit. Nobody waits for it.
    unsafe fn refuse(header: NonNull<Header>, _full: MailboxFull) {
        // SAFETY: the block's payload is a `Self`, and the caller gives it up.
        unsafe { recycle::drop_and_release(header.cast::<Block<Self>>()) };
    }

    unsafe fn call(header: NonNull<Header>, process: *mut (), cx: *mut ()) {
        // SAFETY: as in `ClosureCall::call`; and as in `refuse`.
        let (process, cx) = unsafe {
            recycle::drop_and_release(header.cast::<Block<Self>>());
            (&mut *process.cast::<P>(), &mut *cx.cast::<Context<P>>())
        };
        process.poll(cx);
    }
}

/// An event that has a process go on.
pub(crate) fn of_poll<P: Polled>() -> EventBox {
    let payload = PollCall::<P> {
        in_hand: AtomicU64::new(0),
        process: PhantomData,
    };
    // SAFETY: the table is the one of this payload type.
    unsafe { EventBox::allocate(PollCall::<P>::TABLE, payload) }
}
