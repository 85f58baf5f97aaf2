//! What is runnable, and the workers that wait for it: a run queue, a semaphore, and who is awake.
//!
//! The semaphore's count is not that of the runnables: a signal means "one sleeper has been counted as awake, let it go on".
//! So a worker that has work pays nothing for the others' sleep, and who puts work in wakes one worker where one sleeps and none
//! searches, not one for each runnable. [`Idle`] tells the protocol.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use libprocess_queues::run::{Placed, RunQueue};
use libprocess_semaphore::{Parked, Parker, Semaphore, Wakeup};

use super::counters::{Counters, PARKS, STEALS, WAKE_UPS};
use super::holder::{Held, Holder};
use super::idle::{FIRST_PATIENCE, Idle};
use super::io::SeatIo;
use super::watch::Watch;
use crate::facade::{now, weakened};
use crate::look_on;

/// How often a worker asks the others before it sleeps. A round costs one look at each; the semaphore looks on for a while after that.
const ROUNDS: u32 = if cfg!(any(libprocess_loom, libprocess_shuttle)) {
    1
} else {
    4
};

/// Who looks on for longer than that asks for I/O again.
const ASK_AGAIN: Duration = Duration::from_micros(10);

pub(crate) struct Runnables<T, Q, S> {
    queue: Q,
    semaphore: S,
    /// Of the driver, where the semaphore's sleepers cannot sleep in theirs.
    holder: Holder,
    idle: Idle,
    workers: usize,
    /// Whether a sleeper watches what others keep, and their I/O.
    watched: bool,
    /// How long one that searches asks the kernel for I/O before it sleeps.
    busy_poll: Duration,
    items: PhantomData<fn(T) -> T>,
}

/// What a worker has to do next.
pub(crate) enum Taken<T> {
    Item(T),
    /// To look at its I/O and its timers, and to deliver what was found.
    Io,
    Decommissioned,
}

/// Why a sleep ended.
enum Slept<T> {
    Signalled,
    /// There may be something to deliver, or a timer is due.
    Io,
    /// As the watcher it took what another worker kept for too long.
    Took(T),
    Decommissioned,
}

/// What was seen before a sleep.
enum Polled {
    Io,
    /// There is something in the queue.
    Shared,
    Nothing,
}

impl<T: Send, Q: RunQueue<T>, S: Semaphore> Runnables<T, Q, S> {
    pub(crate) fn new(workers: usize, semaphore: S, busy_poll: Duration) -> Self {
        Self {
            queue: Q::new(workers),
            semaphore,
            holder: Holder::new(),
            idle: Idle::new(workers),
            workers,
            // To loom, in which no time passes, the watcher's looks would be without end.
            watched: workers > 1 && !cfg!(libprocess_loom),
            busy_poll,
            items: PhantomData,
        }
    }

    pub(crate) fn local(&self, worker: usize) -> Q::Local {
        self.queue.local(worker)
    }

    /// Puts in, in any thread. True if a worker was woken for it.
    #[inline]
    pub(crate) fn put(&self, item: T) -> bool {
        self.queue.enqueue(item);
        let wake = if Q::KEEPS {
            self.idle.claim_for_outsider(|| self.queue.injected())
        } else {
            self.idle.claim_sleeper()
        };
        if wake && !weakened("put-wakes") {
            self.signal();
        }
        wake
    }

    /// Puts in, in a worker. `crowded` is called if there was no room; `is_next` tells whether the worker, which is in no turn, takes the item
    /// as soon as it has put it in, and is asked only where it matters.
    #[inline]
    pub(crate) fn put_local(
        &self,
        local: &mut Q::Local,
        item: T,
        counters: &Counters,
        crowded: impl FnOnce(),
        is_next: impl FnOnce() -> bool,
    ) {
        let placed = self.queue.enqueue_local(local, item);
        // First, so that nothing of it is kept meanwhile.
        if placed == Placed::Crowded {
            crowded();
        }
        self.announce(placed, counters, is_next);
    }

    /// Puts in what has run in this worker and lets others have a turn.
    #[inline]
    pub(crate) fn put_yielded(&self, local: &mut Q::Local, item: T, counters: &Counters) {
        let placed = self.queue.enqueue_yielded(local, item);
        self.announce(placed, counters, || false);
    }

