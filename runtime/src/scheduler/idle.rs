//! Which workers are awake, which of them search, and who is to be woken.
//!
//! # The word
//!
//! | bits | what |
//! |---|---|
//! | 0..16 | *searching*: workers that look for work which others have |
//! | 16..32 | *awake*: workers that do not sleep, the searching ones included |
//!
//! A worker is *at work*, then *searches*, then *sleeps*. Only a waker makes it awake again: it counts it as awake and searching,
//! in one step, before it signals the semaphore, so two wakers never count on the same sleeper.
//!
//! # No work is forgotten
//!
//! Who puts work in looks at the word afterwards, and wakes nobody if somebody searches or all are awake. Who stops searching, to work or to
//! sleep, changes the word first and looks for work afterwards. With a sequentially consistent fence between the two halves on either
//! side, at least one of them sees the other: either the putter finds nobody searching and somebody asleep, and wakes; or the worker
//! finds the work, and sees to it that somebody takes it. (Store, then load, on either side, is what acquire and release cannot order.)
//! Whoever was seen awake and at work asks the queue once more before it sleeps.
//!
//! # The watch
//!
//! What a worker keeps to itself needs no waking, if the worker comes to it soon. Whether it does is watched by one sleeper, which sleeps in short
//! stretches while others are awake: what is kept through a whole stretch without its worker taking one turn, the watcher takes.
//!
//! | `watch` | meaning | left by |
//! |---|---|---|
//! | `NOBODY` | all sleep, as far as known, or nothing was kept since they did, or for several looks | the first worker that keeps something: `CALLED`, and it wakes a sleeper; who falls asleep while others are awake: `WATCHED` |
//! | `CALLED` | the next worker to fall asleep will watch | that worker: `WATCHED`; or, if it is the last one awake: `NOBODY` |
//! | `WATCHED` | one sleeper watches | that sleeper: `CALLED`, when it is woken or has taken something; `NOBODY`, when all others sleep, also if it is woken, and when nothing is kept for several looks |
//!
//! `CALLED` is left in time: who sets it wakes a sleeper, unless somebody searches or all are awake; and the last searcher that finds something, which
//! will not fall asleep soon, wakes a sleeper if it is still set. So a worker that goes into a long handler after it kept something needs call nobody again.
//!
//! A runtime in which nothing happens has no watcher, and sleeps. Nor has one, after a while, in which nobody keeps anything, there never was I/O, and from outside one item at a time
//! comes: its looks would only hold those at work up (`watch.rs`).
//!
//! # What comes from outside
//!
//! A thread that is no worker, and feeds a worker at work faster than that one can sleep, would wake a second worker for every few items: two calls of
//! the kernel for work of less than a microsecond, and where there are as many workers as cores, three busy threads. So what comes from outside while somebody is
//! awake wakes nobody, if there is a watcher: one at work comes to it after its turn, and asks for it before it sleeps. At each look the watcher
//! reckons, from the turns that were taken, how many may wait until the last of them waits longer than a wake-up is worth: the *patience* of those
//! outside. What is more than that it takes itself, and whoever finds more than that when putting something in wakes a sleeper. The stretches are
//! short while things come from outside; once none came for some stretches there is no patience, and the next one that puts in wakes the watcher.
//!
//! A thread that waits for an answer and then puts the next thing in does so while the worker that answered still turns round: it is at work, but
//! about to search. So where nobody watches, or the watcher has no patience, who puts in looks for half a microsecond whether it is taken
//! before it wakes anybody; a few times between two looks of the watcher, as one that is held up each time could feed more than one worker. For a thread that waits for
//! answers each watch is in vain; each that is left for that allows twice as many of these, until one finds something to do.
//!
//! # Who looks on
//!
//! Where nobody is at work one of those that search looks on for some microseconds before it sleeps: a thread that posts, or waits for an answer and posts
//! again, finds it awake. One that was woken meanwhile, and finds nothing, leaves it at that and sleeps: who looks on already has what it needs at hand.
//! So the last one at work searches, also if enough others do that were just woken: they are on their way for longer than it takes until there
//! is something.

use std::time::Duration;

use crate::facade::atomic::{AtomicU8, AtomicU32, Ordering, fence};
use crate::facade::{now, weakened};
use crate::look_on;

use super::lull::Lull;

const NOBODY: u8 = 0;
const CALLED: u8 = 1;
const WATCHED: u8 = 2;

