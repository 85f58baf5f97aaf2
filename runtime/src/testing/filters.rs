//! Filters, built by what they match and ended by what they do.

use std::any::TypeId;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::Runtime;
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::process::filter::{self, Filter, Seen, Verdict};
use crate::process::manager::ProcessManager;
use crate::process::{DispatchIdentity, ExitedEvent, Message, RawPid, Recipient, Upid, send};

/// Matches all messages: narrow it.
pub fn messages() -> Messages {
    Messages::default()
}

/// Matches all dispatches: narrow it.
pub fn dispatches() -> Dispatches {
    Dispatches::default()
}

/// Matches all news of ends: narrow it.
pub fn exits() -> Exits {
    Exits::default()
}

/// Which messages: see [`messages`] and [`Filtered`].
#[derive(Clone, Debug, Default)]
#[must_use = "a filter does nothing until it is told what to do"]
pub struct Messages {
    name: Option<String>,
    from: Option<Upid>,
    to: Option<Target>,
}

/// Which dispatches: see [`dispatches`] and [`Filtered`].
#[derive(Clone, Debug, Default)]
#[must_use = "a filter does nothing until it is told what to do"]
pub struct Dispatches {
    function: Option<TypeId>,
    to: Option<Target>,
}

/// Which news of ends: see [`exits`] and [`Filtered`].
#[derive(Clone, Debug, Default)]
#[must_use = "a filter does nothing until it is told what to do"]
pub struct Exits {
    from: Option<Upid>,
    to: Option<Target>,
}

/// A process as it was named when the filter was made; `None` if nobody was so named.
#[derive(Clone, Copy, Debug)]
struct Target(Option<RawPid>);

impl Target {
    fn of(pid: &impl Recipient) -> Self {
        Self(send::resolve(&pid.to_upid()))
    }
}

fn is_to(target: Option<Target>, to: RawPid) -> bool {
    target.is_none_or(|Target(target)| target == Some(to))
}

impl Messages {
    /// Only messages of this name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only messages that this process sent.
    pub fn from(mut self, from: impl Recipient) -> Self {
        self.from = Some(from.to_upid());
        self
    }

    /// Only messages to this process.
    pub fn to(mut self, to: impl Recipient) -> Self {
        self.to = Some(Target::of(&to));
        self
    }
}

impl Dispatches {
    /// Only dispatches of this method. (Closures have no name to be matched by: match by [`to`](Self::to).)
    pub fn of<M: 'static>(mut self, method: M) -> Self {
        let _its_type_is_its_name = method;
        self.function = Some(TypeId::of::<M>());
        self
    }

    /// Only dispatches to this process.
    pub fn to(mut self, to: impl Recipient) -> Self {
        self.to = Some(Target::of(&to));
        self
    }
}

impl Exits {
    /// Only of the end of this process.
    pub fn from(mut self, from: impl Recipient) -> Self {
        self.from = Some(from.to_upid());
        self
    }

    /// Only to this process.
    pub fn to(mut self, to: impl Recipient) -> Self {
        self.to = Some(Target::of(&to));
        self
    }
}

mod sealed {
    use super::{RawPid, Seen};

    pub trait Matches: Send + Sync + 'static {
        type Seen: Send + 'static;

        #[allow(private_interfaces, reason = "sealed: nobody else can name or call it")]
        fn matches(&self, to: RawPid, seen: &Seen<'_>) -> Option<Self::Seen>;
    }
}
use sealed::Matches;

impl Matches for Messages {
    type Seen = Message;

    #[allow(private_interfaces, reason = "as in the trait")]
    fn matches(&self, to: RawPid, seen: &Seen<'_>) -> Option<Message> {
        let Seen::Message(message) = seen else {
            return None;
        };
        let named = self.name.as_ref().is_none_or(|name| *name == message.name);
        let sent = self.from.as_ref().is_none_or(|from| *from == message.from);
        (named && sent && is_to(self.to, to)).then(|| (*message).clone())
    }
}

impl Matches for Dispatches {
    type Seen = DispatchIdentity;

