//! A seat's side of the reactor: its driver, what other threads ask of it, and where the seat's worker sleeps.
//!
//! # The sleep
//!
//! | `word` | meaning | `unpark` makes it |
//! |---|---|---|
//! | `EMPTY` | nobody sleeps | `NOTIFIED` |
//! | `IN_FUTEX` | the worker sleeps in the futex, as it has no I/O | `NOTIFIED`, and unparks the futex |
//! | `IN_DRIVER` | the worker sleeps in the driver, or is about to | `NOTIFIED`, and uses the waker |
//! | `NOTIFIED` | the next sleep ends at once | `NOTIFIED` |
//!
//! `EMPTY` to `IN_…` is a compare-and-swap, so no notification is overwritten. One that comes between that and the sleep itself writes to the waker, which the driver
//! has watched since it was made: the sleep ends at once. A waker used too late ends the next sleep for nothing.
//!
//! # The locks
//!
//! The driver's lock is held by the owner of the seat while it uses the driver, *also while it sleeps there*, and for moments by those that look after a port
//! whose owner is busy; they only try it. Whoever cannot have it, and every other thread, leaves its request in the inbox and interrupts the owner, which
//! takes the inbox first of all each time it has the lock. So requests of one thread stay in order, whichever way they take: who has the lock empties the inbox
//! before its own request.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Instant;

use libprocess_semaphore::{FutexParker, Parked, Parker};

use super::{
    BATCH, Behind, Choice, Completed, Completion, Driver, Handler, Operation, OperationId,
    ReactorKind, ReactorUnavailable, Socket, SocketId, Waker, Wishes,
};
use crate::clock::{Clock, Workers};
use crate::facade::lock_std;

const EMPTY: u32 = 0;
const IN_FUTEX: u32 = 1;
const IN_DRIVER: u32 = 2;
const NOTIFIED: u32 = 3;

enum Request {
    Begin(Operation),
    Cancel(SocketId, OperationId),
}

impl Request {
    /// Who is told what becomes of it.
    fn who(&self) -> Option<(OperationId, Arc<dyn Handler>)> {
        match self {
            Self::Begin(operation) => Some((operation.id, Arc::clone(&operation.handler))),
            Self::Cancel(..) => None,
        }
    }
}

#[derive(Default)]
struct Inbox {
    requests: Vec<Request>,
    /// Completions that could not be delivered where they came up.
    late: VecDeque<Completion>,
    /// The runtime has ended: nobody comes for requests any more.
    closed: bool,
}

/// All ports of a scheduler, by seat.
pub(crate) struct Ports {
    ports: Box<[Arc<Port>]>,
    choice: Arc<Choice>,
    clock: Clock,
}

impl Ports {
    /// # Errors
    ///
    /// The kind that is asked for cannot be had.
    pub(crate) fn new(
        seats: usize,
        wishes: Wishes,
        clock: &Clock,
    ) -> Result<Arc<Self>, ReactorUnavailable> {
        let choice = Arc::new(Choice::new(wishes)?);
        let ports = (0..seats)
            .map(|seat| Arc::new(Port::new(seat, Arc::clone(&choice), clock.clone())))
            .collect();
        Ok(Arc::new(Self {
            ports,
            choice,
            clock: clock.clone(),
        }))
    }

    pub(crate) fn kind(&self) -> Option<ReactorKind> {
        self.choice.made()
    }

    /// What of io_uring is done without, where it is that.
    pub(crate) fn done_without(&self) -> Vec<super::IoUringFeature> {
        self.choice.done_without()
    }

    /// Why it is that kind, for people.
    pub(crate) fn reason(&self) -> String {
        self.choice.reason()
    }

    pub(crate) fn of_seat(&self, seat: usize) -> &Arc<Port> {
        &self.ports[seat % self.ports.len()]
    }

    /// Whether any port has ever been used.
    pub(crate) fn is_any_active(&self) -> bool {
        self.ports.iter().any(|port| port.is_active())
    }

    /// Takes an operation on, in the port of this seat. `own`: the caller is that seat's worker. Where it is done at once, gives what became of it, and the handler is not told.
    pub(crate) fn begin(&self, seat: usize, own: bool, operation: Operation) -> Option<Completed> {
        self.of_seat(seat).ask(own, Request::Begin(operation))
    }

