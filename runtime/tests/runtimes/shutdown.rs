//! The end of a runtime: nothing left behind, whatever goes on.

use crate::common::{Counted, Idle, gate, lock, runtime, scale};
use libprocess::{Context, Pid, Process, Runtime, SpawnError, dispatch_with, post, spawn_named};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

struct Holding {
    _state: Counted,
}

impl Process for Holding {}

/// Threads of this OS process whose names start so.
fn threads_named(prefix: &str) -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}

#[test]
fn shutting_down_ends_processes_drops_events_and_joins_threads() {
    let alive = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder()
        .workers(3)
        .name("leaktest")
        .build()
        .unwrap();
    // A thread names itself once it runs.
    while threads_named("leaktest") < 3 {
        std::thread::yield_now();
    }
    let (door, stop) = gate();
    let busy = runtime.spawn(Holding {
        _state: Counted::new(&alive),
    });
    drop(dispatch_with(busy, move |_, _| stop()));
    door.wait_until_reached();
    for _ in 0..100 {
        let pid = runtime.spawn(Holding {
            _state: Counted::new(&alive),
        });
        for receiver in [pid, busy] {
            let counted = Counted::new(&alive);
            drop(dispatch_with(receiver, move |_, _| drop(counted)));
        }
    }
    assert!(alive.load(Ordering::Relaxed) > 100);
    door.open();
    runtime.shutdown();
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    // A thread that was joined is listed until the kernel has swept it up.
    let deadline = std::time::Instant::now() + crate::common::HANG;
    while threads_named("leaktest") > 0 {
        assert!(std::time::Instant::now() < deadline, "threads are left");
        std::thread::yield_now();
    }
}

#[test]
fn a_spawn_that_comes_too_late_is_refused_with_the_process_back() {
    struct Late(std::sync::mpsc::Sender<bool>);
    impl Process for Late {
        fn finalize(&mut self, _cx: &mut Context<Self>) {
            let refused = spawn_named("late", Idle);
            self.0
                .send(matches!(refused, Err(SpawnError::ShuttingDown { .. })))
                .unwrap();
        }
    }
    let runtime = runtime(2);
    let (send, refused) = std::sync::mpsc::channel();
    runtime.spawn(Late(send));
    drop(runtime);
    assert!(refused.recv_timeout(crate::common::HANG).unwrap());
}

#[test]
fn a_runtime_dropped_in_a_handler_of_its_own_shuts_down() {
    let alive = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(1);
    let pid = runtime.spawn(Holding {
        _state: Counted::new(&alive),
    });
    drop(dispatch_with(pid, move |_, _| drop(runtime)));
    assert!(libprocess::wait(pid).has_ended());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn processes_that_keep_spawning_do_not_keep_a_runtime_alive() {
    struct Spawning;
    impl Process for Spawning {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            libprocess::spawn(Idle);
            post(cx.pid(), "again", "");
        }
        fn consume_message(&mut self, _event: libprocess::MessageEvent, cx: &mut Context<Self>) {
            libprocess::spawn(Idle);
            post(cx.pid(), "again", "");
        }
    }
    for _ in 0..10 * scale() {
        let runtime = runtime(2);
        for _ in 0..4 {
            runtime.spawn(Spawning);
        }
        while runtime.stats().spawned < 100 {
            std::hint::spin_loop();
        }
        drop(runtime);
    }
}

#[test]
fn foreign_threads_may_post_while_a_runtime_shuts_down() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let current: Arc<std::sync::Mutex<Option<Pid<Idle>>>> = Arc::default();
    let posters: Vec<_> = (0..3)
        .map(|_| {
            let current = Arc::clone(&current);
            std::thread::spawn(move || {
                let mut posted = 0_u64;
                let mut known: Option<Pid<Idle>> = None;
                while !STOP.load(Ordering::Relaxed) {
                    if let Ok(now) = current.try_lock() {
                        known = now.or(known);
                    }
                    if let Some(pid) = known {
                        // The runtime behind it may be ending, or be gone.
                        post(pid, "hello", "");
                        posted += 1;
                    }
                }
                posted
            })
        })
        .collect();
    for _ in 0..50 * scale() {
        let runtime = runtime(2);
        let pid = runtime.spawn(Idle);
        *lock(&current) = Some(pid);
        dispatch_with(pid, |_, _| ()).get().unwrap();
        drop(runtime);
    }
    STOP.store(true, Ordering::Relaxed);
    let posted: u64 = posters
        .into_iter()
        .map(|poster| poster.join().unwrap())
        .sum();
    assert!(posted > 50, "the race was not hit: {posted} posts");
}