/// Who puts in from outside asks so often how much waits there: the question costs a line that those at work write.
const POSTS_A_LOOK: u32 = 16;
/// How many may wait until the watcher has reckoned for the first time.
pub(super) const FIRST_PATIENCE: u32 = 16;

/// So many wake-ups are spared between two looks of the watcher, at first: more come of one who puts in as fast as one worker takes, and could feed another.
const FIRST_ALLOWANCE: u32 = 16;
/// And so many once watches were in vain again and again. Those of a thread that waits for answers are that many in some ten milliseconds, and a watch goes on for one to three.
const LARGEST_ALLOWANCE: u32 = 1 << 12;
/// How long who puts in from outside looks whether a worker comes for it, and a look or two longer.
const TURNING_ROUND: Duration = Duration::from_nanos(500);

#[derive(Clone, Copy)]
struct Word(u32);

const ONE_SEARCHING: u32 = 1;
const ONE_AWAKE: u32 = 1 << 16;

impl Word {
    fn searching(self) -> u32 {
        self.0 & (ONE_AWAKE - 1)
    }

    fn awake(self) -> u32 {
        self.0 >> 16
    }

    fn at_work(self) -> u32 {
        self.awake() - self.searching()
    }

    /// Nobody need be woken: somebody searches, or all are awake.
    fn is_enough_for(self, workers: u32) -> bool {
        self.searching() > 0 || self.awake() == workers
    }
}

/// On lines of its own: every enqueue that others may take reads it, and few write it.
#[repr(align(128))]
pub(super) struct Idle {
    word: AtomicU32,
    watch: AtomicU8,
    pub(super) lull: Lull,
    workers: u32,
    outside: Outside,
}

/// What those outside write, on lines of its own.
#[repr(align(128))]
struct Outside {
    /// How often something came while there was a watcher; lossy, as nobody needs all of them.
    posts: AtomicU32,
    /// How many may wait. Zero: whoever puts in wakes the watcher, unless that is spared.
    patience: AtomicU32,
    /// How many wake-ups were spared since the watcher looked, as what was put in was taken at once. Lossy.
    spared: AtomicU32,
    /// How many may be.
    allowance: AtomicU32,
}

impl Idle {
    /// All workers are awake.
    pub(super) fn new(workers: usize) -> Self {
        let workers = u32::try_from(workers).expect("the builder bounds the number of workers");
        Self {
            word: AtomicU32::new(workers * ONE_AWAKE),
            watch: AtomicU8::new(NOBODY),
            lull: Lull::new(),
            workers,
            outside: Outside {
                posts: AtomicU32::new(0),
                patience: AtomicU32::new(0),
                spared: AtomicU32::new(0),
                allowance: AtomicU32::new(FIRST_ALLOWANCE),
            },
        }
    }

    /// The fence between "what was changed" and "what is looked at".
    #[inline]
    fn between(&self, place: &'static str) {
        if !weakened(place) {
            // SeqCst: a store before it and a load behind it, on two places, stay in this order (see the module).
            fence(Ordering::SeqCst);
        }
    }

    /// To be called after work was put where others find it. True: the caller must signal the semaphore, once.
    #[inline]
    pub(super) fn claim_sleeper(&self) -> bool {
        self.needs_waking().is_some_and(|word| self.claim(word))
    }

    /// To be called after work came from outside, where workers can watch over one another; `backlog` tells how much of that waits, with what the
    /// caller put in unless it was taken. True: the caller must signal the semaphore, once.
    #[inline]
    pub(super) fn claim_for_outsider(&self, backlog: impl Fn() -> usize) -> bool {
        self.needs_waking()
            .is_some_and(|word| (word.awake() == 0 || self.is_overdue(backlog)) && self.claim(word))
    }

    /// After work was put in: the word, if somebody sleeps and nobody searches.
    #[inline]
    fn needs_waking(&self) -> Option<Word> {
        self.between("idle-put");
        // Relaxed: ordered by the fence.
        let word = Word(self.word.load(Ordering::Relaxed));
        (!word.is_enough_for(self.workers)).then_some(word)
    }

