//! A panic ends its process and nothing else.

use crate::common::{Idle, Log, Logging, gate, runtime};
use libprocess::{
    Context, FutureError, JoinError, Process, Promise, dispatch_with, post, terminate, wait,
};

/// Panics at the stage that it is told.
struct Panicking {
    at: &'static str,
    log: Log,
}

impl Process for Panicking {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("panic", |_, _, _| panic!("in a message handler"));
        assert!(self.at != "initialize", "in initialize");
    }
    fn finalize(&mut self, _cx: &mut Context<Self>) {
        self.log.add("finalize");
        assert!(self.at != "finalize", "in finalize");
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        self.log.add("drop");
        assert!(self.at != "drop", "in drop");
    }
}

#[test]
fn a_panic_in_a_handler_ends_the_process_without_finalize_and_tells_why() {
    let runtime = runtime(1);
    let (log, exits) = (Log::default(), Log::default());
    let pid = runtime
        .spawn_named(
            "fragile",
            Panicking {
                at: "",
                log: log.clone(),
            },
        )
        .unwrap();
    let linker = runtime.spawn(Logging::linked(&exits, pid));
    dispatch_with(linker, |_, _| ()).get().unwrap();
    post(pid, "panic", "");
    assert!(wait(pid).has_ended());
    dispatch_with(linker, |_, _| ()).get().unwrap();
    assert_eq!(log.entries(), ["drop"]);
    assert_eq!(
        exits.entries(),
        [
            "initialize",
            "exited fragile panicked: in a message handler"
        ]
    );
    let statistics = runtime.stats();
    assert_eq!((statistics.panicked, statistics.ended), (1, 1));
    // The only worker lives on, and the name is free.
    assert!(runtime.spawn_named("fragile", Idle).is_ok());
}

#[test]
fn a_panicking_dispatch_abandons_its_future_and_those_behind_it() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let (door, stop) = gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    door.wait_until_reached();
    let panicking = dispatch_with(pid, |_, _| -> u32 { panic!("no") });
    let behind = dispatch_with(pid, |_, _| 1);
    door.open();
    assert_eq!(panicking.get(), Err(FutureError::Abandoned));
    assert_eq!(behind.get(), Err(FutureError::Abandoned));
}

#[test]
fn a_panic_at_any_stage_leaves_the_runtime_working() {
    for (at, entries) in [
        ("initialize", vec!["drop"]),
        ("finalize", vec!["finalize", "drop"]),
        ("drop", vec!["finalize", "drop"]),
    ] {
        let runtime = runtime(1);
        let (log, exits) = (Log::default(), Log::default());
        let (door, stop) = gate();
        let busy = runtime.spawn(Idle);
        drop(dispatch_with(busy, move |_, _| stop()));
        door.wait_until_reached();
        let pid = runtime
            .spawn_named(
                at,
                Panicking {
                    at,
                    log: log.clone(),
                },
            )
            .unwrap();
        let linker = runtime.spawn(Logging::linked(&exits, pid));
        // The linker links while the process has not run.
        let linked = dispatch_with(linker, |_, _| ());
        let ended = dispatch_with(busy, move |_, _| {
            terminate(pid);
        });
        door.open();
        linked.get().unwrap();
        ended.get().unwrap();
        wait(pid);
        dispatch_with(linker, |_, _| ()).get().unwrap();
        assert_eq!(log.entries(), entries, "{at}");
        assert!(
            exits
                .entries()
                .iter()
                .any(|entry| entry.starts_with("exited")),
            "{at}"
        );
        dispatch_with(busy, |_, _| ()).get().unwrap();
        assert_eq!(runtime.stats().panicked, u64::from(at != "drop"), "{at}");
        assert!(
            runtime.spawn_named(at, Idle).is_ok(),
            "{at}: the name is not free"
        );
    }
}

#[test]
fn pending_events_whose_drops_panic_are_all_dropped() {
    struct Bomb(Log);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.add("bomb");
            panic!("in a drop");
        }
    }
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Idle);
    let (door, stop) = gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    door.wait_until_reached();
    for _ in 0..3 {
        let bomb = Bomb(log.clone());
        drop(dispatch_with(pid, move |_, _| drop(bomb)));
    }
    terminate(pid);
    door.open();
    assert!(wait(pid).has_ended());
    assert_eq!(log.entries(), ["bomb", "bomb", "bomb"]);
    dispatch_with(runtime.spawn(Idle), |_, _| ()).get().unwrap();
}

#[test]
fn a_panic_whose_payload_panics_when_dropped_is_contained() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            std::panic::panic_any(1);
        }
    }
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    drop(dispatch_with(pid, |_, _| std::panic::panic_any(Payload)));
    assert!(wait(pid).has_ended());
    dispatch_with(runtime.spawn(Idle), |_, _| ()).get().unwrap();
}

#[test]
fn joining_a_process_that_panicked_is_an_error() {
    let runtime = runtime(1);
    let handle = runtime.spawn_owned(Panicking {
        at: "",
        log: Log::default(),
    });
    post(handle.pid(), "panic", "");
    match handle.join() {
        Err(JoinError::Panicked(message)) => assert_eq!(&*message, "in a message handler"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn a_callback_that_panics_ends_the_process_that_completed_the_future() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let promise = Promise::<u8>::new();
    promise.future().on_any(|_| panic!("in a callback"));
    drop(dispatch_with(pid, move |_, _| promise.set(1)));
    assert!(wait(pid).has_ended());
    assert_eq!(runtime.stats().panicked, 1);
}
