//! Waiting for room in a full mailbox, and permits that outlive what they are for.

use crate::common::store::{Store, bounded, stop, told};
use crate::common::{HANG, Idle, lock, runtime, scale};
use libprocess::{
    DeadLetterReason, FutureError, Permit, Pid, SpawnOptions, TrySendError, Upid, WaitStatus,
    dispatch_with, post, reserve, spawn_async, terminate, try_post, try_reserve, wait,
    wait_timeout,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn who_waits_gets_room_in_the_order_of_coming() {
    let runtime = runtime(2);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let gate = stop(pid);
    post(pid, "first", "");
    let sent: Vec<_> = (0..100)
        .map(|number| {
            let waits = reserve(pid);
            assert!(waits.is_pending());
            waits.then(move |permit: Permit<Pid<Store>>| {
                permit.dispatch(Store::put, (number.to_string(),))
            })
        })
        .collect();
    gate.open();
    for (number, sent) in sent.into_iter().enumerate() {
        assert_eq!(sent.get(), Ok(number + 2));
    }
    let expected: Vec<_> = std::iter::once("first".to_owned())
        .chain((0..100).map(|number| number.to_string()))
        .collect();
    assert_eq!(told(store), expected);
}

#[test]
fn nobody_overtakes_who_waits() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let held = try_reserve(pid).unwrap();
    let (first, second) = (reserve(pid), reserve(pid));
    assert!(first.is_pending() && second.is_pending());
    drop(held);
    assert!(first.is_ready(), "the room went to who came first");
    assert!(try_post(pid, "overtakes", "").unwrap_err().is_full());
    first.get().unwrap().post("first", "");
    second.get().unwrap().post("second", "");
    assert_eq!(told(store), ["first", "second"]);
}

#[test]
fn who_gives_up_leaves_his_place() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let held = try_reserve(pid).unwrap();
    for _ in 0..1_000 {
        drop(reserve(pid));
    }
    let discarded = reserve(pid);
    discarded.discard();
    assert!(discarded.is_discarded());
    let waits = reserve(pid);
    drop(held);
    // A permit that nobody looks at goes on to the next.
    assert!(waits.is_ready());
    let last = reserve(pid);
    drop(waits);
    assert!(last.is_ready());
    drop(last);
    assert!(try_post(pid, "fits", "").is_ok());
    assert_eq!(told(store), ["fits"]);
}

#[test]
fn many_who_need_no_room_after_all_need_no_stack() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let held = try_reserve(pid).unwrap();
    let waiting: Vec<_> = (0..100_000).map(|_| reserve(pid).then(drop)).collect();
    drop(held);
    assert!(waiting.iter().all(libprocess::Future::is_ready));
    assert!(try_post(pid, "fits", "").is_ok());
    assert_eq!(told(store), ["fits"]);
}

#[test]
fn the_end_abandons_who_waits() {
    let runtime = runtime(1);
    let store = runtime.spawn_with(bounded(1), Store::default()).unwrap();
    let held = try_reserve(store).unwrap();
    let used = try_reserve(store);
    assert!(used.is_err());
    let waiting: Vec<_> = (0..10).map(|_| reserve(store)).collect();
    terminate(store);
    wait(store);
    for waits in waiting {
        assert!(matches!(waits.get(), Err(FutureError::Abandoned)));
    }
    // The permit is for room, not for life.
    assert_eq!(
        held.dispatch(Store::put, (String::new(),)).get(),
        Err(FutureError::Abandoned)
    );
    assert!(matches!(reserve(store).get(), Err(FutureError::Abandoned)));
    assert!(matches!(try_reserve(store), Err(TrySendError::Ended(_))));
    assert!(matches!(
        try_post(store, "late", ""),
        Err(TrySendError::Ended(_))
    ));
    let statistics = runtime.stats();
    assert_eq!((statistics.dead_letters, statistics.refused), (1, 0));
    assert_eq!(
        statistics.last_dead_letters[0].reason,
        DeadLetterReason::Ended
    );
}

#[test]
fn a_permit_of_the_last_tenant_changes_nothing_for_the_next() {
    let runtime = runtime(1);
    for capacity in [None, Some(2)] {
        let first = runtime.spawn_with(bounded(4), Store::default()).unwrap();
        let permits: Vec<_> = (0..3).map(|_| try_reserve(first).unwrap()).collect();
        terminate(first);
        wait(first);
        let options = capacity.map_or_else(SpawnOptions::new, bounded);
        // The runtime gives the slot that was left last: the same.
        let next = runtime.spawn_owned_with(options, Store::default()).unwrap();
        let pid = next.pid();
        let gate = stop(pid);
        let mut permits = permits.into_iter();
        drop(permits.next());
        permits.next().unwrap().post("stale", "");
        let sent = (0..100)
            .filter(|_| try_post(pid, "fits", "").is_ok())
            .count();
        assert_eq!(sent, capacity.map_or(100, |capacity| capacity as usize));
        drop(permits);
        gate.open();
        assert_eq!(told(next).len(), sent);
    }
}

