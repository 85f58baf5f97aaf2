//! Mailboxes with a capacity: who is refused, who never is, and that nothing is lost.

use crate::common::store::{Store, bounded, stop, told};
use crate::common::{Gate, Idle, Log, Logging, gate, runtime, scale};
use libprocess::testing::{Filtered, inject, messages};
use libprocess::{
    Context, DeadLetterReason, EventKind, FutureError, MessageEvent, Pid, Process, Runtime,
    TrySendError, Upid, defer_with, delay_with, dispatch, dispatch_with, post, request, reserve,
    terminate, terminate_with, try_dispatch, try_dispatch_with, try_post, try_reserve, wait,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn what_does_not_fit_is_refused_in_the_way_of_its_kind() {
    let runtime = runtime(2);
    let store = runtime
        .spawn_owned_with(bounded(3), Store::default())
        .unwrap();
    let pid = store.pid();
    let gate = stop(pid);
    for name in ["a", "b", "c"] {
        post(pid, name, "");
    }
    post(pid, "refused", "");
    let full = match dispatch(pid, Store::put, ("refused".to_owned(),)).get() {
        Err(FutureError::Full(full)) => full,
        other => panic!("{other:?}"),
    };
    assert_eq!(full.process(), pid);
    // An error's text says what is known, and its runtime was not asked where it is.
    assert_eq!(
        full.to_string(),
        format!(
            "the mailbox of {}@0.0.0.0:0 is full",
            pid.upid().id().unwrap()
        )
    );
    let refused = dispatch_with(pid, |store, _| store.told.len());
    assert!(refused.is_failed());
    assert!(matches!(
        request(pid, http::Request::new("")).get(),
        Err(FutureError::Full(_))
    ));
    match try_post(pid, "back", "body") {
        Err(TrySendError::Full(message)) => {
            assert_eq!((&*message.name, &message.body[..]), ("back", &b"body"[..]));
        }
        other => panic!("{other:?}"),
    }
    match try_dispatch(pid, Store::put, ("back".to_owned(),)) {
        Err(TrySendError::Full((_method, (argument,)))) => assert_eq!(argument, "back"),
        other => panic!("{other:?}"),
    }
    let kept = "kept".to_owned();
    match try_dispatch_with(pid, move |store, _| store.put(kept)) {
        Err(error) => {
            assert!(error.is_full());
            // The closure is ours again, and works.
            assert_eq!(dispatch_with_later(&runtime, error.into_inner()), 1);
        }
        Ok(future) => panic!("{future:?}"),
    }
    assert!(try_reserve(pid).unwrap_err().is_full());

    let statistics = runtime.stats();
    assert_eq!((statistics.dead_letters, statistics.refused), (4, 4));
    let last = &statistics.last_dead_letters;
    assert!(
        last.iter()
            .all(|letter| letter.reason == DeadLetterReason::Full && letter.to == pid)
    );
    assert_eq!(last[0].name, "refused");
    assert_eq!(last[0].reason.to_string(), "full");
    assert_eq!(
        last.iter().map(|letter| letter.kind).collect::<Vec<_>>(),
        [
            EventKind::Message,
            EventKind::Dispatch,
            EventKind::Dispatch,
            EventKind::Http
        ]
    );
    gate.open();
    assert_eq!(told(store), ["a", "b", "c"]);
}

fn dispatch_with_later<F>(runtime: &Runtime, closure: F) -> usize
where
    F: FnOnce(&mut Store, &mut Context<Store>) -> usize + Send + 'static,
{
    let another = runtime.spawn_owned(Store::default());
    dispatch_with(another.pid(), closure).get().unwrap()
}

#[test]
fn a_failure_for_want_of_room_can_be_repaired_and_is_told() {
    let runtime = runtime(1);
    let nothing = runtime
        .spawn_owned_with(bounded(0), Store::default())
        .unwrap();
    let told = Log::default();
    let of_callback = told.clone();
    let refused = dispatch(nothing.pid(), Store::put, (String::new(),));
    refused.on_failed(move |message| of_callback.add(message));
    let repaired = refused.repair(|error| match error {
        FutureError::Full(_) => 7,
        other => panic!("{other}"),
    });
    assert_eq!(repaired.get(), Ok(7));
    assert!(
        told.entries()[0].contains("is full"),
        "{:?}",
        told.entries()
    );
}

/// Counts per sender, and looks whether more wait than may.
struct Counting {
    capacity: usize,
    last: Vec<u64>,
    served: Arc<AtomicU64>,
}

impl Process for Counting {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        let waiting = cx.event_count(EventKind::Message) + cx.event_count(EventKind::Dispatch);
        assert!(waiting <= self.capacity, "{waiting} wait");
        let sender = usize::from(event.body[0]);
        let number = u64::from_le_bytes(event.body[1..9].try_into().unwrap());
        assert!(self.last[sender] < number, "out of order");
        self.last[sender] = number;
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

fn body(sender: usize, number: u64) -> Vec<u8> {
    let mut body = vec![u8::try_from(sender).unwrap()];
    body.extend(number.to_le_bytes());
    body
}

#[test]
fn what_is_delivered_and_what_is_refused_is_what_was_sent() {
    const SENDERS: usize = 4;
    let each = 5_000 * scale() as u64;
    for capacity in [1, 2, 16] {
        let runtime = runtime(2);
        let served = Arc::new(AtomicU64::new(0));
        let counting = runtime
            .spawn_owned_with(
                bounded(capacity),
                Counting {
                    capacity: capacity as usize,
                    last: vec![0; SENDERS],
                    served: Arc::clone(&served),
                },
            )
            .unwrap();
        let pid = counting.pid();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                std::thread::spawn(move || {
                    let mut given_back = 0;
                    for number in 1..=each {
                        // All ways to send.
                        match number % 4 {
                            0 => {
                                let sent = reserve(pid).get().unwrap();
                                sent.post("numbered", body(sender, number));
                            }
                            1 => {
                                given_back += u64::from(
                                    try_post(pid, "numbered", body(sender, number)).is_err(),
                                )
                            }
                            2 => drop(try_reserve(pid)),
                            _ => post(pid, "numbered", body(sender, number)),
                        }
                    }
                    given_back
                })
            })
            .collect();
        let given_back: u64 = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        counting.terminate_after_pending();
        assert!(counting.join().is_ok());
        let refused = runtime.stats().refused;
        assert_eq!(
            served.load(Ordering::Relaxed) + refused + given_back,
            SENDERS as u64 * each * 3 / 4,
            "capacity {capacity}"
        );
        assert!(refused + given_back > 0, "the mailbox was never full");
    }
}