    /// Whether what came from outside shall not wait for one that is awake.
    fn is_overdue(&self, backlog: impl Fn() -> usize) -> bool {
        // Relaxed: as in `kept`.
        match self.watch.load(Ordering::Relaxed) {
            NOBODY => {
                let called = !self.is_taken_soon(backlog) && self.call();
                if called {
                    // Between the call and the look at the word in `claim`: see `is_called`.
                    self.between("idle-put");
                }
                return called;
            }
            // Whoever called it has woken one that will have looked for work before it watches.
            CALLED => return false,
            _ => {}
        }
        // Relaxed: a look that is missed is made up for by the next one, or by the watcher.
        let patience = self.outside.patience.load(Ordering::Relaxed);
        if patience == 0 {
            return !self.is_taken_soon(backlog);
        }
        let posts = self.outside.posts.load(Ordering::Relaxed).wrapping_add(1);
        self.outside.posts.store(posts, Ordering::Relaxed);
        let is_overdue =
            posts.is_multiple_of(patience.min(POSTS_A_LOOK)) && backlog() > patience as usize;
        if is_overdue {
            self.watch_is_of_use();
        }
        is_overdue
    }

    /// Looks on, in who put in, for less than the call would cost that wakes another: who is at work may just be done. A thread that waits for answers
    /// puts the next in while the worker that answered still turns round.
    #[cold]
    fn is_taken_soon(&self, backlog: impl Fn() -> usize) -> bool {
        // Relaxed: a count that may be a little off.
        let spared = self.outside.spared.load(Ordering::Relaxed);
        if spared >= self.outside.allowance.load(Ordering::Relaxed) {
            return false;
        }
        // Relaxed: behind the fence of `needs_waking`. Whoever searches now finds it, or sees to it that somebody looks.
        let searched = || Word(self.word.load(Ordering::Relaxed)).searching() > 0;
        let is_taken = || searched() || backlog() == 0;
        let is_taken = look_on::look_on(now(), TURNING_ROUND, is_taken, |_| false);
        if is_taken {
            self.outside.spared.store(spared + 1, Ordering::Relaxed);
        }
        is_taken
    }

    /// How often something came from outside while there was patience.
    pub(super) fn posts(&self) -> u32 {
        // Relaxed: compared with a later look.
        self.outside.posts.load(Ordering::Relaxed)
    }