#[test]
fn stale_senders_of_bounded_tenants_leave_the_next_ones_alone() {
    let tenants = 500 * scale();
    let runtime = runtime(2);
    let current: Arc<Mutex<Option<Pid<Store>>>> = Arc::default();
    let stop = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..2)
        .map(|sender| {
            let (current, stop) = (Arc::clone(&current), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut known = None;
                let mut sent = 0_u64;
                while stop.load(Ordering::Relaxed) == 0 {
                    if sent.is_multiple_of(8) {
                        known = *lock(&current);
                    }
                    if let Some(pid) = known {
                        match (sent + sender) % 3 {
                            0 => post(pid, "posted", ""),
                            1 => drop(try_reserve(pid)),
                            // Waits, is granted, or abandoned; sometimes nobody looks.
                            _ => drop(reserve(pid)),
                        }
                    }
                    sent += 1;
                }
            })
        })
        .collect();
    for tenant in 0..tenants {
        let store = runtime.spawn_with(bounded(2), Store::default()).unwrap();
        *lock(&current) = Some(store);
        if tenant % 2 == 0 {
            std::thread::yield_now();
        }
        terminate(store);
        wait(store);
        // An unbounded tenant in between, and one whose credits are counted, both known to nobody else.
        let unbounded = runtime.spawn(Store::default());
        for _ in 0..4 {
            assert!(try_post(unbounded, "fits", "").is_ok());
        }
        terminate(unbounded);
        wait(unbounded);
        let counted = runtime.spawn_with(bounded(2), Store::default()).unwrap();
        let permits: Vec<_> = std::iter::from_fn(|| try_reserve(counted).ok()).collect();
        assert_eq!(permits.len(), 2, "tenant {tenant}");
        terminate(counted);
        wait(counted);
    }
    stop.store(1, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn every_waiter_hears_whatever_ends_first() {
    let rounds = 200 * scale();
    let runtime = runtime(2);
    let (mut least, mut most) = (usize::MAX, 0);
    for round in 0..rounds {
        let store = runtime.spawn_with(bounded(1), Store::default()).unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                std::thread::spawn(move || {
                    (0..4)
                        .filter(|_| match reserve(store).get_timeout(HANG) {
                            Ok(permit) => {
                                permit.post("here", "");
                                true
                            }
                            Err(FutureError::Abandoned) => false,
                            Err(error) => panic!("{error}"),
                        })
                        .count()
                })
            })
            .collect();
        if round % 4 != 0 {
            std::thread::yield_now();
        }
        terminate(store);
        for waiter in waiters {
            let granted = waiter.join().unwrap();
            least = least.min(granted);
            most = most.max(granted);
        }
        assert_ne!(wait_timeout(store, HANG), WaitStatus::TimedOut);
    }
    assert!(
        least < 4 && most > 0,
        "the end came always last, or always first"
    );
}

#[test]
fn a_panic_of_who_waited_is_his_own() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let gate = stop(pid);
    post(pid, "one", "");
    let waits = reserve(pid);
    waits.on_ready(|_permit| panic!("of a callback"));
    gate.open();
    waits.get().unwrap().post("two", "");
    assert_eq!(told(store), ["one", "two"]);
    assert_eq!(runtime.stats().panicked, 0);
}

#[test]
fn one_runtime_waits_for_room_in_another() {
    let (here, there) = (runtime(1), runtime(1));
    let store = there
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let gate = stop(pid);
    let sender = here.spawn(Idle);
    let (tell, waits) = std::sync::mpsc::channel();
    let outcome = dispatch_with(sender, move |_, cx| {
        cx.send(pid, "fits", "");
        cx.send(pid, "refused", "");
        let me: Upid = cx.pid().into();
        let room = reserve(pid);
        tell.send(room.is_pending()).unwrap();
        room.then(move |permit: Permit<Pid<Store>>| {
            permit.dispatch_with(move |store, _| store.put(format!("for {}", !me.is_nobody())))
        })
    });
    assert_eq!(waits.recv_timeout(HANG), Ok(true));
    gate.open();
    assert_eq!(outcome.get(), Ok(2));
    assert_eq!(told(store), ["fits", "for true"]);
    // Where it was sent from, as all dead letters of workers.
    assert_eq!((here.stats().refused, there.stats().refused), (1, 0));
    // A permit outlives the runtime that it is of.
    let last = there.spawn_with(bounded(1), Store::default()).unwrap();
    let (permit, waits) = (try_reserve(last).unwrap(), reserve(last));
    drop(there);
    assert!(waits.is_abandoned());
    drop(permit);
}

#[test]
fn without_a_bound_there_is_always_room() {
    let runtime = runtime(1);
    let store = runtime.spawn_owned(Store::default());
    let pid = store.pid();
    let gate = stop(pid);
    let permits: Vec<_> = (0..1_000).map(|_| try_reserve(pid).unwrap()).collect();
    for permit in permits {
        permit.post("fits", "");
    }
    assert!(reserve(pid).is_ready());
    gate.open();
    assert_eq!(told(store).len(), 1_000);
}

#[test]
fn an_async_block_may_wait_within_the_process_it_waits_for() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let sent = dispatch_with(store.pid(), |_, cx| {
        let me = cx.pid();
        spawn_async(async move {
            for number in 0..10 {
                reserve(me)
                    .await?
                    .dispatch(Store::put, (number.to_string(),))
                    .detach();
            }
            reserve(me)
                .await?
                .dispatch(Store::put, ("last".to_owned(),))
                .await
        })
    });
    assert_eq!(sent.get().unwrap(), Ok(11));
}
