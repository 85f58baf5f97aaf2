//! What a user can get wrong, and what it says then.

use std::sync::{Arc, Barrier};

use crate::common::{Idle, again};
use libprocess::{BuildError, JoinError, Runtime, dispatch_with};

#[test]
fn a_builder_refuses_what_cannot_work() {
    let build = |workers, slots| {
        Runtime::builder()
            .workers(workers)
            .semaphore_slots(slots)
            .build()
            .unwrap_err()
    };
    assert!(matches!(build(0, 128), BuildError::Workers { workers: 0 }));
    assert!(matches!(
        build(1025, 2000),
        BuildError::Workers { workers: 1025 }
    ));
    let error = build(129, 128);
    assert!(matches!(
        error,
        BuildError::TooFewSemaphoreSlots {
            workers: 129,
            slots: 128
        }
    ));
    assert!(error.to_string().contains("129 workers") && error.to_string().contains("128 slots"));
    let error = Runtime::builder().event_budget(0).build().unwrap_err();
    assert!(matches!(error, BuildError::NoEventBudget));
}

#[test]
fn more_workers_than_the_default_slots_get_the_slots_they_need() {
    let runtime = Runtime::builder().workers(150).build().unwrap();
    assert_eq!(runtime.workers(), 150);
    let pid = runtime.spawn(Idle);
    assert_eq!(dispatch_with(pid, |_, _| 1).get(), Ok(1));
}

/// Each on one core, one behind the other.
#[test]
fn pinned_workers_stay_on_their_cores() {
    let allowed = core_affinity::get_core_ids().expect("cores");
    let workers = allowed.len().min(4) + 1;
    let runtime = Runtime::builder()
        .workers(workers)
        .pin_workers(true)
        .build()
        .unwrap();
    let cores = || core_affinity::get_core_ids().expect("cores");
    let barrier = Arc::new(Barrier::new(workers));
    let on_each: Vec<_> = (0..workers)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            let pid = runtime.spawn(Idle);
            dispatch_with(pid, move |_, _| {
                // So that each has a worker of its own.
                barrier.wait();
                cores()
            })
        })
        .collect();
    let mut seen: Vec<_> = on_each
        .into_iter()
        .map(|seen| seen.get().unwrap())
        .collect();
    assert!(seen.iter().all(|cores| cores.len() == 1), "{seen:?}");
    seen.sort_by_key(|cores| cores[0].id);
    seen.dedup();
    assert_eq!(seen.len(), allowed.len().min(workers), "{seen:?}");
}

#[test]
fn a_process_cannot_join_itself() {
    let runtime = crate::common::runtime(1);
    let handle = runtime.spawn_owned(Idle);
    let pid = handle.pid();
    let joined = dispatch_with(pid, move |_, _| handle.join().map(|_| ()));
    assert_eq!(joined.get(), Ok(Err(JoinError::Itself)));
}

#[test]
fn a_handle_dropped_by_its_own_process_ends_it_without_a_deadlock() {
    let runtime = crate::common::runtime(1);
    let handle = runtime.spawn_owned(Idle);
    let pid = handle.pid();
    dispatch_with(pid, move |_, _| drop(handle)).get().unwrap();
    assert!(libprocess::wait(pid).has_ended());
}

/// Not a test by itself: run by the one below with the variable set.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn print_default_workers() {
    println!("workers: {}", libprocess::workers());
}

#[test]
fn the_environment_sets_the_workers_of_the_default_runtime() {
    let cores = std::thread::available_parallelism().unwrap().get();
    for (value, expected, complains) in [
        ("3", 3, false),
        ("1024", 1024, false),
        ("0", cores, true),
        ("1025", cores, true),
        ("many", cores, true),
        ("", cores, true),
    ] {
        let output = again("misuse::print_default_workers")
            .env("LIBPROCESS_NUM_WORKER_THREADS", value)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.contains(&format!("workers: {expected}\n")),
            "{value:?}: {printed}"
        );
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complained = complaint.contains("ignoring LIBPROCESS_NUM_WORKER_THREADS");
        assert_eq!(complained, complains, "{value:?}: {complaint}");
    }
}