#[test]
fn who_reserves_loses_nothing() {
    let each = 2_000 * scale() as u64;
    let runtime = runtime(2);
    let served = Arc::new(AtomicU64::new(0));
    let counting = runtime
        .spawn_owned_with(
            bounded(3),
            Counting {
                capacity: 3,
                last: vec![0; 8],
                served: Arc::clone(&served),
            },
        )
        .unwrap();
    let pid = counting.pid();
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            runtime.spawn_async(async move {
                for number in 1..=each {
                    reserve(pid)
                        .await
                        .unwrap()
                        .post("numbered", body(sender, number));
                }
            })
        })
        .collect();
    for sender in senders {
        sender.get().unwrap();
    }
    counting.terminate_after_pending();
    assert!(counting.join().is_ok());
    assert_eq!(served.load(Ordering::Relaxed), 8 * each);
    assert_eq!(runtime.stats().dead_letters, 0);
}

#[test]
fn a_full_mailbox_takes_the_request_to_end() {
    for inject in [true, false] {
        let runtime = runtime(1);
        let log = Log::default();
        let pid = runtime.spawn_with(bounded(2), Logging::new(&log)).unwrap();
        let gate = stop(pid);
        post(pid, "one", "");
        post(pid, "two", "");
        post(pid, "refused", "");
        terminate_with(pid, inject);
        gate.open();
        assert!(wait(pid).has_ended());
        let served: &[&str] = if inject {
            &["initialize", "terminate", "finalize", "drop"]
        } else {
            &[
                "initialize",
                "message one",
                "message two",
                "terminate",
                "finalize",
                "drop",
            ]
        };
        assert_eq!(log.entries(), served);
        let statistics = runtime.stats();
        let unserved = if inject { 2 } else { 0 };
        assert_eq!(statistics.dead_letters, 1 + unserved);
        assert_eq!(statistics.refused, 1);
    }
}

#[test]
fn a_full_mailbox_takes_the_news_of_an_end_in_its_place() {
    let runtime = runtime(2);
    let other = runtime.spawn(Idle);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    dispatch_with(pid, move |_, cx| cx.link(other))
        .get()
        .unwrap();
    let gate = stop(pid);
    post(pid, "before", "");
    terminate(other);
    wait(other);
    assert!(inject::exited(other, pid));
    post(pid, "refused", "");
    gate.open();
    assert_eq!(told(store), ["before", "exited", "exited"]);
    assert_eq!(runtime.stats().refused, 1);
}

