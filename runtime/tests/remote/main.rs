//! Messages and links between runtimes, and with a C++ libprocess as it was recorded, on both reactors.

#[path = "../common/mod.rs"]
mod common;

mod hardships;
mod links;
mod messages;
mod mutual;
mod peers;
mod wire;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use common::sockets::{FAULTS, LONG, REACTORS, any};
use common::{HANG, scale};
use libprocess::{
    Context, ExitedEvent, MessageEvent, Process, ReactorKind, RemoteConnection, RemoteOptions,
    Runtime, RuntimeBuilder, SpawnOptions, Upid,
};

/// Which reactor, how many workers, and which faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    reactor: ReactorKind,
    workers: usize,
    faults: Option<u64>,
}

impl Kind {
    /// A runtime that listens.
    fn build(self, set_up: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Runtime {
        let mut builder = Runtime::builder()
            .workers(self.workers)
            .reactor(self.reactor)
            .listen(any());
        if let Some(seed) = self.faults {
            builder = builder.io_faults(seed);
        }
        set_up(builder).build().expect("a runtime")
    }

    /// As `plain`, with a heartbeat of six seconds, and with a clock that is paused.
    fn with_heartbeat(self, further: impl FnOnce(RemoteOptions) -> RemoteOptions) -> Runtime {
        let options = RemoteOptions::new()
            .negotiate_links(false)
            .heartbeat(Some(Duration::from_secs(6)));
        let runtime = self.build(|builder| builder.remote(further(options)));
        runtime.clock().pause();
        runtime
    }

    /// As `runtime`, of which a peer that a test plays hears what a C++ libprocess would say, and nothing else.
    fn plain(self) -> Runtime {
        let options = RemoteOptions::new().negotiate_links(false);
        self.build(|builder| builder.remote(options))
    }

    fn runtime(self) -> Runtime {
        self.build(|builder| builder)
    }
}

/// Seconds pass, of a clock that is paused, once all that is under way is done.
pub(crate) fn pass(runtime: &Runtime, seconds: u64) {
    let clock = runtime.clock();
    clock.settle().expect("outside of a process, and paused");
    clock.advance(Duration::from_secs(seconds));
}

/// On both reactors, with one worker and with some, and with faults.
pub(crate) fn on_each(test: impl Fn(Kind)) {
    let seeds = (0..FAULTS * scale() as u64).map(Some);
    for faults in std::iter::once(None).chain(seeds) {
        for reactor in REACTORS {
            for workers in [1, 2] {
                let kind = Kind {
                    reactor: *reactor,
                    workers,
                    faults,
                };
                println!("{kind:?}");
                test(kind);
            }
        }
    }
}

/// What a [`Station`] was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Message {
        name: String,
        from: Upid,
        body: Vec<u8>,
    },
    Exited(Upid, String),
}

/// A process that tells a test what it is served, and answers `ping` with `pong`.
pub(crate) struct Station(Sender<Served>);

impl Process for Station {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        if event.name == "ping" {
            cx.send(&event.from, "pong", event.body.clone());
        }
        // The test may have heard enough.
        let _ = self.0.send(Served::Message {
            name: event.name.to_string(),
            from: event.from.clone(),
            body: event.body.to_vec(),
        });
    }

    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        let exited = Served::Exited(event.pid, event.reason.to_string());
        let _ = self.0.send(exited);
    }
}

/// A station, as a test has it.
pub(crate) struct At {
    pid: libprocess::Pid<Station>,
    served: Receiver<Served>,
}

pub(crate) fn station(runtime: &Runtime, id: &str) -> At {
    let (tell, served) = channel();
    let pid = runtime
        .spawn_with(SpawnOptions::new().name(id), Station(tell))
        .expect("a name that is free");
    At { pid, served }
}

impl At {
    /// As others call it.
    fn upid(&self) -> Upid {
        self.pid.to_string().parse().expect("its own text")
    }

    /// Has it do something, and waits for that.
    fn does(&self, what: impl FnOnce(&mut Context<Station>) + Send + 'static) {
        let done = libprocess::dispatch_with(self.pid, |_, cx| what(cx));
        done.get_timeout(LONG).expect("it was done");
    }

    fn send(&self, to: &Upid, name: &str, body: &[u8]) {
        let (to, name, body) = (to.clone(), name.to_owned(), body.to_vec());
        self.does(move |cx| cx.send(&to, name, body));
    }

    fn link(&self, to: &Upid, connection: RemoteConnection) {
        let to = to.clone();
        self.does(move |cx| cx.link_with(&to, connection));
    }

    #[track_caller]
    fn next(&self) -> Served {
        self.served
            .recv_timeout(HANG)
            .expect("it is served something")
    }

    #[track_caller]
    fn message(&self) -> (String, Upid, Vec<u8>) {
        match self.next() {
            Served::Message { name, from, body } => (name, from, body),
            other => panic!("no message: {other:?}"),
        }
    }

    #[track_caller]
    fn exited(&self) -> Upid {
        match self.next() {
            Served::Exited(pid, _) => pid,
            other => panic!("no exit: {other:?}"),
        }
    }

    /// That it has been served nothing else.
    #[track_caller]
    fn has_no_more(&self) {
        assert_eq!(self.served.try_recv().ok(), None);
    }
}

/// The next connection to a listener of a test's.
#[track_caller]
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("an option");
    let deadline = Instant::now() + LONG;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("an option");
                stream.set_read_timeout(Some(LONG)).expect("an option");
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "no connection comes");
                std::thread::yield_now();
            }
            Err(error) => panic!("no connection: {error}"),
        }
    }
}

/// The name of a process that is nobody's.
pub(crate) fn upid(id: &str, address: SocketAddr) -> Upid {
    Upid::new(id, address)
}
