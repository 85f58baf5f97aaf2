//! Telemetry: what is recorded of waits, handlers and mailboxes, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::common::{HANG, Idle, gate, scale};
use libprocess::telemetry::{EventName, Histogram, Telemetry};
use libprocess::testing::{Filtered, messages};
use libprocess::{
    Context, DispatchIdentity, MessageEvent, Process, Runtime, RuntimeBuilder, SpawnOptions,
    await_failed, await_ready, dispatch, dispatch_with, spawn_async,
};

fn measuring(workers: usize) -> RuntimeBuilder {
    Runtime::builder().workers(workers).telemetry(true)
}

/// Counts its messages, whatever their names.
#[derive(Default)]
struct Counter {
    count: u64,
}

impl Process for Counter {
    fn consume_message(&mut self, _event: MessageEvent, _cx: &mut Context<Self>) {
        self.count += 1;
    }
}

impl Counter {
    fn count(&mut self) -> u64 {
        self.count
    }

    fn panic(&mut self) {
        panic!("as the test wants");
    }
}

fn served(telemetry: &Telemetry, name: &str) -> u64 {
    telemetry
        .message(name)
        .map_or(0, |event| event.handling_ns.count())
}

#[test]
fn events_are_counted_by_name_and_by_process() {
    let runtime = measuring(2).build().unwrap();
    let (one, other) = (
        runtime.spawn(Counter::default()),
        runtime.spawn_named("other", Counter::default()).unwrap(),
    );
    for _ in 0..3 {
        runtime.post(one, "literal", "");
        runtime.post(other, "literal", "");
        runtime.post(other, String::from("made"), "");
    }
    assert_eq!(await_ready!(dispatch(one, Counter::count, ())), 3);
    assert_eq!(await_ready!(dispatch(other, Counter::count, ())), 6);
    // Behind the ends of those handlers, which answer before they return.
    await_ready!(dispatch_with(one, |_, _| ()));
    await_ready!(dispatch_with(other, |_, _| ()));

    let telemetry = runtime.telemetry();
    assert_eq!(served(&telemetry, "literal"), 6);
    assert_eq!(served(&telemetry, "made"), 3);
    assert_eq!(served(&telemetry, "never sent"), 0);
    let count = telemetry.method(Counter::count).unwrap();
    assert_eq!((count.wait_ns.count(), count.handling_ns.count()), (2, 2));
    let initialized = telemetry.event(&EventName::Initialize).unwrap();
    assert_eq!(initialized.handling_ns.count(), 2);
    assert!(initialized.wait_ns.is_empty(), "nobody sent it");

    let of_one = telemetry.process(one).unwrap();
    // Four events and the one that was begun last.
    assert_eq!(of_one.wait_ns.count(), 5);
    let of_other = telemetry.process(other).unwrap();
    assert_eq!((&*of_other.id, of_other.wait_ns.count()), ("other", 8));
    assert!(telemetry.process(runtime.spawn(Idle)).is_none());
}

#[test]
fn closures_are_told_apart_by_their_place() {
    let runtime = measuring(1).build().unwrap();
    let idle = runtime.spawn(Idle);
    for _ in 0..2 {
        await_ready!(dispatch_with(idle, |_, _| 1));
        await_ready!(dispatch_with(idle, |_, _| 2));
    }
    let mut lines: Vec<_> = runtime
        .telemetry()
        .events
        .into_iter()
        .filter_map(|event| match event.name {
            EventName::Dispatch(DispatchIdentity::Closure { location }) => {
                assert_eq!(location.file(), file!());
                Some((location.line(), event.wait_ns.count()))
            }
            _ => None,
        })
        .collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0].0 + 1, lines[1].0);
    assert!(lines.iter().all(|(_, count)| *count == 2));
}

