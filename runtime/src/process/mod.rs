//! Processes: actors with a mailbox, events and a name.

pub(crate) mod arena;
pub(crate) mod asynchronous;
pub(crate) mod by_type;
mod context;
mod current;
mod dead_letters;
mod defer;
pub(crate) mod directory;
mod end;
mod event;
mod exits;
pub(crate) mod filter;
mod free_slots;
mod handle;
mod handlers;
pub(crate) mod manager;
mod method;
#[cfg(all(test, libprocess_loom))]
mod models;
#[cfg(all(test, libprocess_loom))]
mod models_bounded;
#[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
mod names;
mod observe;
mod optional;
mod permit;
mod pid;
mod repeat;
mod resume;
mod room;
#[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
mod routes;
pub(crate) mod send;
mod slot;
#[cfg(feature = "tracing-spans")]
mod spans;
pub(crate) mod spawn;
mod statistics;
pub mod telemetry;
mod tenancy;
mod times;
#[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
pub(crate) mod transport;
mod upid;
mod vtable;
mod wait_cycle;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod waits;
mod wake_word;

pub use context::Context;
pub(crate) use current::{current_manager, set_current_manager, set_default_manager};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use dead_letters::REMEMBERED as REMEMBERED_LETTERS;
pub use dead_letters::{DeadLetter, DeadLetterReason};
pub use defer::{defer, defer_with, delay, delay_with};
pub use event::{
    DispatchEvent, DispatchIdentity, Event, EventKind, ExitReason, ExitedEvent, HttpEvent,
    HttpExchange, Message, MessageEvent, TerminateEvent,
};
pub use exits::WaitStatus;
pub use handle::{JoinError, ProcessHandle};
pub use method::{Method, WithContext};
pub use permit::{Permit, TrySendError};
pub(crate) use permit::{reserve, try_dispatch, try_dispatch_at, try_reserve, try_send};
pub use pid::Pid;
pub(crate) use pid::RawPid;
pub use repeat::repeat_in;
pub(crate) use resume::guarded;
pub use spawn::{SpawnError, SpawnOptions};
pub use statistics::{EventCounts, Statistics};
pub use transport::RemoteConnection;
pub use upid::{ParseUpidError, Recipient, Upid};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use waits::Waits;

pub(crate) use event::dispatch::{
    of_closure as dispatch_of_closure, of_method as dispatch_of_method,
};
pub(crate) use exits::{terminate, wait};
pub(crate) use handle::{new_owner, sender};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use names::static_name;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use send::deliver;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use {
    current::with_runtime as in_current,
    routes::{Routes, ask_all, ask_one},
};

use event::EventBox;

/// The process of that id in the current runtime.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) fn find_process(id: &str) -> Option<RawPid> {
    current::with_runtime(|manager| directory::find(manager?, id))
}

/// Whether the process has not ended.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
#[inline]
pub(crate) fn is_alive(pid: RawPid) -> bool {
    arena::arena().is_current(pid)
}

/// Whether a process wants requests for a route as they come.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) fn streams_requests(pid: RawPid, route: &str) -> bool {
    let ties = arena::arena()
        .find(pid)
        .and_then(|slot| slot.lock_ties(pid));
    ties.is_some_and(|ties| ties.streams(route))
}

#[cfg(feature = "lock-free-event-queue")]
pub(crate) type Mailbox = libprocess_queues::event::LockFreeEventQueue<EventBox>;
#[cfg(not(feature = "lock-free-event-queue"))]
pub(crate) type Mailbox = libprocess_queues::event::LockingEventQueue<EventBox>;

/// An actor: a value whose methods run one event at a time.
///
/// All methods have defaults; a type with none is a process that answers nothing.
///
/// # Panics
///
/// A panic in any of them ends this process and no other: see [`ExitReason::Panicked`].
///
/// ```
/// use libprocess::{Context, MessageEvent, Process, dispatch_with, post, spawn_owned};
///
/// #[derive(Default)]
/// struct Greeter { greeted: Vec<String> }
///
/// impl Process for Greeter {
///     fn initialize(&mut self, cx: &mut Context<Self>) {
///         cx.install("hello", Self::on_hello);
///     }
/// }
///
/// impl Greeter {
///     fn on_hello(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
///         self.greeted.push(String::from_utf8_lossy(&event.body).into_owned());
///     }
/// }
///
/// let greeter = spawn_owned(Greeter::default());
/// post(greeter.pid(), "hello", "Ann");
/// let greeted = dispatch_with(greeter.pid(), |greeter, _cx| greeter.greeted.clone());
/// assert_eq!(greeted.get(), Ok(vec!["Ann".to_owned()]));
/// ```
pub trait Process: Sized + Send + 'static {
    /// What the ids of unnamed processes of this type start with: `Prefix(17)`. By default the type's name.
    fn prefix() -> &'static str {
        vtable::short_type_name::<Self>()
    }

    /// Called once, before the first event.
    fn initialize(&mut self, cx: &mut Context<Self>) {
        let _ = cx;
    }

    /// Called once, after the last event, unless the process panicked.
    fn finalize(&mut self, cx: &mut Context<Self>) {
        let _ = cx;
    }

    /// Serves one event, by default by the `consume_` method of its kind.
    #[inline]
    fn serve(&mut self, event: Event<Self>, cx: &mut Context<Self>) {
        match event {
            Event::Message(event) => self.consume_message(event, cx),
            Event::Dispatch(event) => self.consume_dispatch(event, cx),
            Event::Http(event) => self.consume_http(event, cx),
            Event::Exited(event) => self.consume_exited(event, cx),
            Event::Terminate(event) => self.consume_terminate(event, cx),
        }
    }

    /// Serves a message, by default by the handler or delegate installed under its name. Without one the message is
    /// counted in [`Statistics::unhandled`] and dropped.
    #[inline]
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        cx.handle(self, event);
    }

    /// Serves a dispatch, by default by running it.
    #[inline]
    fn consume_dispatch(&mut self, event: DispatchEvent<Self>, cx: &mut Context<Self>) {
        event.run(self, cx);
    }

    /// Serves an HTTP request, by default by the handler of its [route](Context::route); where there is none the answer is 404 Not Found.
    #[inline]
    fn consume_http(&mut self, event: HttpEvent, cx: &mut Context<Self>) {
        cx.handle_http(self, event);
    }

    /// Serves the news that a linked process has ended, by default by [`exited`](Self::exited).
    fn consume_exited(&mut self, event: ExitedEvent, cx: &mut Context<Self>) {
        self.exited(&event.pid, cx);
    }

    /// Serves the request to end, by default by nothing. The process ends whatever this does.
    fn consume_terminate(&mut self, event: TerminateEvent, cx: &mut Context<Self>) {
        let _ = (event, cx);
    }

    /// Called when a process that this one [linked](Context::link) has ended.
    fn exited(&mut self, pid: &Upid, cx: &mut Context<Self>) {
        let _ = (pid, cx);
    }
}
