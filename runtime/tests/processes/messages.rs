//! Messages, handlers, delegates, dispatches, and overriding how they are served.

use crate::common::{Idle, Log, Logging, gate, runtime};
use libprocess::{
    Context, DispatchEvent, DispatchIdentity, Event, EventKind, MessageEvent, Process, Upid,
    dispatch, dispatch_with, post, request,
};

struct Adder {
    sum: i64,
}

impl Process for Adder {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("add", Self::on_add);
        cx.install("get", Self::on_get);
        cx.install("clear", |adder, _event, _cx| adder.sum = 0);
    }
}

impl Adder {
    fn on_add(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.sum += i64::from(event.body[0]);
    }

    fn on_get(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        cx.send(&event.from, "sum", self.sum.to_string());
    }

    fn sum(&mut self) -> i64 {
        self.sum
    }
}

/// Asks another process, and keeps what it answers.
#[derive(Default)]
struct Asking {
    answers: Vec<(String, Upid, Vec<u8>)>,
}

impl Process for Asking {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let message = event.into_message();
        self.answers.push((
            message.name.into_owned(),
            message.from,
            message.body.to_vec(),
        ));
    }
}

#[test]
fn messages_are_served_by_the_handler_of_their_name() {
    let runtime = runtime(2);
    let adder = runtime.spawn_owned(Adder { sum: 0 });
    post(adder.pid(), "add", vec![3]);
    post(adder.pid(), "add", vec![4]);
    assert_eq!(dispatch(adder.pid(), Adder::sum, ()).get(), Ok(7));
    post(adder.pid(), "clear", "");
    post(adder.pid(), "nobody handles this", "");
    // The same name made at run time is the same name.
    post(adder.pid(), String::from("add"), vec![5]);
    assert_eq!(dispatch(adder.pid(), Adder::sum, ()).get(), Ok(5));
    assert_eq!(runtime.stats().unhandled, 1);
}

#[test]
fn an_answer_comes_from_the_one_who_was_asked() {
    let runtime = runtime(2);
    let adder = runtime.spawn(Adder { sum: 5 });
    let asking = runtime.spawn_owned(Asking::default());
    let asked = dispatch_with(asking.pid(), move |_, cx| cx.send(adder, "get", ""));
    asked.get().unwrap();
    // Behind the question; then behind the answer.
    dispatch(adder, Adder::sum, ()).get().unwrap();
    let answers = dispatch_with(asking.pid(), |asking, _| asking.answers.clone())
        .get()
        .unwrap();
    assert_eq!(answers, [("sum".to_owned(), adder.upid(), b"5".to_vec())]);
}

#[test]
fn a_delegate_gets_the_message_with_its_original_sender() {
    struct Front(Upid);
    impl Process for Front {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.delegate("get", self.0.clone());
        }
    }
    let runtime = runtime(1);
    let adder = runtime.spawn(Adder { sum: 9 });
    let front = runtime.spawn(Front(adder.upid()));
    let asking = runtime.spawn_owned(Asking::default());
    dispatch_with(asking.pid(), move |_, cx| cx.send(front, "get", ""))
        .get()
        .unwrap();
    dispatch_with(front, |_, _| ()).get().unwrap();
    dispatch(adder, Adder::sum, ()).get().unwrap();
    let answers = dispatch_with(asking.pid(), |asking, _| asking.answers.clone())
        .get()
        .unwrap();
    assert_eq!(answers, [("sum".to_owned(), adder.upid(), b"9".to_vec())]);
}

#[test]
fn a_handler_can_be_replaced_also_by_itself_while_it_runs() {
    struct Changing(Log);
    impl Process for Changing {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            let state = String::from("captured");
            cx.install(
                "say",
                move |changing: &mut Self, _event, cx: &mut Context<Self>| {
                    cx.install(
                        "say",
                        |changing: &mut Self, _event, _cx: &mut Context<Self>| {
                            changing.0.add("second");
                        },
                    );
                    // Still alive, though it was replaced.
                    changing.0.add(format!("first, {state}"));
                },
            );
        }
    }
    let runtime = runtime(1);
    let log = Log::default();
    let pid = runtime.spawn(Changing(log.clone()));
    post(pid, "say", "");
    post(pid, "say", "");
    dispatch_with(pid, |_, _| ()).get().unwrap();
    assert_eq!(log.entries(), ["first, captured", "second"]);
}

