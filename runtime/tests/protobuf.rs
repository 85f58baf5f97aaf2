//! Messages that are protobuf messages: who serves them, what they are as bytes, whom a reply reaches, and what becomes of bodies that do not decode.
#![cfg(feature = "protobuf")]

mod common;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use bytes::Bytes;
use common::sockets::any;
use common::{HANG, Idle, Log, runtime};
use libprocess::{
    Context, DeadLetterReason, MessageEvent, Pid, Process, Promise, Runtime, Upid, dispatch_with,
    post, post_protobuf,
};
use prost::{Message, Name};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

#[derive(Clone, PartialEq, Message)]
struct Ask {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    text: String,
}

impl Name for Ask {
    const PACKAGE: &'static str = "tests.internal";
    const NAME: &'static str = "Ask";
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
}

impl Name for Answer {
    const PACKAGE: &'static str = "tests.internal";
    const NAME: &'static str = "Answer";
}

/// As prost-build names a message that is declared inside of another.
#[derive(Clone, PartialEq, Message)]
struct Inner {}

impl Name for Inner {
    const PACKAGE: &'static str = "tests.internal";
    const NAME: &'static str = "Inner";
    fn full_name() -> String {
        "tests.internal.Outer.Inner".to_owned()
    }
}

/// Answers with what it was asked.
struct Server;

impl Process for Server {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install_protobuf(Self::ask);
    }
}

impl Server {
    fn ask(&mut self, _from: &Upid, ask: Ask, cx: &mut Context<Self>) {
        let body = format!("{} {}", ask.number, ask.text).into();
        cx.reply(&Answer { body });
    }
}

/// Keeps the answers, and who gave them.
#[derive(Default)]
struct Client(Vec<(Upid, Bytes)>);

impl Process for Client {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install_protobuf::<Answer>(|client, from, answer, _cx| {
            client.0.push((from.clone(), answer.body));
        });
    }
}

fn ask(client: Pid<Client>, to: impl Into<Upid>, number: u32) {
    let (to, text) = (to.into(), "times".to_owned());
    dispatch_with(client, move |_, cx| {
        cx.send_protobuf(to, &Ask { number, text })
    })
    .get()
    .unwrap();
}

/// What it has by now. The runtime has one worker, so what those did who were asked before is done.
fn answers(client: Pid<Client>) -> Vec<(Upid, Bytes)> {
    dispatch_with(client, |client, _| client.0.clone())
        .get()
        .unwrap()
}

fn settle<P: Process>(pid: Pid<P>) {
    dispatch_with(pid, |_, _| ()).get().unwrap();
}

#[test]
fn a_message_is_served_by_the_handler_of_its_type_and_its_sender_answered() {
    let runtime = runtime(1);
    let server = runtime.spawn(Server);
    let client = runtime.spawn(Client::default());
    ask(client, server, 7);
    settle(server);
    // A peer has the name as text, and perhaps not at all what we would write.
    let field_by_field = b"\x12\x03two\x08\x01\x08\x02".to_vec();
    let forwarded = dispatch_with(client, move |_, cx| {
        cx.send(server, "tests.internal.".to_owned() + "Ask", field_by_field);
    });
    forwarded.get().unwrap();
    settle(server);
    let expected = ["7 times", "2 two"].map(|body| (server.upid(), Bytes::from(body)));
    assert_eq!(answers(client), expected);
    assert_eq!(runtime.stats().unhandled, 0);
}

#[test]
fn a_process_of_another_runtime_is_asked_and_answers() {
    struct Once {
        server: Upid,
        answered: Option<Promise<(String, Bytes)>>,
    }
    impl Process for Once {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.install_protobuf::<Answer>(|once, from, answer, _cx| {
                if let Some(answered) = once.answered.take() {
                    answered.set((from.to_string(), answer.body));
                }
            });
            let text = "hops".to_owned();
            cx.send_protobuf(&self.server, &Ask { number: 2, text });
        }
    }
    let [here, there] = [(); 2].map(|()| {
        let builder = Runtime::builder().workers(1).listen(any());
        builder.build().unwrap()
    });
    there.spawn_named("server", Server).unwrap();
    let server = Upid::new("server", there.address().unwrap());
    let name = server.to_string();
    let (answered, answer) = Promise::pair();
    here.spawn(Once {
        server,
        answered: Some(answered),
    });
    let answer = answer.get_timeout(HANG).unwrap();
    assert_eq!(answer, (name, Bytes::from("2 hops")));
}

