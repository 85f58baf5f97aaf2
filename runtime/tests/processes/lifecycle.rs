//! From spawn to end: stages, their order, and the two ways to terminate.

use crate::common::{Counted, Idle, Log, Logging, gate, runtime};
use libprocess::{
    Context, FutureError, Process, SpawnError, WaitStatus, dispatch_with, post, terminate,
    terminate_with, wait,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_process_is_initialized_served_finalized_and_dropped_in_this_order() {
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Logging::new(&log));
    post(pid, "one", "");
    post(pid, "two", "");
    terminate_with(pid, false);
    // It may have ended before the wait began.
    assert!(wait(pid).has_ended());
    assert_eq!(
        log.entries(),
        [
            "initialize",
            "message one",
            "message two",
            "terminate",
            "finalize",
            "drop"
        ]
    );
}

#[test]
fn terminate_overtakes_what_is_pending_also_in_a_batch_that_was_taken() {
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Logging::new(&log));
    let (door, stop) = gate();
    // All of these are pending when the first is served, so they are in one batch with it.
    let (before, stop_before) = gate();
    drop(dispatch_with(pid, move |_, _| stop_before()));
    before.wait_until_reached();
    drop(dispatch_with(pid, move |_, _| stop()));
    post(pid, "late", "");
    let late = dispatch_with(pid, |_, _| ());
    before.open();
    door.wait_until_reached();
    terminate(pid);
    door.open();
    assert!(wait(pid).has_ended());
    assert_eq!(
        log.entries(),
        ["initialize", "terminate", "finalize", "drop"]
    );
    assert_eq!(late.get(), Err(FutureError::Abandoned));
}

#[test]
fn a_process_terminated_before_it_ran_is_initialized_first() {
    let runtime = runtime(1);
    let (door, stop) = gate();
    let busy = runtime.spawn(Idle);
    drop(dispatch_with(busy, move |_, _| stop()));
    door.wait_until_reached();
    // The only worker stands at the gate, so this one cannot have run yet.
    let log = Log::default();
    let pid = runtime.spawn(Logging::new(&log));
    terminate(pid);
    door.open();
    assert!(wait(pid).has_ended());
    assert_eq!(
        log.entries(),
        ["initialize", "terminate", "finalize", "drop"]
    );
}

#[test]
fn a_process_can_end_itself() {
    struct Suicidal(Log);
    impl Process for Suicidal {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.terminate();
        }
        fn finalize(&mut self, _cx: &mut Context<Self>) {
            self.0.add("finalize");
        }
    }
    let runtime = runtime(2);
    let log = Log::default();
    let pid = runtime.spawn(Suicidal(log.clone()));
    assert!(wait(pid).has_ended());
    assert_eq!(log.entries(), ["finalize"]);
}

#[test]
fn terminating_twice_ends_once() {
    let runtime = runtime(2);
    let log = Log::default();
    let pid = runtime.spawn(Logging::new(&log));
    for _ in 0..10 {
        terminate(pid);
        terminate_with(pid, false);
    }
    assert!(wait(pid).has_ended());
    assert_eq!(wait(pid), WaitStatus::AlreadyEnded);
    assert_eq!(
        log.entries()
            .iter()
            .filter(|entry| *entry == "finalize")
            .count(),
        1
    );
    assert_eq!(runtime.stats().ended, 1);
}

#[test]
fn pending_events_are_dropped_before_the_process_and_their_futures_abandoned() {
    struct Ending {
        log: Log,
    }
    impl Process for Ending {
        fn finalize(&mut self, _cx: &mut Context<Self>) {
            self.log.add("finalize");
        }
    }
    impl Drop for Ending {
        fn drop(&mut self) {
            self.log.add("process dropped");
        }
    }
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Ending { log: log.clone() });
    let (door, stop) = gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    door.wait_until_reached();
    let pending = dispatch_with(pid, |_, _| 1);
    let observed = log.clone();
    pending.on_abandoned(move || observed.add("pending: abandoned"));
    terminate(pid);
    door.open();
    assert!(wait(pid).has_ended());
    assert_eq!(
        log.entries(),
        ["finalize", "pending: abandoned", "process dropped"]
    );
}

