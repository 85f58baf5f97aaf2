//! Processes that would wait for each other for ever: the one that closes the circle is told, and nobody else ever is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Idle, lock, runtime};
use libprocess::{
    Context, DispatchEvent, Future, FutureError, JoinError, Pid, Process, Promise, Runtime,
    WaitCycle, WaitStatus, dispatch_with, spawn_owned, terminate, wait,
};

/// Waits until so many handlers have blocked since the runtime started.
fn until_blocked(runtime: &Runtime, times: u64) {
    while runtime.stats().blocked < times {
        std::thread::yield_now();
    }
}

/// What an error calls it: its runtime was not asked where it is.
fn known(pid: Pid<Idle>) -> String {
    format!("{}@0.0.0.0:0", pid.upid().id().expect("it is alive"))
}

#[test]
fn a_process_that_would_wait_for_its_own_answer_is_told() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let result = dispatch_with(pid, |_, cx| dispatch_with(cx.pid(), |_, _| 1).get());
    let Ok(Err(FutureError::WaitCycle(cycle))) = result.get() else {
        panic!("not refused");
    };
    assert_eq!(cycle.processes(), [pid.upid()]);
    let text = cycle.to_string();
    let pid_text = known(pid);
    assert!(
        text.contains(&format!("{pid_text} would wait for itself")),
        "{text}"
    );
    assert_eq!(dispatch_with(pid, |_, _| 7).get(), Ok(7), "it goes on");
}

type Answer = Result<u32, FutureError>;

/// Each asks the next, in its handler.
fn ask(pids: &[Pid<Idle>]) -> Answer {
    match pids {
        [] => Ok(0),
        [next, rest @ ..] => {
            let rest = rest.to_vec();
            dispatch_with(*next, move |_, _| ask(&rest)).get()?
        }
    }
}

