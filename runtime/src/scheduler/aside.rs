//! Standing aside: a worker that makes the others slower lets them do the work.
//!
//! An event that crosses from one processor to another costs several times what it costs at home: its memory, the word of the mailbox and the
//! receiver's state move. Where events are cheap and go back and forth between the workers, fewer workers do more. Nobody can know that from
//! the outside, as the same traffic with dear handlers wants all workers. So it is tried, and measured.
//!
//! # The protocol
//!
//! ```text
//!              a window in which events are cheap and come from elsewhere
//!   AT WORK ──────────────────────────────────────────────────────────────► ASIDE: gives its work to all, sleeps
//!      ▲  ▲                                                                      │  │
//!      │  └──── the others do no more than all did before: not soon again ───────┘  │
//!      └─────── they do more: until the stay is over, or what they do has changed ──┘
//! ```
//!
//! *The window.* A worker counts its turns, and those in which a process was fed from elsewhere. Every 300 µs or so it looks: if at least a
//! quarter were fed from elsewhere, and an event took less than a microsecond, and it is so in the next window too, it is worth a trial.
//!
//! *The trial.* The worker puts all that it has where others find it, and sleeps for 400 µs. If the others, in the last 300 of those, did a tenth more than all together
//! in the window before, it stays aside; else it comes back, and waits twice as long as last time, up to a second, before it tries again.
//!
//! *The stay.* In slices of up to a millisecond it looks whether the others go on as well. When the stay is over it comes back, as what is done may
//! have changed, and the first window tells, whatever the events come from: the next stay is twice as long, up to 50 ms. So what is lost by looking is about one part in a hundred.
//!
//! # What can go wrong
//!
//! * *All stand aside.* One at most less than there are may, by a compare-and-swap of their number; and only one at a time is on trial.
//! * *The others sleep when the work is put.* Who stands aside puts its work as any thread does: and wakes a sleeper, if nobody searches. To the
//!   others it counts as awake, and so nobody waits for it to search, or tries to wake it.
//! * *The last worker goes into a long handler.* What waits for it waits for a slice longer: then nothing was done, and the worker comes back.
//! * *The runtime is shut down.* The slice ends by itself; then the semaphore tells.
//!
//! Weighed against moving processes towards those who feed them ("strays", in `docs/scheduler.md`): that brings pairs together, but where many talk to one they
//! can only meet on one worker, and the other one, idle then, takes half of them away again. The idea of trying and measuring is that of J. Hellerstein et al.,
//! "Concurrency control in .NET's thread pool: hill climbing", 2009.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::facade::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A window is at least so long, and so is a trial. In random schedules any time is long enough, so that whoever takes turns stands aside.
const WINDOW: Duration = Duration::from_micros(if cfg!(libprocess_shuttle) { 0 } else { 300 });
/// Until the others have what was given away, and are not measured yet.
const SETTLING: Duration = Duration::from_micros(100);
/// An event that takes longer is worth a processor of its own.
const CHEAP: Duration = Duration::from_micros(1);
/// Of how many turns at least one must be fed from elsewhere.
const ONE_IN: u32 = 4;
/// What the others must do, in parts of what all did before, to make it worth while. Less is not told from chance.
const GAIN: f64 = 1.1;
/// What they may lose of that, before they are asked again.
const LOSS: f64 = 0.7;
const LONGEST_SLICE: Duration = Duration::from_millis(1);
const FIRST_STAY: Duration = Duration::from_millis(2);
const LONGEST_STAY: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Turns between two looks at the time. Few in random schedules, and more than there are in loom's, to which each look is a hundred steps.
const FEWEST_TURNS: u32 = if cfg!(libprocess_shuttle) {
    2
} else if cfg!(libprocess_loom) {
    1 << 30
} else {
    1
};
const MOST_TURNS: u32 = if cfg!(libprocess_loom) { 1 << 30 } else { 256 };
/// As how many turns one counts that was long, as it used up a budget of events (or crowded its worker): so that looks do not become rare where events are dear.
const LONG_TURN: u32 = 64;
/// For every so many that stand aside, each looks that much more rarely.
const MANY: usize = 16;

/// How many stand aside, of all workers.
pub(super) struct Aside {
    standing: AtomicUsize,
    /// Whether one of them is on trial: one at a time, so that none is given credit for another's.
    trying: AtomicBool,
    most: usize,
}