    /// See [`Driver::send_now`]; in the worker that has this seat.
    pub(crate) fn send_now(
        &self,
        seat: usize,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>> {
        let port = self.of_seat(seat);
        let mut driver = port.try_driver()?;
        port.take_requests(&mut driver);
        driver.as_mut()?.send_now(socket, pieces, behind)
    }

    pub(crate) fn cancel(&self, seat: usize, own: bool, socket: SocketId, id: OperationId) {
        let done = self.of_seat(seat).ask(own, Request::Cancel(socket, id));
        debug_assert!(done.is_none(), "to cancel is no operation");
    }

    /// Looks after the ports whose owners have not looked at them since the last time this was called with the same `seen`.
    pub(crate) fn tend(
        &self,
        own: usize,
        seen: &mut Vec<u32>,
        completions: &mut VecDeque<Completion>,
    ) {
        seen.resize(self.ports.len(), 0);
        for (seat, (port, seen)) in self.ports.iter().zip(seen).enumerate() {
            // Relaxed: compared with a later look.
            let looks = port.looks.load(Ordering::Relaxed);
            // A port that all share is nobody's own: who looks at it may be all that do.
            let own = seat == own && self.ports.len() > 1;
            if std::mem::replace(seen, looks) == looks && !own {
                port.turn(true, BATCH, completions);
            }
        }
    }

    /// Whether there may be timers to fire, in the worker that has this seat: its sleep has ended for some. `in_turn`: it looks now and then, whatever ended
    /// its sleep.
    #[inline]
    pub(crate) fn has_timers(&self, seat: usize, in_turn: bool) -> bool {
        self.of_seat(seat).takes_timers() || (in_turn && self.clock.has_due())
    }

    /// Fires what is due, in a worker; see [`Clock::fire_due`].
    pub(crate) fn fire_timers(&self, before_next: impl Fn()) {
        self.clock.fire_due(BATCH, before_next);
    }

    /// Ends all operations, once nobody works any more.
    pub(crate) fn end(&self) {
        for port in &self.ports {
            port.end();
        }
    }
}

impl Workers for Ports {
    fn interrupt(&self, seat: usize) {
        self.of_seat(seat).interrupt();
    }
}

pub(crate) struct Port {
    seat: usize,
    word: AtomicU32,
    /// The sleep shall end as if for I/O.
    interrupted: AtomicBool,
    futex: FutexParker,
    /// The last sleep ended as the kernel had done something or a timer was due, and nobody had asked for its end: the next one is likely to end so, too.
    ended_by_kernel: AtomicBool,
    /// How often the owner has looked.
    looks: AtomicU32,
    /// Whether there is anything to look at: a driver, requests, or completions.
    active: AtomicBool,
    /// Held for a moment: it is set once.
    waker: Mutex<Option<Arc<Waker>>>,
    driver: Mutex<Option<Box<dyn Driver>>>,
    inbox: Mutex<Inbox>,
    /// Whether the inbox has anything in it: changed under its lock.
    has_mail: AtomicBool,
    choice: Arc<Choice>,
    /// Whose timers end the sleep, too.
    clock: Clock,
    /// It was timers that ended the last one.
    timers_due: AtomicBool,
}

impl Port {
    fn new(seat: usize, choice: Arc<Choice>, clock: Clock) -> Self {
        Self {
            seat,
            word: AtomicU32::new(EMPTY),
            interrupted: AtomicBool::new(false),
            futex: FutexParker::new(),
            ended_by_kernel: AtomicBool::new(false),
            looks: AtomicU32::new(0),
            active: AtomicBool::new(false),
            waker: Mutex::new(None),
            driver: Mutex::new(None),
            inbox: Mutex::default(),
            has_mail: AtomicBool::new(false),
            choice,
            clock,
            timers_due: AtomicBool::new(false),
        }
    }

    /// Whether the port has ever been used.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        // Relaxed: who set it interrupts the owner afterwards.
        self.active.load(Ordering::Relaxed)
    }

    /// Collects completions, in the owner or for it; see [`Driver::turn`]. If the driver is in use, nothing.
    pub(crate) fn turn(&self, thorough: bool, most: usize, completions: &mut VecDeque<Completion>) {
        if !self.is_active() {
            return;
        }
        if let Some(mut driver) = self.try_driver() {
            self.take_requests(&mut driver);
            self.take_late(completions);
            if let Some(driver) = driver.as_mut() {
                driver.turn(thorough, most, completions);
            }
        }
    }

    /// As `turn`, in the owner.
    pub(crate) fn own_turn(
        &self,
        thorough: bool,
        most: usize,
        completions: &mut VecDeque<Completion>,
    ) {
        // Relaxed: only the owner writes it; a later look is compared with this one.
        let looks = self.looks.load(Ordering::Relaxed).wrapping_add(1);
        self.looks.store(looks, Ordering::Relaxed);
        self.turn(thorough, most, completions);
    }

    fn takes_timers(&self) -> bool {
        // Relaxed: as in `park`.
        let due = self.timers_due.load(Ordering::Relaxed);
        if due {
            self.timers_due.store(false, Ordering::Relaxed);
        }
        due
    }

