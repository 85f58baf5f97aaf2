use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use super::block::{Block, EventBox, Header, Table, dispatch_table_of};
use crate::future::{Future, Outcome, Promise, Returned, ValueOrFuture};
use crate::process::resume::guarded;
use crate::process::{Context, Method, Process};

/// What is needed to run a dispatch, beside its closure.
pub(crate) struct DispatchTable {
    /// Takes the block and calls its closure on a `P` and a `Context<P>`.
    call: unsafe fn(NonNull<Header>, *mut (), *mut ()),
    identity: unsafe fn(NonNull<Header>) -> DispatchIdentity,
}

/// Which function a dispatch calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        identity_of(&self.event, self.table())
    }
}

impl<P> fmt::Debug for DispatchEvent<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchEvent").finish_non_exhaustive()
    }
}

fn identity_of(event: &EventBox, table: &DispatchTable) -> DispatchIdentity {
    // SAFETY: the table belongs to the block, which stays borrowed; the function only reads.
    unsafe { (table.identity)(event.header_pointer()) }
}

/// Which function a dispatch of unknown process type calls; `None` for other kinds of event.
pub(crate) fn identity(event: &EventBox) -> Option<DispatchIdentity> {
    event
        .table()
        .dispatch
        .as_ref()
        .map(|table| identity_of(event, table))
}

/// Completes a dispatch's future with what the function returns.
///
/// The callbacks of the future are its caller's, so a panic in one of them is not this process's. If the function itself panics, the future is
/// abandoned only after its stack is unwound: a callback that panicked in the middle of that would abort the OS process.
#[inline]
fn answer<R: Send + 'static>(promise: Promise<R>, function: impl FnOnce() -> Returned<R>) {
    match catch_unwind(AssertUnwindSafe(function)) {
        Ok(returned) => {
            guarded("a callback of a dispatch's future", || match returned {
                Returned::Value(value) => promise.settle(Outcome::Ready(value)),
                Returned::Future(future) => {
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

/// The payload of `dispatch`.
struct MethodCall<P, M, A, R, K> {
    method: M,
    arguments: A,
    promise: Promise<R>,
    process: PhantomData<fn(P, K)>,
}

impl<P, M, A, K> MethodCall<P, M, A, M::Output, K>
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    const TABLE: &'static Table = &dispatch_table_of::<Self>(DispatchTable {
        call: Self::call,
        identity: |_| DispatchIdentity::Method {
            name: std::any::type_name::<M>(),
            function: TypeId::of::<M>(),
        },
    });

    unsafe fn call(header: NonNull<Header>, process: *mut (), _cx: *mut ()) {
        // SAFETY: the caller gives up a block whose payload is a `Self`, and passes a `P` that is
        // exclusively its own (contract of `DispatchTable::call`, kept by `DispatchEvent::run`).
        let (Block { payload, .. }, process) = unsafe {
            (
                *Box::from_raw(header.cast::<Block<Self>>().as_ptr()),
                &mut *process.cast::<P>(),
            )
        };
        let MethodCall {
            method,
            arguments,
            promise,
            ..
        } = payload;
        answer(promise, || method.call(process, arguments));
    }
}

/// A dispatch of a method and its future.
#[inline]
pub(crate) fn of_method<P, A, M, K>(method: M, arguments: A) -> (EventBox, Future<M::Output>)
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    let (promise, future) = Promise::pair();
    let call = MethodCall {
        method,
        arguments,
        promise,
        process: PhantomData::<fn(P, K)>,
    };
    // SAFETY: the table is the one of this payload type.
    let event = unsafe { EventBox::allocate(MethodCall::<P, M, A, M::Output, K>::TABLE, call) };
    (event, future)
}

/// The payload of `dispatch_with`.
struct ClosureCall<P, F, U, R, K> {
    closure: F,
    promise: Promise<U>,
    location: &'static Location<'static>,
    process: PhantomData<fn(P, R, K)>,
}

impl<P, F, U, R, K> ClosureCall<P, F, U, R, K>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    const TABLE: &'static Table = &dispatch_table_of::<Self>(DispatchTable {
        call: Self::call,
        identity: Self::identity,
    });

    unsafe fn identity(header: NonNull<Header>) -> DispatchIdentity {
        // SAFETY: the block's payload is a `Self`, borrowed by the caller.
        let location = unsafe { header.cast::<Block<Self>>().as_ref().payload.location };
        DispatchIdentity::Closure { location }
    }

    unsafe fn call(header: NonNull<Header>, process: *mut (), cx: *mut ()) {
        // SAFETY: as in `MethodCall::call`; the context is exclusively the caller's too.
        let (Block { payload, .. }, process, cx) = unsafe {
            (
                *Box::from_raw(header.cast::<Block<Self>>().as_ptr()),
                &mut *process.cast::<P>(),
                &mut *cx.cast::<Context<P>>(),
            )
        };
        let ClosureCall {
            closure, promise, ..
        } = payload;
        answer(promise, || closure(process, cx).into_returned());
    }
}

/// A dispatch of a closure and its future.
#[inline]
pub(crate) fn of_closure<P, F, U, R, K>(
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
    let (promise, future) = Promise::pair();
    let call = ClosureCall {
        closure,
        promise,
        location,
        process: PhantomData::<fn(P, R, K)>,
    };
    // SAFETY: the table is the one of this payload type.
    let event = unsafe { EventBox::allocate(ClosureCall::<P, F, U, R, K>::TABLE, call) };
    (event, future)
}

/// The payload of `of_function`.
struct FunctionCall<P: 'static> {
    function: fn(&mut P, &mut Context<P>),
    location: &'static Location<'static>,
}

impl<P: Process> FunctionCall<P> {
    const TABLE: &'static Table = &dispatch_table_of::<Self>(DispatchTable {
        call: Self::call,
        identity: Self::identity,
    });

    unsafe fn identity(header: NonNull<Header>) -> DispatchIdentity {
        // SAFETY: the block's payload is a `Self`, borrowed by the caller.
        let location = unsafe { header.cast::<Block<Self>>().as_ref().payload.location };
        DispatchIdentity::Closure { location }
    }

    unsafe fn call(header: NonNull<Header>, process: *mut (), cx: *mut ()) {
        // SAFETY: as in `ClosureCall::call`.
        let (Block { payload, .. }, process, cx) = unsafe {
            (
                *Box::from_raw(header.cast::<Block<Self>>().as_ptr()),
                &mut *process.cast::<P>(),
                &mut *cx.cast::<Context<P>>(),
            )
        };
        (payload.function)(process, cx);
    }
}

/// A dispatch of a function that nobody waits for.
pub(crate) fn of_function<P: Process>(
    function: fn(&mut P, &mut Context<P>),
    location: &'static Location<'static>,
) -> EventBox {
    // SAFETY: the table is the one of this payload type.
    unsafe {
        EventBox::allocate(
            FunctionCall::<P>::TABLE,
            FunctionCall { function, location },
        )
    }
}