impl Aside {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            standing: AtomicUsize::new(0),
            trying: AtomicBool::new(false),
            most: workers.saturating_sub(1),
        }
    }

    /// Whether anybody may ever stand aside.
    fn is_possible(&self) -> bool {
        self.most > 0
    }

    /// One more stands aside on trial, if enough others do not. To be followed by `tried`, and by `end`.
    fn begin(&self) -> bool {
        // Relaxed, all of them: numbers and a flag that nothing is published with.
        if self.trying.swap(true, Ordering::Relaxed) {
            return false;
        }
        let begun = self
            .standing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |standing| {
                (standing < self.most).then_some(standing + 1)
            })
            .is_ok();
        if !begun {
            self.tried();
        }
        begun
    }

    fn tried(&self) {
        self.trying.store(false, Ordering::Relaxed);
    }

    /// The longest time between two looks of one that stands aside. The more there are, as each looks at the counters of all.
    fn longest_slice(&self) -> Duration {
        let times = self.standing.load(Ordering::Relaxed) / MANY;
        LONGEST_SLICE * u32::try_from(times.max(1)).unwrap_or(u32::MAX)
    }

    fn end(&self) {
        self.standing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a worker must be able to do to stand aside.
pub(super) trait Stander {
    fn aside(&self) -> &Aside;
    fn now(&self) -> Instant;
    /// How many events this worker has served so far.
    fn done(&self) -> u64;
    /// How many all workers have. Looks at the counters of all, so it is asked by who is about to stand aside, and no other.
    fn done_by_all(&self) -> u64;
    /// Puts all that this worker keeps where others find it, and sees to it that somebody looks there.
    fn give_away(&self);
    fn sleep_until(&self, deadline: Instant);
    /// Takes what another worker does not come to.
    fn look_after_others(&self);
}

/// The beginning of a window.
#[derive(Clone, Copy)]
struct Window {
    at: Instant,
    done: u64,
    /// What all had done, if that is to be compared.
    all: Option<Mark>,
}

/// What all had done at one moment.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    done: u64,
}

impl Mark {
    fn now(stander: &impl Stander) -> Self {
        Self {
            at: stander.now(),
            done: stander.done_by_all(),
        }
    }

    fn length(self, since: Self) -> Duration {
        self.at.saturating_duration_since(since.at)
    }

    /// Events a second.
    fn rate(self, since: Self) -> f64 {
        self.done.wrapping_sub(since.done) as f64 / self.length(since).as_secs_f64()
    }
}