    /// The watcher tells how many that came from outside may wait. Zero: it does not look often enough for any.
    pub(super) fn set_patience(&self, patience: u32) {
        // Relaxed: who misses the change waits for the watcher's next look.
        if self.outside.patience.load(Ordering::Relaxed) != patience {
            self.outside.patience.store(patience, Ordering::Relaxed);
        }
        if self.outside.spared.load(Ordering::Relaxed) > 0 {
            self.outside.spared.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a sleeper watches, as far as known.
    pub(super) fn is_watched(&self) -> bool {
        // Relaxed: which sleeper is woken is a matter of speed alone.
        self.watch.load(Ordering::Relaxed) == WATCHED
    }

    /// A watcher saw nothing that would have needed one, and left.
    pub(super) fn watched_in_vain(&self) {
        // Relaxed, and below: a guess that nobody else counts on.
        let allowance = self.outside.allowance.load(Ordering::Relaxed);
        let twice = (2 * allowance).min(LARGEST_ALLOWANCE);
        self.outside.allowance.store(twice, Ordering::Relaxed);
        self.outside.spared.store(0, Ordering::Relaxed);
    }

    /// There is more to do than those at work can.
    pub(super) fn watch_is_of_use(&self) {
        if self.outside.allowance.load(Ordering::Relaxed) > FIRST_ALLOWANCE {
            self.outside
                .allowance
                .store(FIRST_ALLOWANCE, Ordering::Relaxed);
        }
    }

    /// Whether all that are awake search.
    pub(super) fn is_nobody_at_work(&self) -> bool {
        // Relaxed: a guess, by which one looks on for a while or not.
        Word(self.word.load(Ordering::Relaxed)).at_work() == 0
    }

    /// Whether the caller, which is awake, is so alone.
    fn is_alone(&self) -> bool {
        // Relaxed: ordered by the fence of `leave_watch`, or a guess.
        Word(self.word.load(Ordering::Relaxed)).awake() == 1
    }

    /// As `claim_sleeper`, from the worker itself: where there is one worker, that one is awake.
    #[inline]
    pub(super) fn claim_other(&self) -> bool {
        self.workers > 1 && self.claim_sleeper()
    }

    #[cold]
    fn claim(&self, mut word: Word) -> bool {
        if word.awake() == 0 {
            self.lull.end();
        }
        loop {
            let to = word.0 + ONE_SEARCHING + ONE_AWAKE;
            // Relaxed: what the sleeper is to find it finds by the semaphore's ordering.
            match self
                .word
                .compare_exchange(word.0, to, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(actual) => word = Word(actual),
            }
            if word.is_enough_for(self.workers) {
                return false;
            }
        }
    }

    /// A worker at work has nothing left. False: enough others search. The last one at work searches too: those others may just have been woken, and
    /// be on their way for longer than it takes until there is something.
    pub(super) fn begin_search(&self) -> bool {
        // Relaxed: only a bound on how many search, which may be passed by those that race here.
        let word = Word(self.word.load(Ordering::Relaxed));
        if 2 * word.searching() >= self.workers && word.at_work() > 1 {
            return false;
        }
        self.word.fetch_add(ONE_SEARCHING, Ordering::Relaxed);
        true
    }

    /// A searching worker has found something. True: nobody searches any more, so the caller must look whether there is more.
    pub(super) fn end_search(&self) -> bool {
        // AcqRel: pairs with itself and with the one in `fall_asleep`. Of two that stop searching together only the last one looks for the others;
        // what the first one's search came behind is thereby seen by the last one, who looks in its place.
        let before = Word(self.word.fetch_sub(ONE_SEARCHING, Ordering::AcqRel));
        self.between("idle-end-search");
        before.searching() == 1
    }

    /// A worker is about to sleep. Afterwards it must look whether there is work.
    pub(super) fn fall_asleep(&self, searching: bool) {
        let searching = if searching { ONE_SEARCHING } else { 0 };
        // AcqRel: as in `end_search`; the fence orders it before what is looked at afterwards.
        self.word.fetch_sub(ONE_AWAKE + searching, Ordering::AcqRel);
        self.between("idle-sleep");
    }

    /// A worker that was about to sleep, or slept, has found work by itself.
    pub(super) fn wake_self(&self) {
        // Relaxed: as in `fall_asleep`, but nobody concludes anything from one more.
        self.word.fetch_add(ONE_AWAKE, Ordering::Relaxed);
        self.woken();
    }

    /// A worker is awake again, and may keep things to itself.
    pub(super) fn woken(&self) {
        // Behind the change of the word, before `watch` is read in `kept`: pairs with the fence in `leave_watch`, so that one
        // of the two sees the other.
        self.between("idle-woken");
    }

    /// To be called after a worker kept something to itself. True: the caller must signal the semaphore, once. Who takes what is kept before anything else, as
    /// `is_next` tells, needs nobody for it.
    #[inline]
    pub(super) fn kept(&self, is_next: impl FnOnce() -> bool) -> bool {
        // Relaxed: who misses that a watcher leaves is found by its last look. Any other missed change delays what is kept, and no longer than its worker keeps it.
        let watched = self.workers == 1 || self.watch.load(Ordering::Relaxed) != NOBODY;
        !watched && !is_next() && self.call_watch()
    }

    #[cold]
    fn call_watch(&self) -> bool {
        self.call() && self.claim_sleeper()
    }

    /// Calls for a watcher, where there is none. True: the caller did, and sees to it that somebody comes.
    fn call(&self) -> bool {
        // Relaxed: as in `kept`.
        self.watch
            .compare_exchange(NOBODY, CALLED, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether the caller, which is about to sleep, shall watch those that are awake.
    pub(super) fn take_watch(&self) -> bool {
        // Relaxed: whoever falls asleep later looks again.
        let mut watch = self.watch.load(Ordering::Relaxed);
        loop {
            if watch == WATCHED || (watch == NOBODY && self.all_asleep()) {
                return false;
            }
            let to = if self.all_asleep() { NOBODY } else { WATCHED };
            // Relaxed: nothing is published with it.
            match self
                .watch
                .compare_exchange(watch, to, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) if to == WATCHED => return true,
                Ok(_) => {
                    // SeqCst: pairs with the one in `woken`.
                    fence(Ordering::SeqCst);
                    watch = NOBODY;
                }
                Err(actual) => watch = actual,
            }
        }
    }

    /// The watcher has something to do: the next one to fall asleep watches. Then, and behind the change of the word, it asks `is_called`. Who has left the
    /// watch, and would have looked a last time, calls for another one, unless somebody watches.
    pub(super) fn pass_watch(&self, has_left: bool) {
        if has_left {
            self.call();
        } else {
            // Relaxed: only the watcher leaves `WATCHED`, and whoever falls asleep later looks again.
            self.watch.store(CALLED, Ordering::Relaxed);
        }
    }

    /// As `pass_watch`, of a watcher that was woken and counted as awake. Alone it leaves the watch: to wake one for it, who may not be
    /// needed, is left to whoever keeps something, or puts in from outside.
    pub(super) fn pass_watch_if_needed(&self, has_left: bool) {
        if !self.is_alone() {
            return self.pass_watch(has_left);
        }
        if has_left {
            // SeqCst: as in `leave_watch`, behind which it stands.
            fence(Ordering::SeqCst);
        } else {
            self.leave_watch();
        }
        // One whose I/O woke it meanwhile may have kept something while there was a watcher. The caller searches, and asks `is_called` when that ends.
        if !self.is_alone() && !weakened("alone-looks-again") {
            self.call();
        }
    }

    /// Whether there should be a watcher and is none.
    pub(super) fn is_called(&self) -> bool {
        // Relaxed: ordered by the fences of `end_search` and `woken`, which pair with the one in `claim_sleeper` behind the call: who called saw nobody
        // searching, or this sees the call.
        self.watch.load(Ordering::Relaxed) == CALLED
    }

    /// The watcher stops watching: all sleep, or all but itself, which was woken; or it has seen nothing for a while, and looks once more later.
    pub(super) fn leave_watch(&self) {
        // Relaxed: ordered by the fence.
        self.watch.store(NOBODY, Ordering::Relaxed);
        // SeqCst: pairs with the one in `woken`: one that wakes and keeps something sees `NOBODY`, or the caller sees it awake. One that was awake before has no
        // such fence: for that the last look is one stretch later.
        fence(Ordering::SeqCst);
    }

    /// Whether all workers sleep.
    pub(super) fn all_asleep(&self) -> bool {
        // Relaxed: ordered by the fences of the callers.
        Word(self.word.load(Ordering::Relaxed)).awake() == 0
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// One of two at work, the other asleep, and nobody watches.
    fn one_at_work() -> Idle {
        let idle = Idle::new(2);
        idle.fall_asleep(false);
        idle
    }

    #[test]
    fn what_a_worker_takes_at_once_wakes_nobody() {
        let idle = one_at_work();
        assert!(!idle.claim_for_outsider(|| 0), "it was taken");
        assert!(idle.claim_for_outsider(|| 1), "it waits");
        assert!(!idle.claim_for_outsider(|| 1), "now somebody searches");
    }

    #[test]
    fn one_who_puts_in_as_fast_as_a_worker_takes_wakes_another_in_the_end() {
        let idle = one_at_work();
        let spared = (0..1_000).take_while(|_| !idle.claim_for_outsider(|| 0));
        assert_eq!(spared.count(), FIRST_ALLOWANCE as usize);
        // Nor does a watcher without patience keep it from that; each of its looks allows as many again.
        let idle = one_at_work();
        idle.watch.store(WATCHED, Ordering::Relaxed);
        for _ in 0..2 {
            idle.set_patience(0);
            for _ in 0..FIRST_ALLOWANCE {
                assert!(!idle.claim_for_outsider(|| 0));
            }
        }
        assert!(idle.claim_for_outsider(|| 0));
    }

    #[test]
    fn watches_in_vain_allow_more_until_one_is_of_use() {
        let spared = |idle: &Idle| {
            let spared = (0..).take_while(|_| !idle.claim_for_outsider(|| 0)).count() as u32;
            idle.leave_watch();
            idle.end_search();
            idle.fall_asleep(false);
            spared
        };
        let idle = one_at_work();
        for allowance in [1, 2, 4, 8].map(|times| times * FIRST_ALLOWANCE) {
            assert_eq!(spared(&idle), allowance);
            idle.watched_in_vain();
        }
        (0..32).for_each(|_| idle.watched_in_vain());
        assert_eq!(spared(&idle), LARGEST_ALLOWANCE);
        idle.watched_in_vain();
        idle.watch_is_of_use();
        assert_eq!(spared(&idle), FIRST_ALLOWANCE);
    }

    #[test]
    fn the_last_one_at_work_searches_though_others_do() {
        let idle = Idle::new(4);
        assert!(idle.begin_search());
        assert!(idle.begin_search());
        assert!(!idle.begin_search(), "half of them do");
        idle.fall_asleep(false);
        assert!(!idle.is_nobody_at_work());
        assert!(idle.begin_search(), "the others may be on their way");
        assert!(idle.is_nobody_at_work());
    }
}
