//! The test kit: filters, injected exits.

use std::time::Duration;

use crate::common::{Log, runtime};
use libprocess::testing::{Filtered, dispatches, exits, inject, messages};
use libprocess::{
    Context, DispatchIdentity, Pid, Process, Runtime, Upid, assert_pending, await_abandoned,
    await_ready, dispatch, dispatch_with, terminate, terminate_with, wait,
};

struct Logging {
    log: Log,
}

impl Process for Logging {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("func", |logging, event, _cx| {
            let body = String::from_utf8_lossy(&event.body).into_owned();
            logging.log.add(format!("func {body}"));
        });
    }

    fn exited(&mut self, _pid: &Upid, _cx: &mut Context<Self>) {
        self.log.add("exited");
    }
}

impl Logging {
    fn method(&mut self, n: i64) -> i64 {
        self.log.add(format!("method {n}"));
        n
    }

    fn other(&mut self) {}
}

fn spawned(runtime: &Runtime) -> (Pid<Logging>, Log) {
    let log = Log::default();
    (runtime.spawn(Logging { log: log.clone() }), log)
}

fn served(pid: Pid<Logging>) {
    await_ready!(dispatch_with(pid, |_, _| ()));
}

#[test]
fn a_watched_message_is_seen_and_served() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let seen = messages().named("func").to(pid).watch_next(&runtime);
    runtime.post(pid, "another", "");
    served(pid);
    assert_pending!(seen);
    runtime.post(pid, "func", "1");
    let message = await_ready!(seen);
    assert_eq!((&*message.name, &message.body[..]), ("func", &b"1"[..]));
    served(pid);
    assert_eq!(log.entries(), ["func 1"]);
}

#[test]
fn a_dropped_message_is_seen_and_not_served_and_only_one_is() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let (other, others_log) = spawned(&runtime);
    let dropped = messages().named("func").to(pid).drop_next(&runtime);
    runtime.post(other, "func", "0");
    runtime.post(pid, "func", "1");
    runtime.post(pid, "func", "2");
    served(pid);
    served(other);
    assert_eq!(await_ready!(dropped).body, "1");
    assert_eq!(log.entries(), ["func 2"]);
    assert_eq!(others_log.entries(), ["func 0"]);
}

#[test]
fn messages_are_matched_by_their_sender() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let (sender, _) = spawned(&runtime);
    let dropping = messages().from(sender).to(pid).drop_all(&runtime);
    for _ in 0..3 {
        await_ready!(dispatch_with(sender, move |_, cx| cx.send(
            pid,
            "func",
            "from a process"
        )));
    }
    runtime.post(pid, "func", "from nobody");
    served(pid);
    assert_eq!(dropping.seen(), 3);
    assert_eq!(log.entries(), ["func from nobody"]);
    drop(dropping);
    await_ready!(dispatch_with(sender, move |_, cx| cx.send(pid, "func", "again")));
    served(pid);
    assert_eq!(log.entries(), ["func from nobody", "func again"]);
}

#[test]
fn a_dropped_dispatch_is_never_run_and_its_future_abandoned() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let dropped = dispatches().of(Logging::method).to(pid).drop_next(&runtime);
    await_ready!(dispatch(pid, Logging::other, ()));
    assert_pending!(dropped);
    await_abandoned!(dispatch(pid, Logging::method, (1,)));
    let identity = await_ready!(dropped);
    assert!(
        matches!(identity, DispatchIdentity::Method { name, .. } if name.ends_with("Logging::method"))
    );
    assert_eq!(await_ready!(dispatch(pid, Logging::method, (2,))), 2);
    assert_eq!(log.entries(), ["method 2"]);
}

#[test]
fn a_watched_dispatch_is_seen_before_it_is_served() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let seen = dispatches().of(Logging::method).watch_next(&runtime);
    let before = log.clone();
    let seen = seen.then(move |_| before.entries().len());
    assert_eq!(await_ready!(dispatch(pid, Logging::method, (1,))), 1);
    assert_eq!(await_ready!(seen), 0);
}