#[test]
fn on_its_way_it_is_a_message_as_any_other() {
    #[derive(Default)]
    struct Keeping(Vec<(Cow<'static, str>, Upid, Bytes)>);
    impl Process for Keeping {
        fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
            let message = event.into_message();
            self.0.push((message.name, message.from, message.body));
        }
    }
    let runtime = runtime(1);
    let keeping = runtime.spawn(Keeping::default());
    let sender = runtime.spawn(Idle);
    let text = || "hi".to_owned();
    post_protobuf(
        keeping,
        &Ask {
            number: 300,
            text: text(),
        },
    );
    runtime.post_protobuf(keeping, &Inner {});
    let sent = dispatch_with(sender, move |_, cx| {
        cx.send_protobuf(
            keeping,
            &Ask {
                number: 1,
                text: text(),
            },
        );
    });
    sent.get().unwrap();
    let kept = dispatch_with(keeping, |keeping, _| keeping.0.clone());
    let kept = kept.get().unwrap();
    let expected = [
        (
            Cow::Borrowed("tests.internal.Ask"),
            Upid::nobody(),
            Bytes::from_static(b"\x08\xac\x02\x12\x02hi"),
        ),
        (
            Cow::Borrowed("tests.internal.Outer.Inner"),
            Upid::nobody(),
            Bytes::new(),
        ),
        (
            Cow::Borrowed("tests.internal.Ask"),
            sender.upid(),
            Bytes::from_static(b"\x08\x01\x12\x02hi"),
        ),
    ];
    assert_eq!(kept, expected);
    match (&kept[0].0, &kept[2].0) {
        (Cow::Borrowed(first), Cow::Borrowed(second)) => {
            assert!(std::ptr::eq(*first, *second), "the name is made once");
        }
        names => panic!("a name was made for a message: {names:?}"),
    }
}

#[test]
fn a_field_of_bytes_shares_the_body() {
    let runtime = runtime(1);
    let client = runtime.spawn(Client::default());
    let whole = Bytes::from(
        Answer {
            body: Bytes::from(vec![5; 1_000]),
        }
        .encode_to_vec(),
    );
    post(client, Answer::full_name(), whole.clone());
    let answers = answers(client);
    let field = &answers[0].1;
    assert_eq!(field.len(), 1_000);
    assert!(whole.as_ptr_range().contains(&field.as_ptr()));
}

#[test]
fn the_later_handler_counts_and_a_delegate_passes_on_who_asked() {
    struct Front(Pid<Server>);
    impl Process for Front {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.install_protobuf::<Ask>(|_, _from, _ask, cx| {
                let body = "front".into();
                cx.reply(&Answer { body });
            });
        }
    }
    let runtime = runtime(1);
    let server = runtime.spawn(Server);
    let front = runtime.spawn(Front(server));
    let client = runtime.spawn(Client::default());
    ask(client, front, 1);
    settle(front);
    dispatch_with(front, |front, cx| cx.delegate(Ask::full_name(), front.0))
        .get()
        .unwrap();
    ask(client, front, 2);
    settle(front);
    settle(server);
    dispatch_with(front, |_, cx| {
        // One that is of this process alone, as it keeps something.
        let kept = String::from("kept");
        cx.install_protobuf::<Ask>(move |_, _from, _ask, cx| {
            let body = kept.clone().into();
            cx.reply(&Answer { body });
        });
    })
    .get()
    .unwrap();
    ask(client, front, 3);
    settle(front);
    let expected = [
        (front.upid(), Bytes::from("front")),
        (server.upid(), Bytes::from("2 times")),
        (front.upid(), Bytes::from("kept")),
    ];
    assert_eq!(answers(client), expected);
}

/// Keeps lines of warnings, with their fields.
struct Warnings(Log);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        #[derive(Default)]
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.add(fields.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The warnings so far that speak of a process: there is one subscriber for all tests.
fn warnings(of: &Upid) -> Vec<String> {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Log::default();
        tracing::subscriber::set_global_default(Warnings(log.clone())).unwrap();
        log
    });
    let of = of.to_string();
    let mut lines = log.entries();
    lines.retain(|line| line.contains(&of));
    lines
}

