//! Many connections, in a process that does nothing else: so its descriptors can be counted.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::answers::{body, one};
use common::serving::{Desk, Place, Serving, ask, ends, on_each, on_each_reactor, reset, until};
use common::sockets::{LONG, any};
use libprocess::http::Limits;
use libprocess::net::{ListenOptions, TcpStream as Stream};

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd");
    descriptors.expect("the process's descriptors").count()
}

/// Has the drivers of all workers made, with what they have for good.
fn warm_up(place: &Place) {
    place.inside(|| {
        let listeners = ListenOptions::new().bind_per_worker(any());
        let listeners = listeners.expect("listeners");
        for listener in &listeners {
            let address = listener.local_address().expect("an address");
            let accepting = listener.accept();
            let connected = Stream::connect(address).get_timeout(LONG);
            connected.expect("connected");
            accepting.discard();
        }
    });
}

/// What there is now, but for what others are still giving back.
struct Before {
    alive: u64,
    descriptors: usize,
}

impl Before {
    fn of(place: &Place) -> Self {
        Self {
            alive: place.runtime.stats().alive,
            descriptors: open(),
        }
    }

    #[track_caller]
    fn comes_back(&self, place: &Place) {
        until(|| place.runtime.stats().alive <= self.alive);
        // ThreadSanitizer has pipes to a process that names the places of its reports, from the first one on.
        if !cfg!(libprocess_tsan) {
            until(|| open() <= self.descriptors);
        }
    }
}

#[test]
fn a_thousand_that_say_nothing_do_not_keep_others_from_being_served() {
    const IDLE: usize = 1_000;
    let _alone = alone();
    on_each_reactor(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        warm_up(place);
        let serving = place.serve(Limits::new(), Desk::default().handler());
        drop(serving.acquainted());
        let before = Before::of(place);
        // Half of them have said something once.
        let mut idle: Vec<_> = (0..IDLE)
            .map(|number| match number % 2 {
                0 => serving.connect(),
                _ => serving.acquainted(),
            })
            .collect();
        let mut busy = serving.acquainted();
        for _ in 0..200 {
            ask(&mut busy, "/hello");
            assert_eq!(body(&one(&mut busy)), "hello");
        }
        // All of them at a time.
        until(|| place.runtime.stats().alive >= IDLE as u64);
        drop(busy);
        clock.advance(Duration::from_secs(75));
        idle.iter_mut().for_each(ends);
        drop(idle);
        before.comes_back(place);
    });
}

/// Brings a connection somewhere.
type Reach = fn(&mut TcpStream, &Desk);

/// What a client has done when it resets its connection.
const STATES: [(&str, Reach); 9] = [
    ("had said nothing", |_, _| {}),
    ("said half a head", |stream, _| say(stream, "GET / HT")),
    ("said half a body", |stream, _| {
        say(
            stream,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
        );
    }),
    ("said half a chunk", |stream, _| {
        say(
            stream,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        );
    }),
    ("asked", |stream, _| ask(stream, "/hello")),
    ("had an answer", |stream, _| {
        ask(stream, "/hello");
        one(stream);
    }),
    ("waited for a handler", |stream, desk| {
        ask(stream, "/hold");
        until(|| desk.held() > 0);
    }),
    ("waited for a last answer", |stream, desk| {
        say(
            stream,
            "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        );
        until(|| desk.held() > 0);
    }),
    ("had the beginning of much", |stream, _| {
        ask(stream, "/large");
        stream.read_exact(&mut [0; 100]).expect("a beginning");
    }),
];

fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("sent");
}

#[test]
fn who_resets_in_any_state_leaves_nothing_behind() {
    const ROUNDS: usize = 10;
    let _alone = alone();
    on_each(|place| {
        // Nothing ends by its time.
        place.runtime.clock().pause();
        warm_up(place);
        let desk = Desk::default();
        let serving = place.serve(Limits::new(), desk.handler());
        drop(serving.acquainted());
        let before = Before::of(place);
        for (state, reach) in STATES {
            for _ in 0..ROUNDS {
                let mut stream = serving.connect();
                reach(&mut stream, &desk);
                reset(stream);
                for held in desk.take() {
                    until(|| held.has_discard());
                }
            }
            println!("{}: reset when it {state}", place.name);
            before.comes_back(place);
        }
        // By the server's end.
        let mut streams: Vec<_> = (0..ROUNDS).map(|_| serving.connect()).collect();
        for (stream, (_, reach)) in streams.iter_mut().zip(STATES) {
            reach(stream, &desk);
        }
        let Serving {
            server, running, ..
        } = serving;
        drop(server);
        running.get_timeout(LONG).expect("it has run");
        for held in desk.take() {
            until(|| held.has_discard());
        }
        drop(streams);
        before.comes_back(place);
    });
}
