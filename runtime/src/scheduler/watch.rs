//! The watcher's looks: what the one sleeper that watches sees of those that are awake, and when it leaves them to themselves.
//!
//! It sleeps in stretches, which grow, and looks between two of them. What was kept through a whole stretch without its worker taking a turn, it takes; and
//! what came from outside, if more of that waits than those at work get done in a short while. Each look wakes a thread, which on a machine without
//! a core to spare stops one of those at work. So a watcher that has seen nothing for several looks in a row leaves the watch, and whoever keeps something
//! calls for the next one.
//!
//! Something may be kept, or put in from outside, between that last look and the moment from which on the others see that nobody watches. So the watcher looks
//! once more, and watches again if there is anything then. It does so one stretch later: a worker looks at the watch behind its store of what it keeps, but without a
//! fence, as it does so for each message, and one that still saw the watch as it was has its store there to be seen by then.
//!
//! Where any worker has ever had I/O the watcher stays: it looks after that, too, and a worker in a long handler calls for nobody.

use std::time::Duration;

use libprocess_queues::run::RunQueue;

use super::idle::Idle;
use crate::facade::weakened;

/// The first stretch of sleep, and the longest. Above what a process may use of a turn, which is its budget of events; and a worker that
/// goes on taking turns is looked at less and less often.
const FIRST_STRETCH: Duration = Duration::from_micros(20);
const LONGEST_STRETCH: Duration = Duration::from_millis(1);
/// The longest while things come from outside, which nobody is woken for then.
const ATTENTIVE_STRETCH: Duration = Duration::from_micros(160);
/// How long something from outside may wait for those at work, as reckoned, before another worker is woken for it. A few times what
/// waking one costs.
const WORTH_WAKING: Duration = Duration::from_micros(20);

/// A watcher that finds all asleep looks so often again, in stretches of up to twice the longest.
const LINGERING_LOOKS: u32 = 16;
/// So many looks in a row that saw nothing are the last ones. In random schedules each is a hundred steps.
const LOOKS_IN_VAIN: u32 = if cfg!(libprocess_shuttle) { 1 } else { 8 };

/// What the watcher saw when it looked last.
pub(super) struct Watch {
    /// By worker: how many turns the one had had that kept something.
    seen: Vec<Option<u32>>,
    posts: u32,
    turns: u32,
    /// How long the sleep before the next look is.
    stretch: Duration,
    /// Looks since somebody was awake.
    lingering: u32,
    /// Looks in a row that saw nothing.
    in_vain: u32,
    /// It left the watch, and looks a last time.
    has_left: bool,
}

impl Watch {
    pub(super) fn new<T: Send, Q: RunQueue<T>>(workers: usize, queue: &Q, idle: &Idle) -> Self {
        Self {
            seen: vec![None; workers],
            posts: idle.posts(),
            turns: queue.turns(),
            stretch: FIRST_STRETCH,
            lingering: 0,
            in_vain: 0,
            has_left: false,
        }
    }

    /// How long the sleep before the next look is.
    pub(super) fn stretch(&self) -> Duration {
        self.stretch
    }

    /// Whether nothing was seen for so long that nobody is needed for it.
    pub(super) fn is_in_vain(&self) -> bool {
        self.in_vain >= LOOKS_IN_VAIN
    }

    /// Whether the last look saw anything that may need somebody.
    pub(super) fn sees_something(&self) -> bool {
        self.in_vain == 0
    }

    pub(super) fn has_left(&self) -> bool {
        self.has_left
    }

    /// The watch was left: one look more.
    pub(super) fn leave(self) -> Option<Self> {
        (!weakened("left-watch-looks-again")).then_some(Self {
            has_left: true,
            stretch: LONGEST_STRETCH,
            ..self
        })
    }

    /// All are asleep. Whether the watcher shall look again.
    pub(super) fn lingers(&mut self) -> bool {
        self.lingering += 1;
        self.stretch = self.stretch.max(LONGEST_STRETCH) * 2;
        self.lingering < LINGERING_LOOKS
    }

    /// Takes what has been kept since the last look by a worker that has not taken a turn, and what came from outside and waits for too long.
    pub(super) fn look<T: Send, Q: RunQueue<T>>(
        &mut self,
        queue: &Q,
        local: &mut Q::Local,
        idle: &Idle,
    ) -> Option<T> {
        let patience = self.reckon(queue.turns());
        let posts = idle.posts();
        let longest = if std::mem::replace(&mut self.posts, posts) == posts {
            LONGEST_STRETCH
        } else {
            ATTENTIVE_STRETCH
        };
        self.stretch = (self.stretch * 2).min(longest);
        if !idle.all_asleep() {
            self.lingering = 0;
        }
        if !self.has_left {
            let attentive = self.stretch <= ATTENTIVE_STRETCH;
            idle.set_patience(if attentive { patience.max(1) } else { 0 });
        }

        if Q::KEEPS
            && queue.injected() > patience as usize
            && !weakened("watcher-takes-injected")
            && let Some(item) = queue.steal(local)
        {
            return Some(item);
        }
        // One from outside may be that of a thread that waits for each answer, and is about to be taken. Not at the end: who put it in may have counted on a watcher.
        let about_to_be_taken = usize::from(!self.has_left);
        let mut sees_something = Q::KEEPS && queue.injected() > about_to_be_taken;
        for (worker, seen) in self.seen.iter_mut().enumerate() {
            let now = queue.kept(worker);
            sees_something |= now.is_some();
            let before = std::mem::replace(seen, now);
            if now.is_some()
                && now == before
                && let Some(item) = queue.take_kept(worker)
            {
                return Some(item);
            }
        }
        self.in_vain = if sees_something {
            0
        } else {
            self.in_vain.saturating_add(1)
        };
        None
    }

    /// How many may wait in the injector: as many as those at work get done in a short while, by the turns since the last look.
    fn reckon(&mut self, turns: u32) -> u32 {
        let taken = turns.wrapping_sub(std::mem::replace(&mut self.turns, turns));
        let share = WORTH_WAKING.as_nanos() as f64 / self.stretch.as_nanos() as f64;
        (f64::from(taken) * share) as u32
    }
}