#[test]
fn a_body_that_does_not_decode_is_logged_counted_and_dropped() {
    let runtime = runtime(1);
    let server = runtime.spawn_named("strict", Server).unwrap();
    let client = runtime.spawn_named("sloppy", Client::default()).unwrap();
    assert!(warnings(&client.upid()).is_empty());
    let malformed: [(&[u8], &str); 5] = [
        (b"\x08", "invalid varint"),
        (b"\x12\x05four", "buffer underflow"),
        (b"\x12\x01\xff", "UTF-8"),
        (b"\x0d\0\0\0\0", "wire type"),
        (b"\x00", "tag"),
    ];
    for (number, (body, reason)) in (1..).zip(malformed) {
        let body = body.to_vec();
        let sent = dispatch_with(client, move |_, cx| {
            cx.send(server, "tests.internal.Ask", body);
        });
        sent.get().unwrap();
        settle(server);
        assert_eq!(runtime.stats().unhandled, number);
        let warnings = warnings(&client.upid());
        assert_eq!(warnings.len() as u64, number);
        let line = &warnings[warnings.len() - 1];
        for part in [
            format!("from={client}"),
            format!("to={server}"),
            "name=\"tests.internal.Ask\"".to_owned(),
            reason.to_owned(),
        ] {
            assert!(line.contains(&part), "no {part:?} in {line:?}");
        }
    }
    // It goes on, and whom it could not hear it does not take for the one to answer.
    ask(client, server, 9);
    settle(server);
    assert_eq!(answers(client), [(server.upid(), Bytes::from("9 times"))]);
    assert_eq!(runtime.stats().dead_letters, 0);
}

/// The dead letters of a runtime: whom they were for, their names, and why they were lost.
fn lost(runtime: &Runtime) -> Vec<(Upid, String, DeadLetterReason)> {
    let letters = runtime.stats().last_dead_letters.into_iter();
    letters
        .map(|letter| (letter.to, letter.name.into_owned(), letter.reason))
        .collect()
}

#[test]
fn a_reply_to_nobody_is_a_dead_letter() {
    let runtime = runtime(1);
    let server = runtime.spawn_named("posted to", Server).unwrap();
    assert!(warnings(&server.upid()).is_empty());
    post_protobuf(server, &Ask::default());
    settle(server);
    let to_nobody = (
        Upid::nobody(),
        "tests.internal.Answer".to_owned(),
        DeadLetterReason::Nobody,
    );
    assert_eq!(lost(&runtime), std::slice::from_ref(&to_nobody));
    // Whoever posts is no mistake of the process that is posted to.
    assert!(warnings(&server.upid()).is_empty());

    let client = runtime.spawn(Client::default());
    ask(client, server, 1);
    settle(server);
    assert_eq!(answers(client).len(), 1);
    // Not to the one that was answered last.
    dispatch_with(server, |_, cx| cx.reply(&Answer::default()))
        .get()
        .unwrap();
    assert_eq!(lost(&runtime), [to_nobody.clone(), to_nobody]);
    assert_eq!(answers(client).len(), 1);
    let warnings = warnings(&server.upid());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("name=\"tests.internal.Answer\""));
}

#[test]
fn a_handler_that_has_another_message_served_still_answers_its_own() {
    /// Keeps the first message, serves it inside of the handler of the second, where that panics, and answers then.
    #[derive(Default)]
    struct Keeping {
        first: Option<MessageEvent>,
    }
    impl Process for Keeping {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.install_protobuf::<Ask>(|_, _from, ask, cx| {
                assert_ne!(ask.number, 13, "as wanted");
                let body = ask.number.to_string().into();
                cx.reply(&Answer { body });
            });
            cx.install_protobuf::<Inner>(|keeping, _from, _inner, cx| {
                let first = keeping.first.take().expect("one before");
                let _panicked = catch_unwind(AssertUnwindSafe(|| cx.handle(keeping, first)));
                let body = "inner".into();
                cx.reply(&Answer { body });
            });
        }
        fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
            if event.name == Ask::full_name() {
                self.first = Some(event);
            } else {
                cx.handle(self, event);
            }
        }
    }
    let runtime = runtime(1);
    let keeping = runtime.spawn(Keeping::default());
    let [one, two] = [(); 2].map(|()| runtime.spawn(Client::default()));
    for number in [12, 13] {
        ask(one, keeping, number);
        dispatch_with(two, move |_, cx| cx.send_protobuf(keeping, &Inner {}))
            .get()
            .unwrap();
        settle(keeping);
    }
    assert_eq!(answers(one), [(keeping.upid(), Bytes::from("12"))]);
    let inner = (keeping.upid(), Bytes::from("inner"));
    assert_eq!(answers(two), [inner.clone(), inner]);
    assert_eq!(runtime.stats().dead_letters, 0);
}