    /// Whether the owner would find something, as far as memory tells.
    pub(crate) fn is_ready(&self) -> bool {
        if !self.is_active() {
            return false;
        }
        let driver_is = || {
            self.try_driver()
                .is_some_and(|driver| driver.as_ref().is_some_and(|driver| driver.is_ready()))
        };
        self.has_mail() || driver_is()
    }

    fn has_mail(&self) -> bool {
        // Relaxed: who put something in interrupts the owner afterwards, and that is in order with what the owner does before it sleeps; what a thread has put in, or knows of
        // from one that has, it sees.
        self.has_mail.load(Ordering::Relaxed)
    }

    fn try_driver(&self) -> Option<MutexGuard<'_, Option<Box<dyn Driver>>>> {
        match self.driver.try_lock() {
            Ok(driver) => Some(driver),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn ask(&self, own: bool, request: Request) -> Option<Completed> {
        if !self.is_active() {
            // Relaxed: published by the interruption, where the owner is another thread.
            self.active.store(true, Ordering::Relaxed);
        }
        if own && let Some(mut driver) = self.try_driver() {
            self.take_requests(&mut driver);
            return self.apply(&mut driver, request);
        }
        let refused = self.change_mail(|inbox| {
            if inbox.closed {
                return Some(request);
            }
            inbox.requests.push(request);
            None
        });
        let Some(refused) = refused else {
            self.interrupt();
            return None;
        };
        match refused {
            Request::Begin(operation) => {
                let error = io::Error::other("the runtime has ended");
                Some(Completed::only(operation.action, Err(error)))
            }
            Request::Cancel(..) => None,
        }
    }

    /// What was collected and cannot be delivered by who collected it: the next one that looks delivers it.
    pub(crate) fn put_back(&self, completions: &mut VecDeque<Completion>) {
        if !completions.is_empty() {
            self.change_mail(|inbox| inbox.late.append(completions));
            // Who looks after another's port may have had no I/O of its own until now.
            self.active.store(true, Ordering::Relaxed);
            self.interrupt();
        }
    }

    /// What is done at once is late: whoever asked for it has gone.
    fn take_requests(&self, driver: &mut Option<Box<dyn Driver>>) {
        if !self.has_mail() {
            return;
        }
        let requests = self.change_mail(|inbox| std::mem::take(&mut inbox.requests));
        for request in requests {
            let who = request.who();
            if let Some(completed) = self.apply(driver, request)
                && let Some((id, handler)) = who
            {
                self.change_mail(|inbox| {
                    inbox.late.push_back(Completion {
                        id,
                        handler,
                        completed,
                    });
                });
            }
        }
    }

    fn take_late(&self, completions: &mut VecDeque<Completion>) {
        if self.has_mail() {
            self.change_mail(|inbox| completions.append(&mut inbox.late));
        }
    }

    fn change_mail<R>(&self, change: impl FnOnce(&mut Inbox) -> R) -> R {
        let mut inbox = lock_std(&self.inbox);
        let result = change(&mut inbox);
        let has_mail = !inbox.requests.is_empty() || !inbox.late.is_empty();
        // Relaxed: see `has_mail`.
        self.has_mail.store(has_mail, Ordering::Relaxed);
        result
    }

    fn apply(&self, driver: &mut Option<Box<dyn Driver>>, request: Request) -> Option<Completed> {
        match request {
            Request::Begin(operation) => match self.ensure(driver) {
                Ok(driver) => driver.begin(operation),
                Err(error) => Some(Completed::only(operation.action, Err(error))),
            },
            Request::Cancel(socket, id) => {
                if let Some(driver) = driver {
                    driver.cancel(socket, id);
                }
                None
            }
        }
    }

    fn ensure<'a>(
        &self,
        driver: &'a mut Option<Box<dyn Driver>>,
    ) -> io::Result<&'a mut Box<dyn Driver>> {
        if driver.is_none() {
            let (made, waker) = self.choice.driver()?;
            *lock_std(&self.waker) = Some(waker);
            *driver = Some(made);
        }
        driver.as_mut().ok_or_else(|| io::Error::other("no driver"))
    }

    /// Ends the owner's sleep, or its next one, as if for I/O.
    fn interrupt(&self) {
        // Relaxed: published by `unpark`.
        self.interrupted.store(true, Ordering::Relaxed);
        self.unpark();
    }

    fn end(&self) {
        let mut completions = VecDeque::new();
        let mut driver = lock_std(&self.driver);
        lock_std(&self.inbox).closed = true;
        self.take_requests(&mut driver);
        self.take_late(&mut completions);
        if let Some(mut driver) = driver.take() {
            driver.end(&mut completions);
        }
        drop(driver);
        completions.into_iter().for_each(Completion::deliver);
    }

    /// Whether the place to sleep in was entered, rather than that there was a notification.
    fn enter(&self, place: u32) -> bool {
        // Relaxed: it publishes nothing.
        self.word
            .compare_exchange(EMPTY, place, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Sleeps in the driver, if there is anything to sleep for.
    fn park_in_driver(&self, end: &mut End<'_>) -> Option<Parked> {
        if !self.is_active() {
            return None;
        }
        let mut driver = lock_std(&self.driver);
        // Before the word is changed: whoever comes later interrupts.
        self.take_requests(&mut driver);
        if self.has_mail() || driver.as_ref().is_some_and(|driver| driver.is_ready()) {
            return Some(Parked::Interrupted);
        }
        let driver = driver.as_mut().filter(|driver| !driver.is_idle())?;
        let until = end.settle();
        if self.enter(IN_DRIVER) {
            driver.park(until);
        }
        Some(if driver.is_ready() {
            Parked::Interrupted
        } else if until.is_some_and(|until| Instant::now() >= until) {
            Parked::Deadline
        } else {
            Parked::Woken
        })
    }

    fn park_in_futex(&self, end: &mut End<'_>) -> Parked {
        let until = end.settle();
        if self.enter(IN_FUTEX) {
            self.futex.park(until)
        } else {
            Parked::Woken
        }
    }
}

/// What ends a sleep, if nobody does: its deadline, and timers.
struct End<'a> {
    port: &'a Port,
    deadline: Option<Instant>,
    /// When the earliest is due, if this worker keeps the time.
    timers: Option<Instant>,
}

