//! Links: `exited`, exactly once, in order, whatever races.

use crate::common::serving::until;
use crate::common::{HANG, Idle, Log, Logging, runtime, scale};
use libprocess::{
    Context, ExitedEvent, MessageEvent, Process, Upid, dispatch_with, post, spawn_named, terminate,
    wait,
};
use std::sync::mpsc::{Sender, channel};

#[test]
fn a_linked_process_hears_of_the_end_once_however_often_it_linked() {
    let runtime = runtime(2);
    let log = Log::default();
    let linkee = runtime.spawn_named("linkee", Idle).unwrap();
    let linker = runtime.spawn(Logging::linked(&log, linkee));
    dispatch_with(linker, move |_, cx| {
        cx.link(linkee);
        cx.link(linkee);
    })
    .get()
    .unwrap();
    terminate(linkee);
    wait(linkee);
    dispatch_with(linker, |_, _| ()).get().unwrap();
    assert_eq!(log.entries(), ["initialize", "exited linkee terminated"]);
}

#[test]
fn a_link_to_a_process_that_has_ended_tells_at_once() {
    let runtime = runtime(2);
    let log = Log::default();
    let linkee = runtime.spawn(Idle);
    terminate(linkee);
    wait(linkee);
    let linker = runtime.spawn(Logging::linked(&log, linkee));
    // It links when it is initialized, so the second is behind the news.
    dispatch_with(linker, |_, _| ()).get().unwrap();
    dispatch_with(linker, |_, _| ()).get().unwrap();
    assert_eq!(
        log.entries(),
        [
            "initialize",
            "exited  had ended before, for a reason unknown"
        ]
    );
}

#[test]
fn a_link_to_an_address_that_cannot_be_reached_tells_so() {
    let runtime = runtime(1);
    let log = Log::default();
    let there: Upid = "someone@127.0.0.1:1".parse().unwrap();
    runtime.spawn(Logging::linked(&log, there));
    until(|| log.entries().len() == 2);
    assert_eq!(
        log.entries(),
        ["initialize", "exited someone cannot be reached any more"]
    );
}

#[test]
fn exited_comes_behind_what_the_dying_process_sent() {
    struct Dying {
        to: Upid,
    }
    impl Process for Dying {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.send(&self.to, "first", "");
        }
        fn finalize(&mut self, cx: &mut Context<Self>) {
            for _ in 0..100 {
                cx.send(&self.to, "last", "");
            }
        }
    }
    for _ in 0..50 {
        let runtime = runtime(2);
        let log = Log::default();
        let linker = runtime.spawn(Logging::new(&log));
        let dying = runtime.spawn(Dying { to: linker.upid() });
        dispatch_with(linker, move |_, cx| cx.link(dying))
            .get()
            .unwrap();
        terminate(dying);
        wait(dying);
        dispatch_with(linker, |_, _| ()).get().unwrap();
        let entries = log.entries();
        assert!(
            entries.last().unwrap().starts_with("exited"),
            "{:?}",
            entries.last()
        );
        assert_eq!(entries.len(), 103);
    }
}

#[test]
fn the_name_is_free_when_exited_is_served() {
    struct Restarting {
        done: Sender<bool>,
    }
    impl Process for Restarting {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            let worker = spawn_named("restarted", Idle).expect("the first");
            cx.link(worker);
            terminate(worker);
        }
        fn exited(&mut self, _pid: &Upid, cx: &mut Context<Self>) {
            let again = spawn_named("restarted", Idle);
            self.done.send(again.is_ok()).unwrap();
            cx.terminate();
        }
    }
    let runtime = runtime(2);
    let (done, again) = channel();
    runtime.spawn(Restarting { done });
    assert!(again.recv_timeout(HANG).unwrap());
}

#[test]
fn the_end_of_a_linker_ends_its_links() {
    let runtime = runtime(1);
    let linkee = runtime.spawn(Idle);
    for _ in 0..100 {
        let linker = runtime.spawn(Idle);
        dispatch_with(linker, move |_, cx| cx.link(linkee))
            .get()
            .unwrap();
        terminate(linker);
        wait(linker);
    }
    terminate(linkee);
    wait(linkee);
    // An `exited` for one of them would be a dead letter.
    assert_eq!(runtime.stats().dead_letters, 0);
}

#[test]
fn a_link_to_oneself_does_nothing() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    dispatch_with(pid, |_, cx| cx.link(cx.pid())).get().unwrap();
    terminate(pid);
    wait(pid);
    assert_eq!(runtime.stats().dead_letters, 0);
}

/// Links to each pid that it is sent, and counts what it hears.
#[derive(Default)]
struct Counting {
    exits: usize,
    unknown: usize,
}

impl Process for Counting {
    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        self.exits += 1;
        self.unknown += usize::from(event.id.is_empty());
    }
    fn consume_message(&mut self, _event: MessageEvent, _cx: &mut Context<Self>) {}
}

#[test]
fn a_link_that_races_with_the_end_gives_exactly_one_exited() {
    let rounds = 4_000 * scale();
    let runtime = runtime(2);
    let counting = runtime.spawn_owned(Counting::default());
    let pid = counting.pid();
    for round in 0..rounds {
        let linkee = runtime.spawn(Idle);
        drop(dispatch_with(pid, move |_, cx| cx.link(linkee)));
        // Sometimes the end has a head start, sometimes the link.
        for _ in 0..(round % 7) * 20 {
            std::hint::spin_loop();
        }
        terminate(linkee);
        if round % 64 == 0 {
            wait(linkee);
        }
    }
    // Everyone has ended, so every exit is in the mailbox, or was served.
    while runtime.stats().alive > 1 {
        std::thread::yield_now();
    }
    post(pid, "behind all", "");
    dispatch_with(pid, |_, _| ()).get().unwrap();
    counting.terminate_after_pending();
    let counting = counting.join().unwrap();
    assert_eq!(counting.exits, rounds);
    assert!(
        counting.unknown > 0 && counting.unknown < rounds,
        "the race was not hit: {} of {rounds} links came too late",
        counting.unknown
    );
}