#[test]
fn many_handlers_of_one_process_are_all_found() {
    struct Many(Vec<usize>);
    impl Process for Many {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            const NAMES: [&str; 20] = [
                "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
                "q", "r", "s", "t",
            ];
            for name in NAMES {
                cx.install(name, |many, event, _| {
                    many.0.push(usize::from(event.name.as_bytes()[0] - b'a'));
                });
            }
        }
    }
    let runtime = runtime(1);
    let many = runtime.spawn_owned(Many(Vec::new()));
    for letter in 'a'..='t' {
        post(many.pid(), letter.to_string(), "");
    }
    many.terminate_after_pending();
    assert_eq!(many.join().unwrap().0, (0..20).collect::<Vec<_>>());
}

#[test]
fn serve_and_consume_can_be_overridden() {
    #[derive(Default)]
    struct Overriding {
        kinds: Vec<EventKind>,
        identities: Vec<DispatchIdentity>,
    }
    impl Process for Overriding {
        fn serve(&mut self, event: Event<Self>, cx: &mut Context<Self>) {
            self.kinds.push(event.kind());
            match event {
                Event::Dispatch(event) => self.consume_dispatch(event, cx),
                Event::Http(event) => self.consume_http(event, cx),
                _ => {}
            }
        }
        fn consume_dispatch(&mut self, event: DispatchEvent<Self>, cx: &mut Context<Self>) {
            self.identities.push(event.identity());
            event.run(self, cx);
        }
    }
    impl Overriding {
        fn method(&mut self) {}
    }
    let runtime = runtime(1);
    let overriding = runtime.spawn_owned(Overriding::default());
    post(overriding.pid(), "a", "");
    drop(dispatch(overriding.pid(), Overriding::method, ()));
    let line = line!() + 1;
    drop(dispatch_with(overriding.pid(), |_, _| ()));
    let response = request(overriding.pid(), http::Request::new(""));
    assert_eq!(response.get().unwrap().status(), 404);
    overriding.terminate();
    let overriding = overriding.join().unwrap();
    use EventKind::{Dispatch, Http, Message, Terminate};
    assert_eq!(
        overriding.kinds,
        [Message, Dispatch, Dispatch, Http, Terminate]
    );
    match overriding.identities[..] {
        [
            DispatchIdentity::Method { name, .. },
            DispatchIdentity::Closure { location },
        ] => {
            assert!(name.ends_with("Overriding::method"), "{name}");
            assert_eq!((location.file(), location.line()), (file!(), line));
        }
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn pending_events_can_be_counted_by_kind() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let (door, stop) = gate();
    let counts = dispatch_with(pid, move |_, cx| {
        stop();
        EventKind::ALL.map(|kind| cx.event_count(kind))
    });
    door.wait_until_reached();
    post(pid, "a", "");
    post(pid, "b", "");
    post(pid, "c", "");
    drop(dispatch_with(pid, |_, _| ()));
    door.open();
    assert_eq!(counts.get(), Ok([3, 1, 0, 0, 0]));
    // Counting loses nothing.
    dispatch_with(pid, |_, _| ()).get().unwrap();
    assert_eq!(runtime.stats().events.messages, 3);
    assert_eq!(runtime.stats().events.dispatches, 3);
}

#[test]
fn a_future_of_a_value_that_cannot_be_cloned_comes_out_by_value() {
    struct Unique(String);
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let length = dispatch_with(pid, |_, _| Unique("four".into())).then(|unique| unique.0);
    assert_eq!(length.get().unwrap(), "four");
}

#[test]
fn messages_between_runtimes_arrive() {
    let one = runtime(1);
    let two = runtime(1);
    let log = Log::default();
    let there = two.spawn_owned(Logging::new(&log));
    let to = there.pid();
    let here = one.spawn(Idle);
    dispatch_with(here, move |_, cx| {
        for _ in 0..100 {
            cx.send(to, "over", "");
        }
    })
    .get()
    .unwrap();
    dispatch_with(to, |_, _| ()).get().unwrap();
    assert_eq!(
        log.entries()
            .iter()
            .filter(|entry| *entry == "message over")
            .count(),
        100
    );
    assert_eq!(two.stats().events.messages, 100);
}