#[test]
fn a_held_event_is_served_when_it_is_released() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let held = dispatches().of(Logging::method).hold_next(&runtime);
    let first = dispatch(pid, Logging::method, (1,));
    assert_eq!(await_ready!(dispatch(pid, Logging::method, (2,))), 2);
    assert_pending!(first);
    assert!(await_ready!(held).release());
    assert_eq!(await_ready!(first), 1);
    assert_eq!(log.entries(), ["method 2", "method 1"]);
    // A hold that is dropped drops its event.
    let held = dispatches().of(Logging::method).hold_next(&runtime);
    let lost = dispatch(pid, Logging::method, (3,));
    drop(await_ready!(held));
    await_abandoned!(lost);
}

#[test]
fn the_newest_filter_that_matches_decides() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let _dropping = messages().named("func").drop_all(&runtime);
    let seen = messages().named("func").watch_next(&runtime);
    runtime.post(pid, "func", "1");
    runtime.post(pid, "func", "2");
    served(pid);
    assert_eq!(await_ready!(seen).body, "1");
    assert_eq!(log.entries(), ["func 1"]);
}

#[test]
fn terminate_is_not_filtered() {
    let runtime = runtime(1);
    let (pid, _) = spawned(&runtime);
    let _messages = messages().drop_all(&runtime);
    let _dispatches = dispatches().drop_all(&runtime);
    let _exits = exits().drop_all(&runtime);
    terminate_with(pid, false);
    assert!(wait(pid).has_ended());
}

#[test]
fn an_exit_is_watched_dropped_and_injected() {
    let runtime = runtime(1);
    let (linker, log) = spawned(&runtime);
    let (linkee, _) = spawned(&runtime);
    await_ready!(dispatch_with(linker, move |_, cx| cx.link(linkee)));
    let seen = exits().from(linkee).to(linker).watch_next(&runtime);
    terminate(linkee);
    assert_eq!(await_ready!(seen).pid, Upid::from(linkee));
    served(linker);
    assert_eq!(log.entries(), ["exited"]);

    let (linkee, _) = spawned(&runtime);
    await_ready!(dispatch_with(linker, move |_, cx| cx.link(linkee)));
    let dropped = exits().from(linkee).to(linker).drop_next(&runtime);
    terminate(linkee);
    await_ready!(dropped);
    served(linker);
    assert_eq!(log.entries(), ["exited"]);

    let (alive, _) = spawned(&runtime);
    assert!(inject::exited(alive, linker));
    served(linker);
    assert_eq!(log.entries(), ["exited", "exited"]);
    served(alive);
    assert!(!inject::exited(alive, linkee), "it has ended");
}

#[test]
fn an_expectation_of_none_fails_only_if_one_came() {
    let runtime = runtime(1);
    let (pid, _) = spawned(&runtime);
    let none = dispatches().of(Logging::method).expect_none(&runtime);
    await_ready!(dispatch(pid, Logging::other, ()));
    drop(none);
    let none = dispatches().of(Logging::method).expect_none(&runtime);
    await_ready!(dispatch(pid, Logging::method, (1,)));
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(none)));
    assert!(failed.is_err());
}

#[test]
fn filters_are_of_one_runtime() {
    let (one, other) = (runtime(1), runtime(1));
    let (_, _) = spawned(&one);
    let (pid, log) = spawned(&other);
    let _dropping = messages().drop_all(&one);
    other.post(pid, "func", "1");
    served(pid);
    assert_eq!(log.entries(), ["func 1"]);
}

#[test]
fn a_failed_assertion_says_which_future_and_what_it_was() {
    let failed = std::panic::catch_unwind(|| {
        let slow = libprocess::Promise::<()>::new();
        await_ready!(slow.future(), Duration::from_millis(1));
    });
    let payload = failed.unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("slow.future()"), "{message}");
    assert!(message.contains("still pending after 1ms"), "{message}");
}

#[test]
fn async_blocks_go_on_whatever_is_filtered() {
    let runtime = runtime(1);
    let (promise, future) = libprocess::Promise::pair();
    let dropping = dispatches().drop_all(&runtime);
    let block = runtime.spawn_async(future);
    promise.set(1);
    assert_eq!(await_ready!(block), Ok(1));
    assert_eq!(dropping.seen(), 0);
}

#[test]
fn a_panic_in_a_callback_of_a_filter_s_future_changes_nothing_for_the_event() {
    let runtime = runtime(1);
    let (pid, log) = spawned(&runtime);
    let dropped = messages().named("func").drop_next(&runtime);
    dropped.on_ready(|_| panic!("in a callback"));
    runtime.post(pid, "func", "1");
    served(pid);
    assert!(log.entries().is_empty());
}