#[test]
fn a_full_mailbox_takes_what_the_process_is_owed() {
    let runtime = runtime(2);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let promise = libprocess::Promise::new();
    let deferred = promise
        .future()
        .then(defer_with(pid, |store, _, entry: &str| {
            store.put(entry.to_owned())
        }));
    let gate = stop(pid);
    post(pid, "first", "");
    promise.set("deferred");
    runtime.clock().pause();
    delay_with(Duration::from_secs(1), pid, |store, _| {
        store.put("delayed".to_owned())
    });
    let later = runtime.clock().sleep(Duration::from_secs(2));
    runtime.clock().advance(Duration::from_secs(2));
    later.get().unwrap(); // so the earlier one has fired
    post(pid, "refused", "");
    gate.open();
    runtime.clock().resume();
    assert_eq!(deferred.get(), Ok(2));
    assert_eq!(told(store), ["first", "deferred", "delayed"]);
}

#[test]
fn an_event_that_is_served_does_not_wait() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let sent = dispatch_with(store.pid(), |_, cx| {
        let me = cx.pid();
        (
            cx.try_send(me, "fits", "").is_ok(),
            cx.try_send(me, "does not", "").is_ok(),
        )
    });
    assert_eq!(sent.get(), Ok((true, false)));
    assert_eq!(told(store), ["fits"]);
}

#[test]
fn a_dropped_or_held_event_gives_its_room_back() {
    let runtime = runtime(1);
    let store = runtime
        .spawn_owned_with(bounded(1), Store::default())
        .unwrap();
    let pid = store.pid();
    let dropped = messages().named("dropped").drop_next(&runtime);
    post(pid, "dropped", "");
    dropped.get().unwrap();
    let held = messages().named("held").hold_next(&runtime);
    reserve(pid).get().unwrap().post("held", "");
    let held = held.get().unwrap();
    let gate = stop_when_room(pid);
    post(pid, "fits", "");
    assert!(try_reserve(pid).is_err());
    // It was let in before.
    assert!(held.release());
    gate.open();
    assert_eq!(told(store), ["fits", "held"]);
}

/// As `stop`, where something may be on its way.
fn stop_when_room(pid: Pid<Store>) -> Gate {
    let (gate, stop) = gate();
    let permit = reserve(pid).get().unwrap();
    drop(permit.dispatch_with(move |_, _| stop()));
    gate.wait_until_reached();
    gate
}

#[test]
fn a_text_address_meets_the_same_bound() {
    let runtime = runtime(1);
    let options = bounded(1).name("store");
    let store = runtime.spawn_owned_with(options, Store::default()).unwrap();
    let pid = store.pid();
    let address: Upid = pid.to_string().parse().unwrap();
    let gate = stop(pid);
    runtime.post(&address, "fits", "");
    runtime.post(&address, "refused", "");
    assert!(
        runtime
            .try_post(&address, "back", "")
            .unwrap_err()
            .is_full()
    );
    assert!(runtime.try_reserve(&address).unwrap_err().is_full());
    let waits = runtime.reserve(&address);
    assert!(waits.is_pending());
    gate.open();
    waits.get().unwrap().post("waited", "");
    assert_eq!(told(store), ["fits", "waited"]);
    assert_eq!(runtime.stats().refused, 1);

    let nobody = Upid::new("nobody", runtime.address().unwrap());
    assert!(matches!(
        runtime.try_post(&nobody, "", ""),
        Err(TrySendError::Ended(_))
    ));
    assert!(matches!(
        runtime.reserve(&nobody).get(),
        Err(FutureError::Abandoned)
    ));
    runtime.post(&nobody, "", "");
    let last = runtime.stats().last_dead_letters.pop().unwrap();
    assert_eq!(last.reason, DeadLetterReason::Nobody);
}

#[test]
fn a_capacity_of_zero_lets_in_what_is_never_refused() {
    let runtime = runtime(1);
    let other = runtime.spawn(Idle);
    let store = runtime
        .spawn_owned_with(bounded(0), Store::default())
        .unwrap();
    post(store.pid(), "refused", "");
    let waits = reserve(store.pid());
    assert!(inject::exited(other, store.pid()));
    assert_eq!(told(store), ["exited"]);
    assert!(waits.is_abandoned());
}
