use std::borrow::Cow;
#[cfg(feature = "protobuf")]
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use ::http::StatusCode;
use bytes::Bytes;

use super::arena::arena;
use super::event::{EventBox, EventKind, ExitedEvent, HttpEvent, Message, MessageEvent};
use super::exits::Linked;
use super::handlers::Action;
use super::resume::Extra;
use super::slot::Slot;
use super::{
    Pid, Process, RawPid, Recipient, RemoteConnection, TrySendError, Upid, exits, send, statistics,
};
use crate::exchange::{Request, Response, RouteOptions, not_found, text};
use crate::future::ValueOrFuture;
use crate::scheduler::Worker;

/// The budget of who yields behind the event that it is in.
const YIELDS: u32 = 1;

/// What a process can do while it is being served: lent to every handler.
///
/// Neither `Send` nor `Sync`: it is of this process, in this thread, during this call.
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<libprocess::Context<Idle>>();
/// struct Idle;
/// impl libprocess::Process for Idle {}
/// ```
pub struct Context<P: 'static> {
    slot: &'static Slot,
    pid: RawPid,
    worker: NonNull<Worker>,
    extra: *mut Extra<P>,
    /// Events that may still be served before others have their turn.
    pub(super) budget: u32,
    /// The sender of the protobuf message whose handler runs. Whoever calls that takes it back, so there is never one to drop: the
    /// contexts of those who have no such handlers do not ask.
    #[cfg(feature = "protobuf")]
    answered: ManuallyDrop<Option<Upid>>,
}

impl<P: Process> Context<P> {
    /// # Safety
    ///
    /// The caller holds the token of the slot while the context lives, `extra` is of the tenant's cell and used by nobody else
    /// while a method of the context runs, and `worker` is this thread's.
    #[inline]
    pub(super) unsafe fn new(
        slot: &'static Slot,
        pid: RawPid,
        worker: &Worker,
        extra: *mut Extra<P>,
    ) -> Self {
        Self {
            slot,
            pid,
            worker: NonNull::from(worker),
            extra,
            budget: u32::MAX,
            #[cfg(feature = "protobuf")]
            answered: ManuallyDrop::new(None),
        }
    }

    #[inline]
    pub(super) fn worker(&self) -> &Worker {
        // SAFETY: by the contract of `new`: the worker is further down on this thread's stack.
        unsafe { self.worker.as_ref() }
    }

    #[inline]
    pub(super) fn raw_pid(&self) -> RawPid {
        self.pid
    }

    #[inline]
    pub(super) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Lets others have their turn behind this event, also if there are more.
    pub(super) fn yield_behind_this(&mut self) {
        self.budget = YIELDS;
    }

    /// Whether it was called in `initialize`, before which there is no budget.
    pub(super) fn yields(&self) -> bool {
        self.budget == YIELDS
    }

    #[inline]
    fn extra(&mut self) -> &mut Extra<P> {
        // SAFETY: by the contract of `new`; the context is borrowed mutably for as long as the reference.
        unsafe { &mut *self.extra }
    }

    /// The process's own pid.
    #[inline]
    pub fn pid(&self) -> Pid<P> {
        Pid::from_raw(self.pid)
    }

    /// Sends a message. What is sent to one process arrives in the order of the sends.
    ///
    /// The event is one block of memory, that of an event before if there is one; a name that is text known at compile time takes none more; the body is shared. To a process that has
    /// ended, whose mailbox is full, or that cannot be reached, the message is a dead letter: see [`Statistics`](crate::Statistics).
    #[inline(always)]
    pub fn send(
        &mut self,
        to: impl Recipient,
        name: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) {
        send::send(to, name, Upid::local(self.pid), body);
    }