impl End<'_> {
    /// Until when to sleep, settled just before that.
    fn settle(&mut self) -> Option<Instant> {
        self.timers = self.port.clock.keep(self.port.seat);
        match (self.deadline, self.timers) {
            (Some(deadline), Some(timers)) => Some(deadline.min(timers)),
            (one, other) => one.or(other),
        }
    }

    /// The sleep is over.
    fn what_it_was(self, parked: Parked) -> Parked {
        let Some(timers) = self.timers else {
            return parked;
        };
        let is_deadline = self.deadline.is_some_and(|deadline| deadline < timers);
        if parked != Parked::Deadline || is_deadline {
            return parked;
        }
        // Relaxed: only the owner parks, and looks.
        self.port.timers_due.store(true, Ordering::Relaxed);
        Parked::Interrupted
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if self.timers.is_some() {
            self.port.clock.leave(self.port.seat);
        }
    }
}

impl Parker for Port {
    fn park(&self, deadline: Option<Instant>) -> Parked {
        let mut end = End {
            port: self,
            deadline,
            timers: None,
        };
        let parked = self
            .park_in_driver(&mut end)
            .unwrap_or_else(|| self.park_in_futex(&mut end));
        let parked = end.what_it_was(parked);
        // Acquire: pairs with the Release in `unpark`. Whatever it was, nobody sleeps any more.
        let notified = self.word.swap(EMPTY, Ordering::Acquire) == NOTIFIED;
        // Relaxed: as in `interrupt`.
        let parked = if self.interrupted.swap(false, Ordering::Relaxed) {
            Parked::Interrupted
        } else if notified {
            Parked::Woken
        } else {
            parked
        };
        // Relaxed: only the owner parks.
        let by_kernel = parked == Parked::Interrupted && !notified;
        self.ended_by_kernel.store(by_kernel, Ordering::Relaxed);
        parked
    }

    fn expects_unpark(&self) -> bool {
        // Relaxed: as in `park`.
        !self.ended_by_kernel.load(Ordering::Relaxed)
    }

    fn unpark(&self) {
        // Release: pairs with the Acquire in `park`. Acquire: the waker was set before the word was changed to `IN_DRIVER`.
        match self.word.swap(NOTIFIED, Ordering::AcqRel) {
            IN_FUTEX => self.futex.unpark(),
            IN_DRIVER => {
                if let Some(waker) = &*lock_std(&self.waker) {
                    waker.wake();
                }
            }
            _ => {}
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::reactor::{Kind, Nobody};

    /// A worker that looks after the port of another one may find what it cannot deliver, and have had no I/O of its own.
    #[test]
    fn what_is_put_back_is_found_in_a_port_that_was_never_used() {
        let ports =
            Ports::new(1, Wishes::default(), &Clock::of_nobody()).expect("no kind was asked for");
        let port = ports.of_seat(0);
        let completion = Completion {
            id: OperationId::new(),
            handler: Arc::new(Nobody),
            completed: Completed {
                kind: Kind::Receive,
                number: 0,
                result: Err(io::ErrorKind::Other.into()),
                more: false,
                data: None,
            },
        };
        port.put_back(&mut VecDeque::from([completion]));
        assert!(port.is_ready());
        assert_eq!(port.park(None), Parked::Interrupted);
        let mut found = VecDeque::new();
        port.own_turn(false, BATCH, &mut found);
        assert_eq!(found.len(), 1);
    }
}