#[test]
fn nothing_is_recorded_while_it_is_off() {
    let runtime = Runtime::builder()
        .workers(1)
        .telemetry(false)
        .build()
        .unwrap();
    let counter = runtime.spawn(Counter::default());
    runtime.post(counter, "before", "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 1);
    assert!(runtime.telemetry().processes.is_empty());
    assert!(runtime.telemetry().events.is_empty());

    runtime.set_telemetry(true);
    runtime.set_telemetry(true);
    runtime.post(counter, "during", "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 2);
    runtime.set_telemetry(false);
    runtime.post(counter, "after", "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 3);

    let telemetry = runtime.telemetry();
    let counts = ["before", "during", "after"].map(|name| served(&telemetry, name));
    assert_eq!(counts, [0, 1, 0]);
}

#[test]
fn an_event_that_was_sent_before_has_no_wait() {
    let runtime = Runtime::builder()
        .workers(1)
        .telemetry(false)
        .build()
        .unwrap();
    let counter = runtime.spawn(Counter::default());
    let (door, stop) = gate();
    let stopped = dispatch_with(counter, |_, _| stop());
    door.wait_until_reached();
    // Another test's runtime may have senders say when: then this event does.
    runtime.post(counter, "sent before", "");
    runtime.set_telemetry(true);
    door.open();
    await_ready!(stopped);
    await_ready!(dispatch(counter, Counter::count, ()));
    let telemetry = runtime.telemetry();
    let event = telemetry.message("sent before").unwrap();
    assert_eq!(event.handling_ns.count(), 1);
    assert!(event.wait_ns.count() <= 1);
    assert!(
        telemetry.method(Counter::count).unwrap().wait_ns.count() == 1,
        "sent afterwards"
    );
}

/// The events wait behind a gate, for at least as long as the test has measured.
#[test]
fn waits_and_depths_are_what_they_were() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    let (door, stop) = gate();
    let stopped = dispatch_with(counter, |_, _| stop());
    door.wait_until_reached();
    for _ in 0..10 {
        runtime.post(counter, "waits", "");
    }
    let posted = Instant::now();
    // Something that takes time, and no sleep.
    while posted.elapsed().as_micros() < 200 {
        std::hint::spin_loop();
    }
    let waited_ns = posted.elapsed().as_nanos() as u64;
    door.open();
    await_ready!(stopped);
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 10);

    let telemetry = runtime.telemetry();
    let waits = &telemetry.message("waits").unwrap().wait_ns;
    assert_eq!(waits.count(), 10);
    // What a histogram tells is the smallest number of its bucket: up to 1 % less.
    assert!(
        waits.min() + waits.min() / 100 + 1 >= waited_ns,
        "{waits:?} after {waited_ns} ns"
    );
    let of_process = telemetry.process(counter).unwrap();
    // The gate alone; what was posted, with the dispatch or before it.
    assert!(
        (10..=11).contains(&of_process.depth.max()),
        "{:?}",
        of_process.depth
    );
    // The gate's handler ran for as long as the others waited.
    assert!(of_process.handling_ns.max() >= waited_ns);
}

/// The batch is counted once, however many resumes it takes to serve it.
#[test]
fn a_batch_is_counted_once() {
    let runtime = measuring(1).event_budget(2).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    let (door, stop) = gate();
    let stopped = dispatch_with(counter, |_, _| stop());
    door.wait_until_reached();
    for _ in 0..9 {
        runtime.post(counter, "waits", "");
    }
    let counted = dispatch(counter, Counter::count, ());
    door.open();
    await_ready!(stopped);
    assert_eq!(await_ready!(counted), 9);
    let depth = &runtime.telemetry().process(counter).unwrap().depth.clone();
    assert_eq!(depth.recorded().collect::<Vec<_>>(), [(1, 1), (10, 1)]);
}

#[test]
fn full_mailboxes_keep_their_bound_while_events_are_timed() {
    let runtime = measuring(1).build().unwrap();
    let options = SpawnOptions::new().mailbox_capacity(2);
    let counter = runtime.spawn_with(options, Counter::default()).unwrap();
    for round in 1..=3 {
        let (door, stop) = gate();
        let stopped = dispatch_with(counter, |_, _| stop());
        door.wait_until_reached();
        runtime.post(counter, "fits", "");
        runtime.post(counter, "fits", "");
        await_failed!(dispatch(counter, Counter::count, ()));
        door.open();
        await_ready!(stopped);
        // Whether there is room again is seen by asking for it.
        let room = await_ready!(libprocess::reserve(counter));
        let count = room.dispatch(Counter::count, ());
        assert_eq!(await_ready!(count), 2 * round);
    }
    assert_eq!(served(&runtime.telemetry(), "fits"), 6);
}

#[test]
fn so_many_names_and_processes_are_told_apart() {
    let runtime = measuring(1).telemetry_entries(8).build().unwrap();
    let counters: Vec<_> = (0..20).map(|_| runtime.spawn(Counter::default())).collect();
    for name in 0..100 {
        runtime.post(counters[name % 20], format!("name {name}"), "");
    }
    for counter in &counters {
        assert_eq!(await_ready!(dispatch(*counter, Counter::count, ())), 5);
    }
    let telemetry = runtime.telemetry();
    assert_eq!(telemetry.processes.len(), 9);
    assert_eq!(telemetry.events.len(), 9);
    let others = &telemetry.processes[8];
    assert!(others.process.is_nobody());
    assert_eq!(&*others.id, "(others)");
    let of_processes = telemetry.processes.iter().map(|p| p.wait_ns.count());
    assert_eq!(of_processes.sum::<u64>(), 120);
    let of_names = telemetry.events.iter().map(|e| e.wait_ns.count());
    assert_eq!(of_names.sum::<u64>(), 120);
    let beyond = telemetry.event(&EventName::Others).unwrap();
    assert!(beyond.wait_ns.count() > 80);
}

#[test]
fn the_ended_make_room() {
    let runtime = measuring(1).telemetry_entries(4).build().unwrap();
    for _ in 0..40 {
        let counter = runtime.spawn(Counter::default());
        assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 0);
        runtime.terminate(counter);
        assert!(runtime.wait(counter).has_ended());
    }
    let last = runtime.spawn_named("last", Counter::default()).unwrap();
    // Those that ended are looked for again after some events that found no room.
    for _ in 0..8 {
        assert_eq!(await_ready!(dispatch(last, Counter::count, ())), 0);
    }
    let telemetry = runtime.telemetry();
    assert!(telemetry.process(last).is_some(), "{telemetry}");
    assert!(telemetry.processes.len() <= 5);
    let waits = telemetry.processes.iter().map(|p| p.wait_ns.count());
    // A dispatch and a request to end each, and those of the last.
    assert_eq!(waits.sum::<u64>(), 2 * 40 + 8);
}

