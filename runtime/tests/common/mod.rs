//! What the behaviour tests share.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

pub mod answers;
pub mod http;
pub mod quarantine;
pub mod serving;
pub mod sockets;
pub mod store;
pub mod tcp_table;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::{Context, ExitedEvent, MessageEvent, Process, Runtime, TerminateEvent, Upid};

/// How long a test waits for what must happen: only a hang reaches it.
pub const HANG: Duration = Duration::from_secs(60);

/// Locks without std's slow path, which ThreadSanitizer does not see where std is not instrumented.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// How many times slower than usual a machine may be where a test has to bound a time: `LIBPROCESS_TEST_SLOWNESS`, set by `scripts/old-kernels` for its emulated ones.
pub fn slowness() -> u32 {
    times("LIBPROCESS_TEST_SLOWNESS")
}

/// How many times as long a stress test runs as usual: `LIBPROCESS_TEST_SCALE`, set by `scripts/verify`.
pub fn scale() -> usize {
    times("LIBPROCESS_TEST_SCALE") as usize
}

/// What a variable of the environment says; once, where it is not set.
fn times(variable: &str) -> u32 {
    std::env::var(variable).map_or(1, |times| {
        times
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// This program again, as a process of its own, which runs but that one of its tests: one that is ignored otherwise.
pub fn again(test: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}

pub fn runtime(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .build()
        .expect("a runtime")
}

/// What happened, in order, from any thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, entry: impl Into<String>) {
        lock(&self.0).push(entry.into());
    }

    pub fn entries(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// A process that logs what it is served, and its own stages.
pub struct Logging {
    pub log: Log,
    pub link_to: Option<Upid>,
}

impl Logging {
    pub fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            link_to: None,
        }
    }

    pub fn linked(log: &Log, to: impl Into<Upid>) -> Self {
        Self {
            log: log.clone(),
            link_to: Some(to.into()),
        }
    }
}

impl Process for Logging {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        self.log.add("initialize");
        if let Some(to) = self.link_to.take() {
            cx.link(to);
        }
    }

    fn finalize(&mut self, _cx: &mut Context<Self>) {
        self.log.add("finalize");
    }

    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.log.add(format!("message {}", event.name));
    }

    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        self.log
            .add(format!("exited {} {}", event.id, event.reason));
    }

    fn consume_terminate(&mut self, _event: TerminateEvent, _cx: &mut Context<Self>) {
        self.log.add("terminate");
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.log.add("drop");
    }
}

/// A process that does nothing.
pub struct Idle;

impl Process for Idle {}

/// A door that a handler can be kept at, so that a test decides what is pending behind it.
pub struct Gate {
    pub open: Sender<()>,
    pub reached: Receiver<()>,
}

/// The gate, and what a handler does there.
pub fn gate() -> (Gate, impl FnOnce() + Send + 'static) {
    let (open, wait_for_open) = channel();
    let (reach, reached) = channel();
    let stop = move || {
        reach.send(()).expect("the test waits");
        wait_for_open
            .recv_timeout(HANG)
            .expect("the gate is opened");
    };
    (Gate { open, reached }, stop)
}

impl Gate {
    /// Returns when a handler stands at the gate.
    pub fn wait_until_reached(&self) {
        self.reached
            .recv_timeout(HANG)
            .expect("a handler reaches the gate");
    }

    pub fn open(&self) {
        self.open.send(()).expect("a handler waits at the gate");
    }
}

/// Counts how many of it are alive.
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server in that runtime that sends back what it receives.
pub fn echo_server(runtime: &Runtime) -> std::net::SocketAddr {
    use libprocess::net::TcpListener;

    let listening = runtime.spawn_async(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"));
        let listener = listener.expect("a listener");
        let address = listener.local_address().expect("an address");
        let serving = libprocess::spawn_async(async move {
            while let Ok(stream) = listener.accept().await {
                let echoing = libprocess::spawn_async(async move {
                    while let Ok(bytes) = stream.receive().await {
                        if bytes.is_empty() || stream.send(bytes).await.is_err() {
                            break;
                        }
                    }
                });
                echoing.detach();
            }
        });
        serving.detach();
        address
    });
    listening.get_timeout(HANG).expect("a server")
}