    #[allow(private_interfaces, reason = "as in the trait")]
    fn matches(&self, to: RawPid, seen: &Seen<'_>) -> Option<DispatchIdentity> {
        let Seen::Dispatch(identity) = seen else {
            return None;
        };
        let called = self.function.is_none_or(|wanted| {
            matches!(identity, DispatchIdentity::Method { function, .. } if *function == wanted)
        });
        (called && is_to(self.to, to)).then_some(*identity)
    }
}

impl Matches for Exits {
    type Seen = ExitedEvent;

    #[allow(private_interfaces, reason = "as in the trait")]
    fn matches(&self, to: RawPid, seen: &Seen<'_>) -> Option<ExitedEvent> {
        let Seen::Exited(exited) = seen else {
            return None;
        };
        let ended = self.from.as_ref().is_none_or(|from| *from == exited.pid);
        (ended && is_to(self.to, to)).then(|| (*exited).clone())
    }
}

/// What a filter does with the events that it matches. A filter for the next event retires with it; one for all is there until its [`Expectation`] is dropped.
pub trait Filtered: Matches + Sized {
    /// Gives a future of the next matching event, which is served afterwards. The future completes before it is served.
    fn watch_next(self, runtime: &Runtime) -> Future<Self::Seen> {
        next(self, runtime, || Verdict::Serve)
    }

    /// Drops the next matching event instead of serving it, and gives a future of it. A dispatch's own future is abandoned.
    fn drop_next(self, runtime: &Runtime) -> Future<Self::Seen> {
        next(self, runtime, || Verdict::Drop)
    }

    /// Holds the next matching event, and gives a future of the hold.
    ///
    /// ```
    /// use libprocess::testing::{Filtered, messages};
    /// use libprocess::{Context, Process, Runtime, await_ready, dispatch_with};
    ///
    /// #[derive(Default)]
    /// struct Recorder(Vec<String>);
    /// impl Process for Recorder {
    ///     fn consume_message(&mut self, event: libprocess::MessageEvent, _cx: &mut Context<Self>) {
    ///         self.0.push(event.name.to_string());
    ///     }
    /// }
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let recorder = runtime.spawn(Recorder::default());
    /// let held = messages().named("first").hold_next(&runtime);
    /// runtime.post(recorder, "first", "");
    /// runtime.post(recorder, "second", "");
    /// await_ready!(held).release();
    /// let order = dispatch_with(recorder, |recorder, _cx| recorder.0.clone());
    /// assert_eq!(await_ready!(order), ["second", "first"]);
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    fn hold_next(self, runtime: &Runtime) -> Future<HeldEvent> {
        let promise = Promise::new();
        let future = promise.future();
        add(
            runtime,
            Arc::new(HoldNext {
                matches: self,
                matched: AtomicBool::new(false),
                promise: Mutex::new(Some(promise)),
            }),
        );
        future
    }

    /// Drops all matching events from here on.
    fn drop_all(self, runtime: &Runtime) -> Expectation {
        all(self, runtime, true)
    }

    /// Fails the test, when the [`Expectation`] is dropped, if a matching event came. Events are served.
    ///
    /// ```should_panic
    /// use libprocess::testing::{Filtered, dispatches};
    /// use libprocess::{Process, Runtime, await_ready, dispatch};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    /// impl Idle {
    ///     fn work(&mut self) {}
    /// }
    ///
    /// let runtime = Runtime::builder().workers(1).build().unwrap();
    /// let idle = runtime.spawn(Idle);
    /// let _none = dispatches().of(Idle::work).expect_none(&runtime);
    /// await_ready!(dispatch(idle, Idle::work, ()));
    /// ```
    fn expect_none(self, runtime: &Runtime) -> Expectation {
        let mut expectation = all(self, runtime, false);
        expectation.none = true;
        expectation
    }
}

impl<M: Matches> Filtered for M {}

fn add(runtime: &Runtime, filter: Arc<dyn Filter>) {
    runtime.manager().add_filter(filter);
}