#[test]
fn the_last_of_a_circle_is_told_who_is_in_it_and_the_others_go_on() {
    // One, so that each sleeps before the next one runs.
    let runtime = runtime(1);
    let [a, b, c] = [(); 3].map(|()| runtime.spawn(Idle));
    let Err(FutureError::WaitCycle(cycle)) = ask(&[a, b, c, a]) else {
        panic!("not refused");
    };
    assert_eq!(cycle.processes(), [c.upid(), a.upid(), b.upid()]);
    let text = cycle.to_string();
    let [a_text, b_text, c_text] = [a, b, c].map(known);
    let expected = format!(
        "{c_text} would wait for {a_text}, which waits for {b_text}, which waits for the first; use `then`"
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(ask(&[c, b, a]), Ok(0), "the other way round is no circle");
}

#[test]
fn a_wait_for_a_process_that_waits_for_an_answer_is_refused() {
    let runtime = runtime(1);
    let [a, b] = [(); 2].map(|()| runtime.spawn(Idle));
    let status = dispatch_with(a, move |_, cx| {
        let a = cx.pid();
        dispatch_with(b, move |_, _| wait(a)).get()
    });
    assert_eq!(status.get(), Ok(Ok(WaitStatus::WaitCycle)));
    assert!(!WaitStatus::WaitCycle.has_ended());
}

#[test]
fn processes_of_two_runtimes_are_told_too() {
    let (one, other) = (runtime(1), runtime(1));
    let (a, b) = (one.spawn(Idle), other.spawn(Idle));
    assert!(matches!(ask(&[a, b, a]), Err(FutureError::WaitCycle(_))));
}

#[test]
fn a_join_or_a_drop_of_a_handle_that_would_never_return_does() {
    let runtime = runtime(1);
    let a = runtime.spawn_owned(Idle);
    let (b, for_b) = (runtime.spawn(Idle), a.pid());
    let joined = dispatch_with(for_b, move |_, _| {
        dispatch_with(b, move |_, _| a.join().err()).get()
    });
    assert_eq!(joined.get(), Ok(Ok(Some(JoinError::WaitCycle))));

    let c = runtime.spawn_owned(Idle);
    let for_b = c.pid();
    let dropped = dispatch_with(for_b, move |_, _| {
        dispatch_with(b, move |_, _| drop(c)).get()
    });
    assert_eq!(dropped.get(), Ok(Ok(())));
    assert!(wait(for_b).has_ended(), "the drop asked it to");
}

#[test]
fn a_process_that_waits_while_it_ends_is_told() {
    type Seen = Arc<Mutex<Option<Result<WaitStatus, FutureError>>>>;
    struct Ending(Pid<Idle>, Seen);
    impl Process for Ending {
        fn finalize(&mut self, cx: &mut Context<Self>) {
            let me = cx.pid();
            // The other waits for our end.
            let result = dispatch_with(self.0, move |_, _| wait(me)).get();
            *lock(&self.1) = Some(result);
        }
    }
    let runtime = runtime(1);
    let seen = Seen::default();
    let ending = runtime.spawn(Ending(runtime.spawn(Idle), Arc::clone(&seen)));
    terminate(ending);
    assert!(wait(ending).has_ended());
    assert_eq!(*lock(&seen), Some(Ok(WaitStatus::WaitCycle)));
}

// ---- never a false report ----

#[test]
fn an_answer_that_is_another_future_makes_no_circle() {
    let runtime = runtime(2);
    let [a, b] = [(); 2].map(|()| runtime.spawn(Idle));
    let promise = Promise::<u32>::new();
    let future = promise.future();
    let first = dispatch_with(a, move |_, _| dispatch_with(b, move |_, _| future).get());
    until_blocked(&runtime, 1);
    // `b` has answered, with a future that the test completes: it waits for `a`, not the other way round too.
    let second = dispatch_with(b, move |_, _| dispatch_with(a, |_, _| 2).get());
    until_blocked(&runtime, 2);
    assert!(first.is_pending() && second.is_pending());
    promise.set(1);
    assert_eq!((first.get(), second.get()), (Ok(Ok(1)), Ok(Ok(2))));
}

#[test]
fn a_dispatch_that_was_put_aside_makes_no_circle() {
    type Kept = Arc<Mutex<Option<DispatchEvent<Keeping>>>>;
    struct Keeping(Kept, u32);
    impl Process for Keeping {
        fn consume_dispatch(&mut self, event: DispatchEvent<Self>, cx: &mut Context<Self>) {
            self.1 += 1;
            match self.1 {
                1 => *lock(&self.0) = Some(event),
                _ => event.run(self, cx),
            }
        }
    }
    let runtime = runtime(2);
    let kept = Kept::default();
    let (a, b) = (
        runtime.spawn(Idle),
        runtime.spawn(Keeping(Arc::clone(&kept), 0)),
    );
    let first = dispatch_with(a, move |_, _| dispatch_with(b, |_, _| 1).get());
    until_blocked(&runtime, 1);
    while lock(&kept).is_none() {
        std::thread::yield_now();
    }
    let second = dispatch_with(b, move |_, _| dispatch_with(a, |_, _| 2).get());
    until_blocked(&runtime, 2);
    drop(lock(&kept).take());
    assert_eq!(first.get(), Ok(Err(FutureError::Abandoned)));
    assert_eq!(second.get(), Ok(Ok(2)));
}

#[test]
fn who_waits_for_a_time_only_makes_no_circle() {
    let runtime = runtime(2);
    let [a, b] = [(); 2].map(|()| runtime.spawn(Idle));
    let first = dispatch_with(a, move |_, cx| {
        let a = cx.pid();
        let of_b: Future<Answer> = dispatch_with(b, move |_, _| dispatch_with(a, |_, _| 1).get());
        of_b.get_timeout(Duration::from_millis(20))
    });
    assert_eq!(first.get(), Ok(Err(FutureError::TimedOut)));
    assert_eq!(ask(&[a, b]), Ok(0));
}

#[test]
fn a_chain_makes_no_circle() {
    // What `then` gives may be completed by others; so may a promise.
    let runtime = runtime(2);
    let pid = runtime.spawn(Idle);
    let promise = Promise::<u32>::new();
    let other = promise.future();
    let result = dispatch_with(pid, move |_, cx| {
        let own = dispatch_with(cx.pid(), |_, _| 1);
        libprocess::select(vec![own, other]).get().map(|_| ())
    });
    until_blocked(&runtime, 1);
    promise.set(3);
    assert_eq!(result.get(), Ok(Ok(())));
}

/// A process that asks others from its handlers.
struct Asking(Arc<Vec<Pid<Asking>>>);
impl Process for Asking {}

impl Asking {
    /// Asks one of those that `choose` finds, and has it go on so.
    fn ask(
        &mut self,
        me: usize,
        depth: u32,
        seed: u64,
        choose: fn(usize, u64) -> Option<usize>,
    ) -> Result<u32, WaitCycle> {
        // Knuth's MMIX generator.
        let seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let Some(next) = choose(me, seed >> 33).filter(|_| depth > 0) else {
            return Ok(0);
        };
        let asked = dispatch_with(self.0[next], move |other, _| {
            other.ask(next, depth - 1, seed, choose)
        });
        match asked.get() {
            Ok(deeper) => Ok(1 + deeper?),
            Err(FutureError::WaitCycle(cycle)) => {
                assert_eq!(cycle.processes()[0], self.0[me].upid());
                Err(cycle)
            }
            // Who is refused leaves a dispatch behind that nobody waits for. It may still run when the runtime shuts down.
            Err(FutureError::Abandoned) => Ok(0),
            Err(error) => panic!("{error}"),
        }
    }
}

const ASKING: usize = 6;

/// Has processes ask each other, many at a time. Gives how many were answered, and how many were refused.
fn ask_each_other(workers: usize, choose: fn(usize, u64) -> Option<usize>) -> (u64, u64) {
    let runtime = runtime(workers);
    let spawned = (0..ASKING).map(|_| runtime.spawn(Asking(Arc::default())));
    let all: Arc<Vec<_>> = Arc::new(spawned.collect());
    for pid in all.iter() {
        let all = Arc::clone(&all);
        dispatch_with(*pid, move |asking, _| asking.0 = all)
            .get()
            .unwrap();
    }
    let (mut answered, mut refused) = (0, 0);
    let rounds = 60 * crate::common::scale() as u64;
    for round in 0..rounds {
        let asked: Vec<_> = (0..ASKING * 3)
            .map(|number| {
                let (me, seed) = (number % ASKING, round * 1_000 + number as u64);
                dispatch_with(all[me], move |asking, _| asking.ask(me, 4, seed, choose))
            })
            .collect();
        for future in asked {
            // Not one hangs.
            match future.get_timeout(crate::common::HANG).expect("an answer") {
                Ok(_) => answered += 1,
                Err(_) => refused += 1,
            }
        }
    }
    for pid in all.iter() {
        assert_eq!(
            dispatch_with(*pid, |_, _| 7).get_timeout(crate::common::HANG),
            Ok(7)
        );
    }
    (answered, refused)
}

#[test]
fn where_there_can_be_no_circle_nobody_is_ever_refused() {
    for workers in [1, 2] {
        let upwards = |me: usize, random: u64| {
            let above = ASKING - 1 - me;
            (above > 0).then(|| me + 1 + random as usize % above)
        };
        let (answered, refused) = ask_each_other(workers, upwards);
        assert_eq!(refused, 0);
        assert!(answered > 0);
    }
}

#[test]
fn where_there_are_circles_everybody_goes_on() {
    for workers in [1, 2] {
        let anybody = |_: usize, random: u64| Some(random as usize % ASKING);
        let (answered, refused) = ask_each_other(workers, anybody);
        assert!(refused > 0, "no circle was closed in {answered} attempts");
    }
}

#[test]
fn an_owned_process_may_still_wait_for_what_ends() {
    let runtime = runtime(1);
    let owned = spawn_owned(Idle);
    let other = runtime.spawn(Idle);
    let status = dispatch_with(other, move |_, _| {
        owned.terminate();
        wait(owned.pid())
    });
    assert!(status.get().unwrap().has_ended());
}
