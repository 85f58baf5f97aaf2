//! Reports of handlers that do not return. Each handler here waits for its own report, so nothing depends on how fast the machine is.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::common::{HANG, Idle, lock};
use libprocess::telemetry::{EventName, StuckHandler};
use libprocess::{
    Context, Future, MessageEvent, Process, Promise, Runtime, RuntimeBuilder, await_ready,
    block_in_place, dispatch, dispatch_with,
};

/// Short, so that the tests are; long enough that handlers which do nothing are seldom reported, which would do no harm.
const AFTER: Duration = Duration::from_millis(5);

fn reporting(workers: usize) -> (RuntimeBuilder, Receiver<StuckHandler>) {
    let (report, reports) = channel();
    let report = Mutex::new(report);
    let builder = Runtime::builder()
        .workers(workers)
        .report_stuck_after(AFTER)
        .on_stuck(move |stuck| {
            // Nobody listens any more where the test is over.
            let _heard = lock(&report).send(stuck.clone());
        });
    (builder, reports)
}

/// The next report that is what the test waits for. Others may come: a busy machine makes any handler slow.
fn report(
    reports: &Receiver<StuckHandler>,
    mut expected: impl FnMut(&StuckHandler) -> bool,
) -> StuckHandler {
    loop {
        let stuck = reports.recv_timeout(HANG).expect("a report");
        if expected(&stuck) {
            return stuck;
        }
    }
}

fn is_in(stuck: &StuckHandler, name: &str) -> bool {
    stuck.event.to_string().ends_with(name)
}

struct Stopping {
    go_on: Receiver<()>,
}

impl Process for Stopping {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("stop", |stopping: &mut Self, _event, _cx| stopping.stop());
    }
}

impl Stopping {
    fn new() -> (Sender<()>, Self) {
        let (tell, go_on) = channel();
        (tell, Self { go_on })
    }

    fn stop(&mut self) {
        self.go_on.recv_timeout(HANG).expect("the test lets it go");
    }
}

#[test]
fn a_message_handler_is_reported_until_it_returns() {
    let (builder, reports) = reporting(1);
    let runtime = builder.build().unwrap();
    let (tell, stopping) = Stopping::new();
    let stopping = runtime.spawn_named("stopping", stopping).unwrap();
    runtime.post(stopping, "stop", "");

    let mut handlers = 0;
    let mut next = |reported| {
        report(&reports, |stuck| {
            handlers += u64::from(stuck.reported == 0);
            is_in(stuck, "stop") && stuck.reported == reported
        })
    };
    let first = next(0);
    assert_eq!((&first.process, &*first.id), (&stopping.upid(), "stopping"));
    assert_eq!(first.event, EventName::Message("stop".into()));
    assert!(first.running >= AFTER);
    assert!(!first.blocked);
    let text = first.to_string();
    assert!(
        text.starts_with("stopping runs in the handler of stop since "),
        "{text}"
    );

    // Again after twice and four times as long, if the machine let them be told apart.
    let second = next(1);
    assert!(second.running >= 2 * AFTER);
    assert!(next(2).running >= 4 * AFTER);
    // Nothing else runs.
    assert_eq!(runtime.stats().stuck, handlers, "each once, however often");

    tell.send(()).unwrap();
    await_ready!(dispatch_with(stopping, |_, _| ()));
}

#[test]
fn a_dispatch_is_reported_by_its_method() {
    let (builder, reports) = reporting(1);
    let runtime = builder.build().unwrap();
    let (tell, stopping) = Stopping::new();
    let stopping = runtime.spawn(stopping);
    let stopped = dispatch(stopping, Stopping::stop, ());
    let report = report(&reports, |stuck| is_in(stuck, "::Stopping::stop"));
    assert!(matches!(report.event, EventName::Dispatch(_)));
    tell.send(()).unwrap();
    await_ready!(stopped);
}

/// Each way to stand still has a name of its own.
struct Waiting;

impl Process for Waiting {}

impl Waiting {
    fn get(&mut self, future: Future<()>) {
        future.get().unwrap();
    }

    fn in_place(&mut self, go_on: Receiver<()>) {
        block_in_place(|| go_on.recv_timeout(HANG).unwrap());
    }

    fn at_work(&mut self, go_on: Receiver<()>) {
        go_on.recv_timeout(HANG).unwrap();
    }
}

/// Who waits for something is held up as well, but it holds up no worker: the report says so.
#[test]
fn blocked_handlers_are_said_to_be_blocked() {
    let (builder, reports) = reporting(1);
    let runtime = builder.build().unwrap();
    let waiting = runtime.spawn(Waiting);

    let (promise, future) = Promise::pair();
    let answer = dispatch(waiting, Waiting::get, (future,));
    // The first may come before it is blocked.
    let blocked = report(&reports, |stuck| is_in(stuck, "::get") && stuck.blocked);
    let text = blocked.to_string();
    assert!(text.contains(" is blocked in the handler of "), "{text}");
    // Another process is served meanwhile.
    await_ready!(dispatch_with(runtime.spawn(Idle), |_, _| ()));
    promise.set(());
    await_ready!(answer);

    let (tell, go_on) = channel();
    let answer = dispatch(waiting, Waiting::in_place, (go_on,));
    report(&reports, |stuck| {
        is_in(stuck, "::in_place") && stuck.blocked
    });
    tell.send(()).unwrap();
    await_ready!(answer);

    // After it was blocked, it is not.
    let (tell, go_on) = channel();
    let answer = dispatch(waiting, Waiting::at_work, (go_on,));
    assert!(!report(&reports, |stuck| is_in(stuck, "::at_work")).blocked);
    tell.send(()).unwrap();
    await_ready!(answer);
}