#[test]
fn long_names_are_cut() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    let long = "x".repeat(100_000);
    runtime.post(counter, long.clone(), "");
    runtime.post(counter, format!("{long}y"), "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 2);
    let telemetry = runtime.telemetry();
    let event = telemetry.message(&long).unwrap();
    assert_eq!(event.handling_ns.count(), 2, "both begin alike");
    assert_eq!(event.name.to_string().len(), 256);
}

#[test]
fn a_handler_that_panics_is_counted() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    drop(dispatch(counter, Counter::panic, ()));
    assert!(runtime.wait(counter).has_ended());
    let telemetry = runtime.telemetry();
    assert_eq!(
        telemetry
            .method(Counter::panic)
            .unwrap()
            .handling_ns
            .count(),
        1
    );
}

#[test]
fn ends_and_polls_have_names() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    runtime.terminate(counter);
    assert!(runtime.wait(counter).has_ended());
    await_ready!(runtime.spawn_async(async { spawn_async(async {}).await.unwrap() }));
    let telemetry = runtime.telemetry();
    for name in [EventName::Terminate, EventName::Finalize] {
        assert!(telemetry.event(&name).is_some(), "{name} is not there");
    }
    assert!(
        telemetry.events.iter().any(|event| matches!(
            event.name,
            EventName::Dispatch(DispatchIdentity::Closure { .. })
        )),
        "{telemetry}"
    );
}

#[test]
fn what_a_filter_keeps_is_not_counted() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    let dropped = messages().named("filtered").drop_all(&runtime);
    runtime.post(counter, "filtered", "");
    runtime.post(counter, "served", "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 1);
    let telemetry = runtime.telemetry();
    assert_eq!(served(&telemetry, "filtered"), 0);
    assert_eq!(served(&telemetry, "served"), 1);
    drop(dropped);
}