    /// Puts all that a worker keeps where others find it.
    pub(super) fn share(&self, local: &mut Q::Local, counters: &Counters) {
        self.queue.share(local);
        if self.queue.has_shared() {
            self.announce(Placed::Shared, counters, || false);
        }
    }

    /// Looks, in a worker that has work, after one of the others: what waits for one that has been in the same turn since the last look, a long
    /// handler, is run here or by whoever comes first.
    pub(super) fn look_after(
        &self,
        others: &mut Others,
        (own, local): (usize, &mut Q::Local),
        counters: &Counters,
    ) {
        let worker = others.next(self.workers, own);
        let now = self.queue.awaited(worker);
        let before = std::mem::replace(&mut others.seen[worker], now);
        if now.is_some()
            && now == before
            && let Some(item) = self.queue.relieve(local, worker)
        {
            counters.add(STEALS, 1);
            self.put_stray(item, counters);
        }
    }

    /// What the worker keeps, or its I/O, may have to wait for something long.
    pub(super) fn call_for_kept(&self, counters: &Counters) {
        self.announce(Placed::Kept, counters, || false);
    }

    /// A port is used for the first time, and its worker may be in a long handler. True if a worker was woken for it.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) fn call_for_first_io(&self) -> bool {
        let wake = S::SLEEPS_IN_PARKER && self.watched && self.idle.kept(|| false);
        if wake {
            self.signal();
        }
        wake
    }

    /// Puts in, in a worker, what another worker may do better.
    pub(crate) fn put_stray(&self, item: T, counters: &Counters) {
        self.queue.enqueue(item);
        self.announce(Placed::Shared, counters, || false);
    }

    #[inline]
    fn announce(&self, placed: Placed, counters: &Counters, is_next: impl FnOnce() -> bool) {
        let wake = match placed {
            Placed::Kept => self.idle.kept(is_next),
            Placed::Shared | Placed::Crowded => self.idle.claim_other(),
        };
        if wake {
            self.wake(counters);
        }
    }

    #[cold]
    fn wake(&self, counters: &Counters) {
        counters.add(WAKE_UPS, 1);
        self.signal();
    }

    /// Something was asked of a driver that nobody may be asleep in.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) fn wake_for_io(&self) {
        if !S::SLEEPS_IN_PARKER && !self.holder.is_held() && self.idle.claim_sleeper() {
            self.semaphore.signal();
        }
    }

    fn signal(&self) {
        if S::SLEEPS_IN_PARKER {
            if self.idle.is_watched() {
                // The newest is the watcher, which has patience again only if it is woken.
                self.semaphore.signal();
            } else {
                // Whoever signals mostly goes on where it is: a thread that looks on for the answer, a worker that has more to do.
                self.semaphore.signal_elsewhere();
            }
        } else if !self.holder.signal() {
            self.semaphore.signal();
            self.holder.look_again();
        }
    }

    /// How many items the worker can put in before they go where all look.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) fn room(&self, local: &Q::Local) -> usize {
        self.queue.room(local)
    }

    /// Takes out, and sleeps while there is nothing to do.
    #[inline]
    pub(crate) fn take(
        &self,
        local: &mut Q::Local,
        io: &impl SeatIo,
        counters: &Counters,
    ) -> Taken<T> {
        match self.queue.dequeue(local) {
            Some(item) => Taken::Item(item),
            None => self.search(local, io, counters),
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, local: &mut Q::Local, io: &impl SeatIo, counters: &Counters) -> Taken<T> {
        if io.is_ready() {
            return Taken::Io;
        }
        let mut searching = self.idle.begin_search();
        loop {
            if searching && let Some(item) = self.look_around(local) {
                counters.add(STEALS, 1);
                self.end_search(io, counters);
                return Taken::Item(item);
            }
            match if searching {
                self.linger(io)
            } else {
                Polled::Nothing
            } {
                Polled::Io => {
                    self.end_search(io, counters);
                    return Taken::Io;
                }
                Polled::Shared => continue,
                Polled::Nothing => {}
            }
            self.idle.fall_asleep(searching);
            // It may be this very worker that wakes.
            if !weakened("sleep-looks-again")
                && self.queue.has_shared()
                && self.idle.claim_sleeper()
            {
                self.wake(counters);
            }
            counters.add(PARKS, 1);
            match self.sleep(local, io) {
                Slept::Signalled => {
                    io.note_signalled(true);
                    searching = true;
                }
                Slept::Io => {
                    io.note_signalled(false);
                    self.idle.lull.end_by_io();
                    self.idle.wake_self();
                    if self.lacks_watcher() && self.idle.claim_other() {
                        self.wake(counters);
                    }
                    self.call_for_io(io, counters);
                    return Taken::Io;
                }
                Slept::Took(item) => {
                    counters.add(STEALS, 1);
                    self.idle.wake_self();
                    if self.lacks_watcher() && self.idle.claim_other() {
                        self.wake(counters);
                    }
                    return Taken::Item(item);
                }
                Slept::Decommissioned => return Taken::Decommissioned,
            }
        }
    }

    /// One that searched has found something.
    fn end_search(&self, io: &impl SeatIo, counters: &Counters) {
        if self.idle.end_search()
            && !weakened("last-searcher-wakes")
            && (self.queue.has_shared() || self.lacks_watcher())
            && self.idle.claim_other()
        {
            self.wake(counters);
        }
        self.call_for_io(io, counters);
    }

    /// A worker may be in for a long handler, and then others shall look after its I/O.
    fn call_for_io(&self, io: &impl SeatIo, counters: &Counters) {
        if io.is_active() {
            self.call_for_kept(counters);
        }
    }

    /// Whether nobody will watch what is kept, unless a sleeper is woken for it.
    fn lacks_watcher(&self) -> bool {
        self.watched && self.idle.is_called()
    }

    fn look_around(&self, local: &mut Q::Local) -> Option<T> {
        if self.workers == 1 {
            // Nobody is there to steal from. What comes from outside is seen behind `fall_asleep`, too, and looked on for before that.
            return self.queue.steal(local);
        }
        for round in 0..ROUNDS {
            if let Some(item) = self.queue.steal(local) {
                return Some(item);
            }
            for _ in 0..1 << round {
                std::hint::spin_loop();
            }
        }
        None
    }

    /// What comes while sleeping would cost more than waiting, or is unwanted.
    fn linger(&self, io: &impl SeatIo) -> Polled {
        match self.look_on(io) {
            Polled::Nothing => self.poll(io),
            seen => seen,
        }
    }

    /// Looks on for a while, where nobody is at work.
    ///
    /// Only if a signal ended the last sleep: who is woken for I/O, or by a timer, sleeps until the next. What is to be submitted
    /// goes there first, and what is done while the worker looks on is asked for now and then, and by the sleep behind that.
    fn look_on(&self, io: &impl SeatIo) -> Polled {
        if !look_on::is_of_use() || !io.was_signalled() || !self.idle.is_nobody_at_work() {
            return Polled::Nothing;
        }
        if io.is_active() && io.ask() {
            return self.found_io(io);
        }
        let (next, has_io) = (Cell::new(ASK_AGAIN), Cell::new(false));
        let has_shared = || self.queue.has_shared();
        let gives_up = |elapsed: Duration| {
            if io.is_active() && elapsed >= next.get() {
                next.set(elapsed + ASK_AGAIN);
                has_io.set(io.ask());
            }
            has_io.get() || !self.idle.is_nobody_at_work()
        };
        if self.idle.lull.look_on(has_shared, gives_up) {
            Polled::Shared
        } else if has_io.get() {
            self.found_io(io)
        } else {
            Polled::Nothing
        }
    }

    /// It counts as what ended a sleep: who is kept busy by I/O does not look on for anything else.
    fn found_io(&self, io: &impl SeatIo) -> Polled {
        io.note_signalled(false);
        self.idle.lull.end_by_io();
        Polled::Io
    }

    /// Asks for I/O for a while, if that is wanted.
    fn poll(&self, io: &impl SeatIo) -> Polled {
        if self.busy_poll.is_zero() || !io.is_active() {
            return Polled::Nothing;
        }
        let began = now();
        loop {
            if io.ask() {
                return Polled::Io;
            }
            if self.queue.has_shared() {
                return Polled::Shared;
            }
            if now() - began >= self.busy_poll {
                return Polled::Nothing;
            }
            std::hint::spin_loop();
        }
    }

    fn sleep(&self, local: &mut Q::Local, io: &impl SeatIo) -> Slept<T> {
        let mut watch = (self.watched && self.idle.take_watch()).then(|| self.begin_watch());
        loop {
            let deadline = watch.as_ref().map(|watch| now() + watch.stretch());
            match self.wait(io, deadline) {
                Wakeup::Signalled => {
                    if let Some(watch) = &watch
                        && !weakened("watch-passed-on")
                    {
                        self.idle.pass_watch_if_needed(watch.has_left());
                    }
                    self.idle.woken();
                    return Slept::Signalled;
                }
                Wakeup::Decommissioned => return Slept::Decommissioned,
                Wakeup::Interrupted => {
                    if let Some(watch) = &watch {
                        self.idle.pass_watch(watch.has_left());
                    }
                    return Slept::Io;
                }
                Wakeup::Deadline => {}
            }
            let Some(looks) = &mut watch else { continue };
            if let Some(item) = looks.look(&self.queue, local, &self.idle) {
                self.idle.watch_is_of_use();
                self.idle.pass_watch(looks.has_left());
                return Slept::Took(item);
            }
            if io.tend() {
                self.idle.pass_watch(looks.has_left());
                return Slept::Io;
            }
            if looks.has_left() {
                // Who kept this, or began the first I/O, may have seen the watch as it was before.
                let is_needed = looks.sees_something() || io.is_any_active();
                let is_needed = is_needed && self.idle.take_watch();
                watch = is_needed.then(|| self.begin_watch());
            } else if self.idle.all_asleep() {
                // Where there is I/O it stays for a while: the next one that wakes for some need not call for a watcher then.
                if !(io.is_active() && looks.lingers()) {
                    self.idle.leave_watch();
                    watch = (!self.idle.all_asleep() && self.idle.take_watch())
                        .then(|| self.begin_watch());
                }
            } else if looks.is_in_vain() && !io.is_any_active() {
                self.idle.leave_watch();
                self.idle.watched_in_vain();
                watch = watch.and_then(Watch::leave);
            }
        }
    }

    fn wait(&self, io: &impl SeatIo, deadline: Option<Instant>) -> Wakeup {
        if !S::SLEEPS_IN_PARKER
            && io.is_active()
            && let Some(held) = self.holder.hold(io.parker())
        {
            return self.wait_in_driver(&held, io, deadline);
        }
        match self.semaphore.wait_with(io.parker(), deadline) {
            Ok(wakeup) => wakeup,
            // Only threads with a seat wait, and the semaphore was made with a slot for each seat.
            Err(error) => unreachable!("{error}"),
        }
    }

    fn wait_in_driver(
        &self,
        held: &Held<'_>,
        io: &impl SeatIo,
        deadline: Option<Instant>,
    ) -> Wakeup {
        // A signal may have been left in the semaphore while nobody held the driver, and nobody else may come for it.
        let kept = self.semaphore.wait_with(io.parker(), Some(now()));
        if let Ok(wakeup @ (Wakeup::Signalled | Wakeup::Decommissioned)) = kept
            && !weakened("holder-takes-kept")
        {
            if held.let_go() {
                // One is used here, the other goes on.
                self.signal();
            }
            return wakeup;
        }
        let parked = io.parker().park(deadline);
        match (held.let_go(), parked) {
            (true, _) => Wakeup::Signalled,
            (false, Parked::Deadline) => Wakeup::Deadline,
            // Looked at as if it were I/O, which is harmless.
            (false, Parked::Woken | Parked::Interrupted) => Wakeup::Interrupted,
        }
    }

    fn begin_watch(&self) -> Watch {
        self.idle.set_patience(FIRST_PATIENCE);
        Watch::new(self.workers, &self.queue, &self.idle)
    }

    /// Wakes all workers for good.
    pub(crate) fn decommission(&self) {
        self.holder.close();
        self.semaphore.decommission();
    }
}

/// What a worker at work saw of the others when it looked last.
#[derive(Default)]
pub(super) struct Others {
    /// By worker: how many turns the one had had for which something waited.
    seen: Vec<Option<u32>>,
    last: usize,
}

impl Others {
    /// One after the other, but for the one that looks.
    fn next(&mut self, workers: usize, own: usize) -> usize {
        self.seen.resize(workers, None);
        self.last = (self.last + 1) % workers;
        if self.last == own {
            self.last = (self.last + 1) % workers;
        }
        self.last
    }
}
