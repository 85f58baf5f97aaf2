//! Foreign code in awkward places: panics in callbacks and prefixes, drops at the end, runtimes within runtimes.

use crate::common::{HANG, Idle, Log, Logging, runtime};
use libprocess::{
    BuildError, Context, FutureError, Process, Promise, Runtime, Upid, WaitStatus, dispatch_with,
    terminate, wait,
};
use std::time::Duration;

#[test]
fn a_callback_that_panics_while_a_handler_unwinds_is_contained() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let (gate, stop) = crate::common::gate();
    let failing = dispatch_with(pid, move |_, _| -> () {
        stop();
        panic!("in the handler");
    });
    gate.wait_until_reached();
    failing.on_abandoned(|| panic!("in the callback"));
    gate.open();
    assert!(wait(pid).has_ended());
    dispatch_with(runtime.spawn(Idle), |_, _| ()).get().unwrap();
}

#[test]
fn a_callback_that_panics_does_not_keep_the_others_from_running() {
    let log = Log::default();
    let promise = Promise::new();
    let future = promise.future();
    let (first, last) = (log.clone(), log.clone());
    future.on_any(move |_| first.add("first"));
    future.on_any(|_| panic!("in the second"));
    future.on_any(move |_| last.add("last"));
    let set = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| promise.set(5)));
    assert!(set.is_err(), "the panic goes on in who completes");
    assert_eq!(log.entries(), ["first", "last"]);
    assert_eq!(future.get_timeout(HANG), Ok(5));
}

#[test]
fn a_dispatcher_s_callback_that_panics_does_not_end_the_process() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let (gate, stop) = crate::common::gate();
    let future = dispatch_with(pid, move |_, _| stop());
    gate.wait_until_reached();
    future.on_any(|_| panic!("the dispatcher's own"));
    gate.open();
    assert_eq!(dispatch_with(pid, |_, _| 1).get(), Ok(1));

    // A method's dispatcher is no better.
    let (gate, stop) = crate::common::gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    gate.wait_until_reached();
    let future = libprocess::dispatch(pid, |_: &mut Idle| (), ());
    future.on_any(|_| panic!("the dispatcher's own"));
    gate.open();
    assert_eq!(dispatch_with(pid, |_, _| 1).get(), Ok(1));
    assert_eq!(runtime.stats().panicked, 0);
}

#[test]
fn a_prefix_that_panics_costs_no_worker() {
    struct Nameless;
    impl Process for Nameless {
        fn prefix() -> &'static str {
            panic!("in prefix");
        }
    }
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Nameless);
    let linker = runtime.spawn(Logging::linked(&log, pid));
    dispatch_with(linker, |_, _| ()).get().unwrap();
    terminate(pid);
    assert!(wait(pid).has_ended());
    dispatch_with(linker, |_, _| ()).get().unwrap();
    assert!(
        log.entries()[1].starts_with("exited Nameless("),
        "{:?}",
        log.entries()
    );
}

#[test]
fn an_owned_value_is_dropped_when_the_drop_of_its_handle_returns() {
    let runtime = runtime(2);
    for _ in 0..2_000 {
        let log = Log::default();
        drop(runtime.spawn_owned(Logging::new(&log)));
        assert_eq!(log.entries().last().map(String::as_str), Some("drop"));
    }
}

#[test]
fn an_owned_value_whose_handle_is_gone_is_dropped_before_anybody_hears_of_the_end() {
    let runtime = runtime(2);
    for _ in 0..500 {
        let log = Log::default();
        let handle = runtime.spawn_owned(Logging::new(&log));
        let pid = handle.pid();
        // Dropped by its own process, the handle cannot wait.
        drop(dispatch_with(pid, move |_, _| drop(handle)));
        assert!(wait(pid).has_ended());
        assert_eq!(log.entries().last().map(String::as_str), Some("drop"));
    }
}

#[test]
fn an_owned_value_that_panics_when_dropped_costs_no_worker() {
    struct Bomb;
    impl Process for Bomb {}
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let runtime = runtime(1);
    let handle = runtime.spawn_owned(Bomb);
    let pid = handle.pid();
    drop(dispatch_with(pid, move |_, _| drop(handle)));
    assert!(wait(pid).has_ended());
    dispatch_with(runtime.spawn(Idle), |_, _| ()).get().unwrap();
}

#[test]
fn a_runtime_can_be_dropped_by_a_process_of_another_that_it_needs() {
    struct Asking(libprocess::Pid<Idle>, Log);
    impl Process for Asking {
        fn finalize(&mut self, _cx: &mut Context<Self>) {
            let answer = dispatch_with(self.0, |_, _| "answered").get_timeout(HANG);
            self.1.add(answer.unwrap_or("not answered"));
        }
    }
    let (one, other) = (runtime(1), runtime(1));
    let log = Log::default();
    let needed = other.spawn(Idle);
    one.spawn(Asking(needed, log.clone()));
    let dropping = other.spawn(Idle);
    dispatch_with(dropping, move |_, _| drop(one))
        .get()
        .unwrap();
    assert_eq!(log.entries(), ["answered"]);
}

#[test]
fn a_runtime_s_methods_take_an_address_for_their_own() {
    let (one, other) = (runtime(1), runtime(1));
    let here = one.spawn_named("same", Idle).unwrap();
    let there = other.spawn_named("same", Idle).unwrap();
    let address: Upid = here.to_string().parse().unwrap();
    one.post(&address, "hello", "");
    one.terminate_with(&address, false);
    assert!(one.wait(&address).has_ended());
    assert_eq!(one.stats().events.messages, 1);
    assert_eq!(
        other.wait_timeout(there, Duration::from_millis(1)),
        WaitStatus::TimedOut
    );
    one.post(&address, "too late", "");
    assert_eq!(one.stats().last_dead_letters[0].to, address);
}

#[test]
fn a_get_is_not_refused_below_the_limit() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_blocked_threads(1)
        .build()
        .unwrap();
    let (asking, answering) = (runtime.spawn(Idle), runtime.spawn(Idle));
    for number in 0..2_000 {
        let answer = dispatch_with(asking, move |_, _| {
            dispatch_with(answering, move |_, _| number).get()
        });
        assert_eq!(answer.get(), Ok(Ok(number)));
    }
    assert!(runtime.stats().blocked > 0, "no thread ever blocked");
}

#[test]
fn no_limit_and_a_limit_of_none_are_limits_too() {
    let ask = |limit| {
        let runtime = Runtime::builder()
            .workers(1)
            .max_blocked_threads(limit)
            .build()
            .unwrap();
        let (asking, answering) = (runtime.spawn(Idle), runtime.spawn(Idle));
        let (gate, stop) = crate::common::gate();
        let answer = dispatch_with(asking, move |_, _| {
            stop();
            dispatch_with(answering, |_, _| 1).get()
        });
        gate.wait_until_reached();
        gate.open();
        answer.get().unwrap()
    };
    assert_eq!(ask(usize::MAX), Ok(1));
    assert_eq!(
        ask(0),
        Err(FutureError::TooManyBlocked(libprocess::TooManyBlocked))
    );
}

#[test]
fn a_builder_refuses_what_the_operating_system_could_not_take() {
    let error = Runtime::builder()
        .semaphore_slots(usize::MAX)
        .build()
        .unwrap_err();
    assert!(matches!(
        error,
        BuildError::TooManySemaphoreSlots {
            slots: usize::MAX,
            ..
        }
    ));
    let error = Runtime::builder().name("a\0b").build().unwrap_err();
    assert!(matches!(error, BuildError::Name { .. }));
}