#[test]
fn a_reset_forgets() {
    let runtime = measuring(2).build().unwrap();
    let counter = runtime.spawn(Counter::default());
    runtime.post(counter, "before", "");
    await_ready!(dispatch(counter, Counter::count, ()));
    let (door, stop) = gate();
    let stopped = dispatch_with(counter, |_, _| stop());
    door.wait_until_reached();
    runtime.reset_telemetry();
    door.open();
    await_ready!(stopped);
    runtime.post(counter, "after", "");
    await_ready!(dispatch(counter, Counter::count, ()));
    let telemetry = runtime.telemetry();
    assert_eq!(served(&telemetry, "before"), 0);
    assert_eq!(served(&telemetry, "after"), 1);
    // What was served at the reset is not counted when it ends.
    let of_process = telemetry.process(counter).unwrap();
    assert!(of_process.handling_ns.max() > 0 && of_process.wait_ns.count() == 2);
}

/// Handlers block, so that threads stand in for them: what each has recorded is in the sum.
#[test]
fn all_threads_are_added_up() {
    let runtime = measuring(1).build().unwrap();
    let (asking, asked) = (runtime.spawn(Idle), runtime.spawn(Counter::default()));
    for _ in 0..50 {
        let answer = dispatch_with(asking, move |_, _| {
            dispatch(asked, Counter::count, ()).get().unwrap()
        });
        assert_eq!(await_ready!(answer), 0);
    }
    assert!(runtime.stats().blocked > 0);
    let telemetry = runtime.telemetry();
    let count = telemetry.method(Counter::count).unwrap();
    assert_eq!(count.wait_ns.count(), 50);
}

/// Switched on and off, looked at and reset while events are on their way: none is lost, and none comes out of order.
#[test]
fn switching_loses_no_event() {
    const SENDERS: u64 = 3;
    let runtime = Arc::new(measuring(2).build().unwrap());
    let counters: Vec<_> = [None, Some(1_000_000)]
        .into_iter()
        .map(|capacity| {
            let options = capacity.map_or_else(SpawnOptions::new, |capacity| {
                SpawnOptions::new().mailbox_capacity(capacity)
            });
            runtime.spawn_with(options, Counter::default()).unwrap()
        })
        .collect();
    let rounds = 2_000 * scale() as u64;
    let switched = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                for round in 0..rounds {
                    for counter in &counters {
                        runtime.post(*counter, "count", "");
                    }
                    if round % 100 == 0 {
                        // Together with the switching, also where one thread would run to its end first.
                        let before = switched.load(Ordering::Relaxed);
                        let hang = Instant::now();
                        while switched.load(Ordering::Relaxed) == before {
                            assert!(hang.elapsed() < HANG);
                            std::thread::yield_now();
                        }
                    }
                }
                switched.fetch_add(1 << 32, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            let mut on = false;
            while switched.load(Ordering::Relaxed) >> 32 < SENDERS {
                runtime.set_telemetry(on);
                on = !on;
                if switched.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
                    let _looked = runtime.telemetry();
                    runtime.reset_telemetry();
                }
                std::thread::yield_now();
            }
        });
    });
    for counter in &counters {
        let count = await_ready!(dispatch(*counter, Counter::count, ()));
        assert_eq!(count, SENDERS * rounds);
    }
}

#[test]
fn it_prints_as_tables() {
    let runtime = measuring(1).build().unwrap();
    let counter = runtime.spawn_named("counter", Counter::default()).unwrap();
    runtime.post(counter, "count", "");
    assert_eq!(await_ready!(dispatch(counter, Counter::count, ())), 1);
    let text = runtime.telemetry().to_string();
    for part in [
        "process ",
        "counter ",
        "event ",
        "count ",
        "wait p50",
        "depth p50",
        "µs",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.is_empty() || line.len() > 60));
}

#[test]
fn histograms_hold_any_number() {
    let mut histogram = Histogram::new();
    assert_eq!((histogram.count(), histogram.max()), (0, 0));
    for value in [0, 1, 1_000, u64::MAX] {
        histogram.record(value);
    }
    assert_eq!((histogram.count(), histogram.min()), (4, 0));
    assert_eq!(histogram.max(), u64::MAX);
    let mut sum = Histogram::new();
    sum.add(&histogram);
    sum.add(&histogram);
    assert_eq!(sum.count(), 8);
}