    /// As [`send`](Self::send), to a process whose mailbox has room.
    ///
    /// # Errors
    ///
    /// Gives the message back, if the mailbox is full or the process has ended.
    pub fn try_send(
        &mut self,
        to: impl Recipient,
        name: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Result<(), TrySendError<Message>> {
        super::try_send(None, to, name.into(), Upid::local(self.pid), body.into())
    }

    /// Has messages of this name served by `handler`; a handler or delegate that was there is replaced.
    ///
    /// A function, or a closure that captures nothing, under a name that is known at compile time, costs no memory per process.
    ///
    /// ```
    /// # use libprocess::{Context, MessageEvent, Process};
    /// struct Adder { sum: i64 }
    /// impl Process for Adder {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install("add", Self::on_add);
    ///         cx.install("clear", |adder, _event, _cx| adder.sum = 0);
    ///     }
    /// }
    /// impl Adder {
    ///     fn on_add(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
    ///         self.sum += i64::from(event.body[0]);
    ///         cx.send(&event.from, "sum", self.sum.to_string());
    ///     }
    /// }
    /// ```
    pub fn install<F>(&mut self, name: impl Into<Cow<'static, str>>, handler: F)
    where
        F: Fn(&mut P, MessageEvent, &mut Context<P>) + Send + 'static,
    {
        self.extra()
            .handlers
            .install(name.into(), Cow::Borrowed(""), handler);
    }

    /// Has HTTP requests for `/<process id><path>` served by `handler`, and for what is below that, unless another route is longer: a request for `/adder/add/one` is
    /// served by the route `/add/one` if there is one, else by `/add`. The route `/` is for the process's id alone. A handler that was there is replaced.
    ///
    /// `help` says to people what is there, and is shown under `/help`: see [`routes`](Self::routes).
    ///
    /// The handler gives a response or a future of one. It runs as an event of the process; while the future is pending other events are served. The answers to the
    /// requests of a connection go out in the order of the requests.
    ///
    /// A function, or a closure that captures nothing, under a path and with a help that are known at compile time, costs no memory per process.
    ///
    /// # Panics
    ///
    /// If the path does not begin with `/`.
    ///
    /// ```
    /// use libprocess::http::{Body, Request, Response, ok};
    /// use libprocess::{Context, Process, request, spawn_owned};
    ///
    /// #[derive(Default)]
    /// struct Counter { count: u64 }
    /// impl Process for Counter {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.route("/next", "Counts, and tells how far.", Self::next);
    ///     }
    /// }
    /// impl Counter {
    ///     fn next(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
    ///         self.count += 1;
    ///         ok(self.count.to_string())
    ///     }
    /// }
    ///
    /// let counter = spawn_owned(Counter::default());
    /// let asked = http::Request::get("/next").body(Body::empty())?;
    /// assert_eq!(request(counter.pid(), asked).get()?.body(), "1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn route<F, R, K>(
        &mut self,
        path: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        handler: F,
    ) where
        F: Fn(&mut P, &Request, &mut Context<P>) -> R + Send + 'static,
        R: ValueOrFuture<Response, K> + 'static,
        K: 'static,
    {
        self.route_with(RouteOptions::new(), path, help, handler);
    }

    /// As [`route`](Self::route), with [options](RouteOptions): with one of them requests are served while their bodies come.
    ///
    /// # Panics
    ///
    /// If the path does not begin with `/`.
    ///
    /// ```
    /// use libprocess::http::{Body, Request, Response, RouteOptions, ok};
    /// use libprocess::{Context, Future, Process, spawn_async, spawn_owned};
    ///
    /// struct Store;
    /// impl Process for Store {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         let options = RouteOptions::new().stream_requests(true);
    ///         cx.route_with(options, "/store", "Counts the bytes of a body.", Self::store);
    ///     }
    /// }
    /// impl Store {
    ///     fn store(&mut self, request: &Request, _cx: &mut Context<Self>) -> Future<Response> {
    ///         let reader = request.body().reader().cloned();
    ///         spawn_async(async move {
    ///             let mut bytes = 0;
    ///             while let Some(reader) = &reader {
    ///                 match reader.read().await {
    ///                     Ok(piece) if !piece.is_empty() => bytes += piece.len(),
    ///                     _ => break,
    ///                 }
    ///             }
    ///             ok(bytes.to_string())
    ///         })
    ///     }
    /// }
    /// # drop(spawn_owned(Store));
    /// ```
    pub fn route_with<F, R, K>(
        &mut self,
        options: RouteOptions,
        path: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        handler: F,
    ) where
        F: Fn(&mut P, &Request, &mut Context<P>) -> R + Send + 'static,
        R: ValueOrFuture<Response, K> + 'static,
        K: 'static,
    {
        let name = match path.into() {
            Cow::Borrowed(path) => path.strip_prefix('/').map(Cow::Borrowed),
            Cow::Owned(path) => path
                .strip_prefix('/')
                .map(|name| Cow::Owned(name.to_owned())),
        };
        let name = match name.expect("the path of a route begins with a slash") {
            // As the path of a request is looked at.
            Cow::Borrowed(name) => Cow::Borrowed(name.trim_matches('/')),
            Cow::Owned(name) => Cow::Owned(name.trim_matches('/').to_owned()),
        };
        let serve = move |process: &mut P, event: HttpEvent, cx: &mut Context<P>| {
            let returned = handler(process, &event.request, cx).into_returned();
            event.into_responder().give(returned);
        };
        self.note_streamed(&name, options.stream_requests);
        let routes = &mut self.extra().routes;
        // Neither captures more than the handler does, which is mostly nothing, so that no process has them for itself.
        if options.stream_requests {
            let serve = move |process: &mut P, mut event: HttpEvent, cx: &mut Context<P>| {
                // One of this process's own runtime has all of it, as has one that came before the route was there.
                event.request.stream_body();
                serve(process, event, cx);
            };
            routes.install(name, help.into(), serve);
        } else {
            let serve = move |process: &mut P, event: HttpEvent, cx: &mut Context<P>| {
                if event.request.is_streamed() {
                    // Its process has just taken the place of one that had such a route.
                    return event.into_responder().set(text(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the route takes requests in another way now: ask again",
                    ));
                }
                serve(process, event, cx);
            };
            routes.install(name, help.into(), serve);
        }
    }

    /// The paths of this process's routes, and what was said of each, sorted by path.
    ///
    /// ```
    /// use libprocess::http::{Request, ok};
    /// use libprocess::{Context, Process, dispatch_with, spawn_owned};
    ///
    /// struct Hello;
    /// impl Process for Hello {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.route("/hello", "Greets.", |_: &mut Self, _: &Request, _: &mut Context<Self>| ok("hello"));
    ///     }
    /// }
    /// let hello = spawn_owned(Hello);
    /// let routes = dispatch_with(hello.pid(), |_, cx| cx.routes()).get()?;
    /// assert_eq!(routes, [("/hello".to_owned(), "Greets.".to_owned())]);
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn routes(&mut self) -> Vec<(String, String)> {
        let routes = self.extra().routes.list().into_iter();
        routes
            .map(|(name, help)| (format!("/{name}"), help.to_owned()))
            .collect()
    }

    /// Tells those who take requests from connections, and cannot look into a process, which of its routes want them as they come.
    fn note_streamed(&mut self, name: &str, streams: bool) {
        let pid = self.pid;
        let extra = self.extra();
        if !streams && !extra.has_streamed {
            return;
        }
        extra.has_streamed = true;
        let known = extra.routes.list().into_iter();
        let Some(mut ties) = arena().find(pid).and_then(|slot| slot.lock_ties(pid)) else {
            return;
        };
        let streamed = ties.ties().streams.get_or_insert_with(|| {
            Box::new(known.map(|(name, _)| (name.to_owned(), false)).collect())
        });
        streamed.insert(name.to_owned(), streams);
    }

    /// Serves a request by the handler of its route: what [`Process::consume_http`] does by default. For processes that override it and want the rest served as usual.
    ///
    /// Without such a route the answer is 404 Not Found.
    // Apart, so that it takes nothing of the loop that serves messages.
    #[inline(never)]
    pub fn handle_http(&mut self, process: &mut P, event: HttpEvent) {
        let action = match event.route() {
            Some(route) => self.find_route(&route),
            None => Action::None,
        };
        match action {
            Action::Function(function) => function(process, event, self),
            Action::Closure(closure) => closure(process, event, self),
            Action::Delegate(_) | Action::None => answer_not_found(event),
        }
    }

    /// The longest of what is there, a slash at a time.
    fn find_route(&mut self, route: &str) -> Action<P, HttpEvent> {
        let routes = &self.extra().routes;
        let mut name = route;
        loop {
            let found = routes.find(name);
            if matches!(found, Action::None)
                && let Some(slash) = name.rfind('/')
            {
                name = &name[..slash];
            } else {
                return found;
            }
        }
    }

    /// Has messages of this name passed on to `to`, which sees the original sender; a handler that was there is replaced.
    ///
    /// A local message travels on in its own block: nothing is allocated or copied.
    pub fn delegate(&mut self, name: impl Into<Cow<'static, str>>, to: impl Recipient) {
        self.extra().handlers.delegate(name.into(), to.to_upid());
    }

    /// Serves a message by the handler or delegate of its name: what [`Process::consume_message`] does by default.
    /// For processes that override it and want the rest served as usual.
    #[inline]
    pub fn handle(&mut self, process: &mut P, event: MessageEvent) {
        match self.extra().handlers.find(&event.name) {
            Action::Function(function) => function(process, event, self),
            Action::Closure(closure) => closure(process, event, self),
            Action::Delegate(to) => self.forward(&to, event),
            Action::None => self.count_unhandled(),
        }
    }

    /// A message was served by nobody.
    #[inline]
    pub(crate) fn count_unhandled(&self) {
        self.worker().counters().add(statistics::UNHANDLED, 1);
    }

    /// Whom a reply goes to: for who serves protobuf messages, and leaves what was there before.
    #[cfg(feature = "protobuf")]
    pub(crate) fn answered(&mut self) -> &mut Option<Upid> {
        &mut self.answered
    }

    /// The end of a linked process has come: there is nothing to unlink any more.
    #[cold]
    pub(super) fn forget_link(&mut self, event: &EventBox) {
        // SAFETY: called with events of kind Exited only.
        let exited: &ExitedEvent = unsafe { event.payload() };
        if let (Some(links), Some(pid)) = (&mut self.extra().links, exited.pid.as_local()) {
            links.remove(&pid);
        }
    }

    fn forward(&mut self, to: &Upid, event: MessageEvent) {
        match to.as_local() {
            Some(pid) => {
                send::deliver(pid, event.into_box());
            }
            None => {
                send::send_elsewhere(to, event);
            }
        }
    }

    /// Links to another process: when that one ends, this one gets [`exited`](Process::exited), exactly once, behind everything
    /// that it was sent by it. If it has ended already, or cannot be reached, that comes at once, as an event.
    ///
    /// Linking twice to a process that is alive is linking once; each link to one that has ended tells so. A link to oneself does nothing.
    ///
    /// To a process at another address a link is a connection to its runtime, which stays for as long: if it breaks, or cannot be had, that counts as the process's end
    /// ([`ExitReason::Disconnected`](crate::ExitReason::Disconnected)).
    pub fn link(&mut self, to: impl Recipient) {
        self.link_with(to, RemoteConnection::Reuse);
    }

    /// As [`link`](Self::link), and says by which connection, to a process at another address.
    ///
    /// ```
    /// use libprocess::{Context, Process, RemoteConnection, Upid};
    ///
    /// struct Agent { master: Upid }
    /// impl Process for Agent {
    ///     fn exited(&mut self, pid: &Upid, cx: &mut Context<Self>) {
    ///         // By a connection that is surely not the one that broke.
    ///         cx.link_with(pid, RemoteConnection::Reconnect);
    ///         cx.send(&self.master, "register", "");
    ///     }
    /// }
    /// ```
    pub fn link_with(&mut self, to: impl Recipient, connection: RemoteConnection) {
        match exits::link(self.pid, &to.to_upid(), connection) {
            Linked::Here(linkee) => {
                self.extra().links.get_or_insert_default().insert(linkee);
            }
            Linked::Elsewhere(address) => {
                let remote_links = &mut self.extra().remote_links;
                remote_links.get_or_insert_default().insert(address);
            }
            Linked::Nowhere => {}
        }
    }

    /// Ends this process after the event that is being served.
    pub fn terminate(&mut self) {
        // SAFETY: the context exists while its process is served, that is while its thread has the token.
        unsafe { self.slot.mark_own_end() };
    }

    /// How many events of a kind wait in the mailbox, without the one that is being served. O(pending events).
    pub fn event_count(&mut self, kind: EventKind) -> usize {
        // SAFETY: the context exists while its process is served, that is while its thread has the token.
        let pending = unsafe { self.slot.count_pending(self.pid.generation(), kind) };
        // One that the process has asked of itself waits too, though it was not sent.
        let own = kind == EventKind::Terminate && self.slot.is_marked(self.pid.generation());
        pending.max(usize::from(own))
    }
}

fn answer_not_found(event: HttpEvent) {
    event.into_responder().set(not_found());
}

impl<P> std::fmt::Debug for Context<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("pid", &Upid::local(self.pid))
            .finish_non_exhaustive()
    }
}