#[test]
fn what_is_sent_to_oneself_in_finalize_is_dropped() {
    struct Chatty(Arc<AtomicUsize>);
    impl Process for Chatty {
        fn finalize(&mut self, cx: &mut Context<Self>) {
            let counted = Counted::new(&self.0);
            drop(dispatch_with(cx.pid(), move |_, _| drop(counted)));
        }
    }
    let runtime = runtime(1);
    let alive = Arc::new(AtomicUsize::new(0));
    let pid = runtime.spawn(Chatty(Arc::clone(&alive)));
    terminate(pid);
    assert!(wait(pid).has_ended());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(runtime.stats().dead_letters, 1);
}

#[test]
fn a_name_in_use_is_an_error_that_gives_the_process_back() {
    let runtime = runtime(1);
    let log = Log::default();
    let first = runtime.spawn_named("unique", Logging::new(&log)).unwrap();
    let error = runtime
        .spawn_named("unique", Logging::new(&log))
        .unwrap_err();
    assert!(error.to_string().contains("`unique`"), "{error}");
    assert!(matches!(error, SpawnError::NameInUse { .. }));
    let back = error.into_process();
    terminate(first);
    assert!(wait(first).has_ended());
    let second = runtime
        .spawn_named("unique", back)
        .expect("the name is free again");
    assert_ne!(first.upid(), second.upid());
}

#[test]
fn a_name_that_could_not_be_addressed_is_refused() {
    let runtime = runtime(1);
    for name in ["", "a/b", "a@b"] {
        let error = runtime.spawn_named(name, Idle).unwrap_err();
        assert!(
            matches!(error, SpawnError::BadName { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn processes_that_follow_each_other_in_a_slot_have_different_pids() {
    let runtime = runtime(1);
    let mut last = None;
    for _ in 0..2_000 {
        let pid = runtime.spawn(Idle);
        assert_ne!(Some(pid), last);
        terminate(pid);
        wait(pid);
        last = Some(pid);
    }
    assert_eq!(runtime.stats().ended, 2_000);
}

/// A process that ends itself sends nothing to itself, which nobody shall notice: it counts as waiting, and is served with the process as its sender.
#[test]
fn ending_oneself_is_a_terminate_like_any_other() {
    #[derive(Default)]
    struct Own {
        waiting: usize,
        asked_by: Option<libprocess::Upid>,
    }
    impl Process for Own {
        fn consume_message(&mut self, _event: libprocess::MessageEvent, cx: &mut Context<Self>) {
            assert_eq!(cx.event_count(libprocess::EventKind::Terminate), 0);
            cx.terminate();
            self.waiting = cx.event_count(libprocess::EventKind::Terminate);
        }
        fn consume_terminate(
            &mut self,
            event: libprocess::TerminateEvent,
            _cx: &mut Context<Self>,
        ) {
            self.asked_by = Some(event.from);
        }
    }

    let runtime = runtime(1);
    let own = runtime.spawn_owned(Own::default());
    let pid = own.pid();
    post(pid, "go", "");
    // Not `join`, which would ask it to end too.
    assert!(wait(pid).has_ended());
    let own = own.join().unwrap();
    assert_eq!((own.waiting, own.asked_by), (1, Some(pid.upid())));
    let statistics = runtime.stats();
    assert_eq!(
        (statistics.events.terminate, statistics.dead_letters),
        (1, 0)
    );
    assert_eq!((statistics.spawned, statistics.ended), (1, 1));
}

/// Who sees that nobody is alive sees the names free.
#[test]
fn a_name_is_free_before_its_process_is_counted_out() {
    let runtime = runtime(1);
    for _ in 0..2_000 * crate::common::scale() {
        let named = runtime
            .spawn_named("named", crate::common::Idle)
            .expect("the name is free");
        runtime.terminate(named);
        while runtime.stats().alive > 0 {
            std::hint::spin_loop();
        }
    }
}