/// A worker's own record of how it goes. Only its thread uses it.
pub(super) struct Pace {
    /// Until the next look at the time.
    turns_left: Cell<u32>,
    /// Between two looks.
    turns: Cell<u32>,
    /// Of the window.
    all_turns: Cell<u32>,
    fed_from_elsewhere: Cell<u32>,
    window: Cell<Option<Window>>,
    not_before: Cell<Option<Instant>>,
    pause: Cell<Duration>,
    stay: Cell<Duration>,
    /// A stay that was worth while is just over: what the worker is back at is most likely the same, so the first window needs no other reason.
    has_paid: Cell<bool>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            turns_left: Cell::new(FEWEST_TURNS),
            turns: Cell::new(FEWEST_TURNS),
            all_turns: Cell::new(0),
            fed_from_elsewhere: Cell::new(0),
            window: Cell::new(None),
            not_before: Cell::new(None),
            pause: Cell::new(FIRST_PAUSE),
            stay: Cell::new(FIRST_STAY),
            has_paid: Cell::new(false),
        }
    }

    /// What runs in this turn was last fed by this worker itself, or not.
    #[inline]
    pub(super) fn fed(&self, from_elsewhere: bool) {
        self.fed_from_elsewhere
            .set(self.fed_from_elsewhere.get() + u32::from(from_elsewhere));
    }

    /// A turn begins. True: `look` is due, until it is done.
    #[inline]
    pub(super) fn turn(&self) -> bool {
        self.all_turns.set(self.all_turns.get().wrapping_add(1));
        let left = self.turns_left.get().saturating_sub(1);
        self.turns_left.set(left);
        left == 0
    }

    /// The turn was a long one.
    #[inline]
    pub(super) fn was_long(&self) {
        self.turns_left
            .set(self.turns_left.get().saturating_sub(LONG_TURN).max(1));
    }

    /// Ends the window, if it was long enough: then the worker looks after another one, and stands aside if that is worth a trial. True if it did.
    #[cold]
    #[inline(never)]
    pub(super) fn look(&self, stander: &impl Stander) -> bool {
        if !stander.aside().is_possible() {
            self.fed_from_elsewhere.set(0);
            self.turns_left.set(u32::MAX);
            return false;
        }
        let stood = self.look_at_window(stander);
        self.turns_left.set(self.turns.get());
        stood
    }

    fn look_at_window(&self, stander: &impl Stander) -> bool {
        let now = stander.now();
        let Some(window) = self.window.get() else {
            self.begin_window(stander, now, false);
            return false;
        };
        let length = now.saturating_duration_since(window.at);
        if length < WINDOW {
            // Few looks where turns are short.
            self.turns.set((self.turns.get() * 2).min(MOST_TURNS));
            return false;
        }
        // And many where they are long.
        let windows = (length.as_nanos() / WINDOW.as_nanos().max(1)).max(2);
        let turns = self.turns.get() / u32::try_from(windows).unwrap_or(u32::MAX);
        self.turns.set(turns.max(FEWEST_TURNS));
        stander.look_after_others();
        let events = stander.done().wrapping_sub(window.done);
        let is_cheap = length <= CHEAP.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX));
        let is_fed =
            self.has_paid.take() || self.fed_from_elsewhere.get() >= self.all_turns.get() / ONE_IN;
        let may = self.not_before.get().is_none_or(|moment| moment <= now);
        if !(is_cheap && is_fed && may) {
            self.begin_window(stander, now, false);
            return false;
        }
        let Some(before) = window.all else {
            // One more such window, to be compared with.
            self.begin_window(stander, now, true);
            return false;
        };
        let stood = stander.aside().begin();
        if stood {
            self.stand(stander, Mark::now(stander).rate(before));
            stander.aside().end();
        }
        self.begin_window(stander, stander.now(), stood);
        stood
    }

    fn begin_window(&self, stander: &impl Stander, at: Instant, compared: bool) {
        self.window.set(Some(Window {
            at,
            done: stander.done(),
            all: compared.then(|| Mark::now(stander)),
        }));
        self.all_turns.set(0);
        self.fed_from_elsewhere.set(0);
    }

    /// Stands aside, for as long as it is worth while. `together`: what all did before.
    fn stand(&self, stander: &impl Stander, together: f64) {
        stander.give_away();
        let began = Mark::now(stander);
        stander.sleep_until(began.at + SETTLING);
        let mut before = Mark::now(stander);
        let mut slice = WINDOW.max(SETTLING);
        let mut best: Option<f64> = None;
        loop {
            stander.sleep_until(before.at + slice);
            let mark = Mark::now(stander);
            let rate = mark.rate(before);
            match best {
                None if rate < together * GAIN => {
                    stander.aside().tried();
                    self.not_before.set(Some(mark.at + self.pause.get()));
                    self.pause.set((self.pause.get() * 2).min(LONGEST_PAUSE));
                    return;
                }
                None => {
                    stander.aside().tried();
                    self.pause.set(FIRST_PAUSE);
                }
                Some(best) if rate < best * LOSS => {
                    self.stay.set(FIRST_STAY);
                    return;
                }
                Some(_) => {}
            }
            if mark.length(began) >= self.stay.get() {
                self.stay.set((self.stay.get() * 2).min(LONGEST_STAY));
                self.has_paid.set(true);
                return;
            }
            best = Some(best.unwrap_or(0.0).max(rate));
            before = mark;
            slice = (slice * 2).min(stander.aside().longest_slice());
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// A worker beside one other, in a time of its own.
    struct World {
        aside: Aside,
        now: Cell<Instant>,
        /// Events that are done in a microsecond by both, by this one of those, and by the other alone.
        together: f64,
        by_this: f64,
        alone: Cell<f64>,
        done: Cell<(f64, f64)>,
        given_away: Cell<u32>,
        slept: Cell<Duration>,
        /// The other one's speed from a moment of standing aside on.
        then: Cell<Option<(Duration, f64)>>,
    }

    impl World {
        fn new(together: f64, by_this: f64, alone: f64) -> Self {
            Self {
                aside: Aside::new(2),
                now: Cell::new(Instant::now()),
                together,
                by_this,
                alone: Cell::new(alone),
                done: Cell::new((0.0, 0.0)),
                given_away: Cell::new(0),
                slept: Cell::new(Duration::ZERO),
                then: Cell::new(None),
            }
        }

        fn pass(&self, time: Duration, all: f64, this: f64) {
            let micros = time.as_secs_f64() * 1e6;
            let (by_all, by_this) = self.done.get();
            self.done
                .set((by_all + all * micros, by_this + this * micros));
            self.now.set(self.now.get() + time);
        }

        /// Works for this long in turns of 10 µs.
        fn work(&self, pace: &Pace, time: Duration, from_elsewhere: bool) -> bool {
            let mut stood = false;
            let until = self.now.get() + time;
            while self.now.get() < until {
                if pace.turn() {
                    stood |= pace.look(self);
                }
                pace.fed(from_elsewhere);
                self.pass(Duration::from_micros(10), self.together, self.by_this);
            }
            stood
        }
    }

    impl Stander for World {
        fn aside(&self) -> &Aside {
            &self.aside
        }

        fn now(&self) -> Instant {
            self.now.get()
        }

        fn done(&self) -> u64 {
            self.done.get().1 as u64
        }

        fn done_by_all(&self) -> u64 {
            self.done.get().0 as u64
        }

        fn give_away(&self) {
            self.given_away.set(self.given_away.get() + 1);
        }

        fn sleep_until(&self, deadline: Instant) {
            let time = deadline.saturating_duration_since(self.now.get());
            if let Some((moment, alone)) = self.then.get()
                && self.slept.get() >= moment
            {
                self.alone.set(alone);
            }
            self.slept.set(self.slept.get() + time);
            self.pass(time, self.alone.get(), 0.0);
        }

        fn look_after_others(&self) {}
    }

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn who_slows_the_others_down_stands_aside_longer_and_longer() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        assert!(world.work(&pace, 200 * MILLISECOND, true));
        let (slept, stays) = (world.slept.get(), world.given_away.get());
        assert!(
            slept > 50 * 200 * MILLISECOND / 100,
            "{slept:?} in {stays} stays"
        );
        assert_eq!(pace.stay.get(), LONGEST_STAY);
        assert_eq!(world.aside.standing.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_helps_comes_back_at_once_and_asks_less_and_less() {
        let (world, pace) = (World::new(6.0, 3.0, 5.0), Pace::new());
        assert!(world.work(&pace, 1_000 * MILLISECOND, true));
        let trials = world.given_away.get();
        assert!((5..=9).contains(&trials), "{trials} trials");
        assert_eq!(world.slept.get(), (SETTLING + WINDOW) * trials);
    }

    #[test]
    fn who_is_fed_at_home_or_has_dear_events_never_tries() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        assert!(!world.work(&pace, 100 * MILLISECOND, false));
        let (world, pace) = (World::new(1.0, 0.5, 20.0), Pace::new());
        assert!(!world.work(&pace, 100 * MILLISECOND, true));
        assert_eq!(world.given_away.get(), 0);
    }

    #[test]
    fn whom_it_has_paid_for_needs_no_other_reason_in_the_first_window() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        while !world.work(&pace, MILLISECOND, true) {}
        assert!(world.work(&pace, MILLISECOND, false), "it pays again");
        world.alone.set(5.0);
        assert!(world.work(&pace, MILLISECOND, false), "it is asked");
        assert!(!world.work(&pace, 100 * MILLISECOND, false), "it did not");
    }

    #[test]
    fn one_turn_in_three_that_is_fed_from_elsewhere_is_enough() {
        let stands = |part: u32| {
            let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
            (0..10_000).any(|turn: u32| {
                let stood = pace.turn() && pace.look(&world);
                pace.fed(turn.is_multiple_of(part));
                world.pass(Duration::from_micros(10), 6.0, 3.0);
                stood
            })
        };
        assert!(stands(2) && stands(3) && !stands(5));
    }

    #[test]
    fn looks_become_frequent_where_turns_become_long() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        world.work(&pace, 20 * MILLISECOND, false);
        let looks = (0..6).filter(|_| {
            let due = pace.turn();
            if due {
                pace.look(&world);
            }
            pace.was_long();
            world.pass(256 * MILLISECOND, 6.0, 3.0);
            due
        });
        assert!(looks.count() >= 2);
    }

    #[test]
    fn a_change_while_it_stands_aside_brings_it_back_within_a_slice() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        pace.stay.set(LONGEST_STAY);
        let moment = 10 * MILLISECOND;
        world.then.set(Some((moment, 0.0)));
        while !world.work(&pace, MILLISECOND, true) {}
        let slept = world.slept.get();
        assert!(slept <= moment + 2 * LONGEST_SLICE, "{slept:?}");
        assert_eq!(pace.stay.get(), FIRST_STAY);
    }

    #[test]
    fn a_look_is_due_until_it_is_done() {
        let (world, pace) = (World::new(6.0, 3.0, 20.0), Pace::new());
        while !pace.turn() {}
        assert!(pace.turn() && pace.turn());
        pace.look(&world);
        pace.look(&world);
        assert!(!pace.turn());
    }

    #[test]
    fn one_at_least_goes_on() {
        let aside = Aside::new(3);
        assert!(aside.begin() && !aside.begin(), "one trial at a time");
        aside.tried();
        assert!(aside.begin());
        aside.tried();
        assert!(!aside.begin());
        aside.end();
        assert!(aside.begin());
        assert!(!Aside::new(1).is_possible() && !Aside::new(1).begin());
    }
}