/// Several workers at a time, each with its own report.
#[test]
fn each_worker_is_watched() {
    const WORKERS: usize = 3;
    let (builder, reports) = reporting(WORKERS);
    let runtime = builder.build().unwrap();
    let all: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (tell, stopping) = Stopping::new();
            let pid = runtime.spawn(stopping);
            (tell, pid, dispatch(pid, Stopping::stop, ()))
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < WORKERS {
        seen.insert(report(&reports, |stuck| is_in(stuck, "::stop")).id);
    }
    for (tell, _, stopped) in all {
        tell.send(()).unwrap();
        await_ready!(stopped);
    }
    assert!(runtime.stats().stuck >= WORKERS as u64);
}

/// Wall time, not the clock that a test has paused.
#[test]
fn a_paused_clock_stops_no_report() {
    let (builder, reports) = reporting(1);
    let runtime = builder.build().unwrap();
    runtime.clock().pause();
    let (tell, stopping) = Stopping::new();
    let stopping = runtime.spawn(stopping);
    runtime.post(stopping, "stop", "");
    report(&reports, |stuck| is_in(stuck, "stop"));
    tell.send(()).unwrap();
    runtime.clock().resume();
}

struct Slow {
    initialize: Receiver<()>,
    finalize: Receiver<()>,
}

impl Process for Slow {
    fn initialize(&mut self, _cx: &mut Context<Self>) {
        self.initialize.recv_timeout(HANG).unwrap();
    }

    fn finalize(&mut self, _cx: &mut Context<Self>) {
        self.finalize.recv_timeout(HANG).unwrap();
    }

    fn consume_message(&mut self, _event: MessageEvent, _cx: &mut Context<Self>) {}
}

#[test]
fn the_beginning_and_the_end_of_a_process_are_watched() {
    let (builder, reports) = reporting(1);
    let runtime = builder.build().unwrap();
    let ((begin, initialize), (end, finalize)) = (channel(), channel());
    let slow = runtime.spawn(Slow {
        initialize,
        finalize,
    });
    report(&reports, |stuck| stuck.event == EventName::Initialize);
    begin.send(()).unwrap();
    runtime.terminate(slow);
    report(&reports, |stuck| stuck.event == EventName::Finalize);
    end.send(()).unwrap();
    assert!(runtime.wait(slow).has_ended());
}

#[test]
fn a_panic_in_the_callback_harms_nobody() {
    let (sender, reports) = channel();
    let sender = Mutex::new(sender);
    let runtime = Runtime::builder()
        .workers(1)
        .report_stuck_after(AFTER)
        .on_stuck(move |stuck| {
            let _heard = lock(&sender).send(stuck.clone());
            panic!("as the test wants");
        })
        .build()
        .unwrap();
    let (tell, stopping) = Stopping::new();
    let stopping = runtime.spawn(stopping);
    runtime.post(stopping, "stop", "");
    report(&reports, |stuck| {
        is_in(stuck, "stop") && stuck.reported == 1
    });
    tell.send(()).unwrap();
    await_ready!(dispatch_with(stopping, |_, _| ()));
}

#[test]
fn the_callback_may_end_the_runtime() {
    let held: std::sync::Arc<Mutex<Option<Runtime>>> = std::sync::Arc::default();
    let to_end = std::sync::Arc::clone(&held);
    let (tell, stopping) = Stopping::new();
    let (ended, was_ended) = channel();
    let both = Mutex::new((tell, ended));
    let runtime = Runtime::builder()
        .workers(1)
        .report_stuck_after(AFTER)
        .on_stuck(move |_| {
            let both = lock(&both);
            let _again = both.0.send(());
            let runtime = lock(&to_end).take();
            drop(runtime);
            let _again = both.1.send(());
        })
        .build()
        .unwrap();
    let mut place = lock(&held);
    let stopping = runtime.spawn(stopping);
    runtime.post(stopping, "stop", "");
    *place = Some(runtime);
    drop(place);
    was_ended.recv_timeout(HANG).expect("the runtime ends");
    assert!(libprocess::wait(stopping).has_ended());
}

#[test]
fn nothing_is_reported_where_nobody_asked() {
    let runtime = Runtime::builder()
        .workers(1)
        .report_stuck_after(Duration::ZERO)
        .on_stuck(|stuck| panic!("{stuck}"))
        .build()
        .unwrap();
    await_ready!(dispatch_with(runtime.spawn(Idle), |_, _| ()));
    assert_eq!(runtime.stats().stuck, 0);
}