/// A filter for one event.
struct Next<M: Matches> {
    matches: M,
    verdict: fn() -> Verdict,
    promise: Mutex<Option<Promise<M::Seen>>>,
}

fn next<M: Matches>(matches: M, runtime: &Runtime, verdict: fn() -> Verdict) -> Future<M::Seen> {
    let promise = Promise::new();
    let future = promise.future();
    add(
        runtime,
        Arc::new(Next {
            matches,
            verdict,
            promise: Mutex::new(Some(promise)),
        }),
    );
    future
}

impl<M: Matches> Filter for Next<M> {
    fn look(&self, to: RawPid, seen: &Seen<'_>) -> Verdict {
        let Some(seen) = self.matches.matches(to, seen) else {
            return Verdict::Pass;
        };
        let Some(promise) = lock_std(&self.promise).take() else {
            return Verdict::Pass;
        };
        filter::tell(move || {
            promise.set(seen);
        });
        (self.verdict)()
    }

    fn hold(&self, _held: filter::HeldEvent) {}

    fn is_done(&self) -> bool {
        lock_std(&self.promise).is_none()
    }
}

/// An event that was taken out on its way. Dropping this drops it.
#[must_use = "dropping a held event drops it: `release` it"]
pub struct HeldEvent(filter::HeldEvent);

impl HeldEvent {
    /// Lets it go on, behind what is in the process's mailbox now. False if the process has ended.
    pub fn release(self) -> bool {
        self.0.release()
    }
}

impl fmt::Debug for HeldEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldEvent")
    }
}

struct HoldNext<M> {
    matches: M,
    matched: AtomicBool,
    promise: Mutex<Option<Promise<HeldEvent>>>,
}

impl<M: Matches> Filter for HoldNext<M> {
    fn look(&self, to: RawPid, seen: &Seen<'_>) -> Verdict {
        // Relaxed: the exchange alone decides whose event it is.
        if self.matches.matches(to, seen).is_none() || self.matched.swap(true, Ordering::Relaxed) {
            return Verdict::Pass;
        }
        Verdict::Hold
    }

    fn hold(&self, held: filter::HeldEvent) {
        let promise = lock_std(&self.promise).take();
        if let Some(promise) = promise {
            promise.set(HeldEvent(held));
        }
    }

    fn is_done(&self) -> bool {
        lock_std(&self.promise).is_none()
    }
}

/// A filter for all matching events, until this is dropped.
#[must_use = "dropping the expectation removes the filter"]
pub struct Expectation {
    filter: Arc<dyn Filter>,
    seen: Arc<AtomicU64>,
    none: bool,
    what: &'static str,
    runtime: Weak<ProcessManager>,
}

impl Expectation {
    /// How many matching events came so far.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        if let Some(manager) = self.runtime.upgrade() {
            manager.remove_filter(Some(&self.filter));
        }
        if self.none && !std::thread::panicking() {
            let seen = self.seen();
            assert_eq!(seen, 0, "expected none of these: {}", self.what);
        }
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectation")
            .field("what", &self.what)
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

struct All<M> {
    matches: M,
    drop: bool,
    seen: Arc<AtomicU64>,
}

fn all<M: Matches>(matches: M, runtime: &Runtime, drop: bool) -> Expectation {
    let seen = Arc::new(AtomicU64::new(0));
    let filter: Arc<dyn Filter> = Arc::new(All {
        matches,
        drop,
        seen: Arc::clone(&seen),
    });
    add(runtime, Arc::clone(&filter));
    Expectation {
        filter,
        seen,
        none: false,
        what: std::any::type_name::<M::Seen>(),
        runtime: runtime.downgrade(),
    }
}

impl<M: Matches> Filter for All<M> {
    fn look(&self, to: RawPid, seen: &Seen<'_>) -> Verdict {
        if self.matches.matches(to, seen).is_none() {
            return Verdict::Pass;
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        if self.drop {
            Verdict::Drop
        } else {
            Verdict::Serve
        }
    }

    fn hold(&self, _held: filter::HeldEvent) {}

    fn is_done(&self) -> bool {
        false
    }
}
