//! Sockets where the operating system gives less than usual. Each test runs in a process of its own, as what it takes away is gone for the whole of it.
//!
//! Not under ThreadSanitizer, which is in the same process, and needs what they take away to read the symbols that its suppressions name.

#![cfg(not(libprocess_tsan))]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::process::Command;
use std::time::{Duration, Instant};

use common::sockets::REACTORS;
#[cfg(feature = "io-uring")]
use libprocess::IoUringFeature;
use libprocess::net::TcpListener;
use libprocess::{BuildError, Context, ReactorKind, Runtime};

/// `IORING_REGISTER_PBUF_RING` in the kernel's `io_uring.h`.
#[cfg(feature = "io-uring")]
const REGISTER_RING_OF_BUFFERS: u64 = 22;

const LONG: Duration = Duration::from_secs(20);

/// Runs this binary's test of that name in another process, which is told so. True: this is that process.
fn in_own_process(test: &str) -> bool {
    const TOLD: &str = "LIBPROCESS_TEST_IN_OWN_PROCESS";
    if std::env::var_os(TOLD).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(TOLD, "1")
        .output()
        .expect("this program again");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// As a container's sandbox does.
fn refuse_io_uring() {
    refuse_set_up(libc::EPERM);
}

fn refuse_set_up(error: i32) {
    let action = seccompiler::SeccompAction::Errno(error as u32);
    apply([(libc::SYS_io_uring_setup, Vec::new())], action);
}

/// Has the kernel do that for these calls from now on; where there are rules for a call, if one of them holds.
fn apply(
    calls: impl IntoIterator<Item = (i64, Vec<seccompiler::SeccompRule>)>,
    action: seccompiler::SeccompAction,
) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    let filter = SeccompFilter::new(
        calls.into_iter().collect(),
        SeccompAction::Allow,
        action,
        std::env::consts::ARCH.try_into().expect("a known machine"),
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .expect("a filter that compiles");
    seccompiler::apply_filter_all_threads(&program).expect("a filter that the kernel takes");
}

/// Holds if that argument of a call is so.
#[cfg(feature = "io-uring")]
fn rule(argument: u8, operator: seccompiler::SeccompCmpOp, value: u64) -> seccompiler::SeccompRule {
    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::{SeccompCondition, SeccompRule};

    let condition = SeccompCondition::new(argument, Dword, operator, value);
    SeccompRule::new(vec![condition.expect("a condition")]).expect("a rule")
}

/// Takes leave to use anything that io_uring has since 5.11 in its calls: who tries is killed. What is told in memory (set-up, submissions) is not seen.
#[cfg(feature = "io-uring")]
fn kill_for_what_is_newer_than_5_10() {
    use seccompiler::{SeccompAction, SeccompCmpOp};

    const EXT_ARG: u64 = 8;
    /// The last one before 5.11.
    const REGISTER_ENABLE_RINGS: u64 = 12;
    let enter = rule(3, SeccompCmpOp::MaskedEq(EXT_ARG), EXT_ARG);
    let register = rule(1, SeccompCmpOp::Gt, REGISTER_ENABLE_RINGS);
    apply(
        [
            (libc::SYS_io_uring_enter, vec![enter]),
            (libc::SYS_io_uring_register, vec![register]),
        ],
        SeccompAction::KillProcess,
    );
}

/// A subscriber that keeps what is logged about I/O.
#[derive(Default)]
struct Log(std::sync::Mutex<Vec<String>>);

struct KeptLog(std::sync::Arc<Log>);

impl tracing::Subscriber for KeptLog {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.0.lock().expect("the log").push(message.0);
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

fn echo_once(runtime: &Runtime) {
    let address = common::echo_server(runtime);
    let mut stream = StdStream::connect(address).expect("a connection");
    stream.write_all(b"hello").expect("written");
    stream.shutdown(Shutdown::Write).expect("shut down");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "hello");
}

#[test]
fn where_io_uring_is_refused_epoll_takes_over_and_says_so() {
    if !in_own_process("where_io_uring_is_refused_epoll_takes_over_and_says_so") {
        return;
    }
    refuse_io_uring();
    let log = std::sync::Arc::new(Log::default());
    tracing::subscriber::set_global_default(KeptLog(log.clone())).expect("the only log");

    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    echo_once(&runtime);
    assert_eq!(runtime.stats().reactor, Some(ReactorKind::Epoll));
    let lines = log.0.lock().expect("the log").clone();
    let about: Vec<_> = lines.iter().filter(|line| line.contains("epoll")).collect();
    assert_eq!(about.len(), 1, "{lines:?}");
    if cfg!(feature = "io-uring") {
        assert!(about[0].contains("refuses io_uring"), "{about:?}");
    }

    // Who asks for it is told that it cannot be had, and why.
    match Runtime::builder().reactor(ReactorKind::IoUring).build() {
        Err(BuildError::Reactor(error)) => {
            assert!(error.to_string().contains("io_uring"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_environment_names_the_reactor() {
    if !in_own_process("the_environment_names_the_reactor") {
        return;
    }
    let build = |value: &str| {
        // SAFETY: no other thread of this process looks at the environment: the one before has ended its runtime.
        unsafe { std::env::set_var("LIBPROCESS_REACTOR", value) };
        let runtime = Runtime::builder().workers(2).build().expect("a runtime");
        echo_once(&runtime);
        let statistics = runtime.stats();
        (
            statistics.reactor.expect("there was a socket"),
            statistics.reactor_reason,
        )
    };
    for kind in REACTORS {
        let (reactor, reason) = build(&kind.to_string());
        assert_eq!(reactor, *kind);
        assert!(reason.contains("asked for"), "{reason}");
    }
    // What it does not know it leaves alone, and says so.
    let (reactor, reason) = build("kqueue");
    assert_eq!(reactor, REACTORS[0]);
    assert!(!reason.contains("asked for"), "{reason}");
    refuse_io_uring();
    // SAFETY: as above.
    unsafe { std::env::set_var("LIBPROCESS_REACTOR", "io_uring") };
    let error = Runtime::builder().build().expect_err("it cannot be had");
    assert!(error.to_string().contains("io_uring"), "{error}");
}

/// All at once, in the one line.
#[cfg(feature = "io-uring")]
#[test]
fn what_io_uring_lacks_is_said_before_there_is_a_connection() {
    if !in_own_process("what_io_uring_lacks_is_said_before_there_is_a_connection") {
        return;
    }
    let log = std::sync::Arc::new(Log::default());
    tracing::subscriber::set_global_default(KeptLog(log.clone())).expect("the only log");
    let lacking = [
        IoUringFeature::MultishotAccept,
        IoUringFeature::MultishotReceive,
    ];
    let runtime = common::sockets::runtime_without(lacking, 2, None).expect("it is built in");
    runtime
        .spawn_async(async {
            let listener = TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a listener");
            listener.accept().discard();
        })
        .get()
        .expect("ran");
    let told = runtime.stats().io_uring_lacks;
    assert!(lacking.iter().all(|one| told.contains(one)), "{told:?}");
    let lines = log.0.lock().expect("the log").clone();
    let about: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("io_uring"))
        .collect();
    assert_eq!(about.len(), 1, "{lines:?}");
    assert!(
        about[0].contains("without multishot accept, without multishot receive"),
        "{about:?}"
    );
}

/// Where the rings, or their buffers, count as locked memory, there is epoll, or receives have buffers of their own; where not, nobody notices.
#[test]
fn a_low_limit_of_locked_memory_does_no_harm() {
    if !in_own_process("a_low_limit_of_locked_memory_does_no_harm") {
        return;
    }
    allow_no_locked_memory();
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    echo_once(&runtime);
    let statistics = runtime.stats();
    let (reactor, reason) = (statistics.reactor, statistics.reactor_reason);
    println!("without locked memory: {reactor:?}, {reason:?}");
    match reactor {
        // There may be room for a small ring.
        Some(ReactorKind::IoUring) => {
            assert!(
                reason.is_empty() || reason.contains("locked memory"),
                "{reason}"
            );
        }
        Some(ReactorKind::Epoll) if cfg!(feature = "io-uring") => {
            assert!(reason.contains("locked memory"), "{reason}");
        }
        Some(ReactorKind::Epoll) => assert!(reason.contains("io-uring"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// As a kernel says it that counts them, and the limit is too low.
#[test]
#[cfg(feature = "io-uring")]
fn where_the_kernel_finds_no_memory_for_rings_or_buffers_it_goes_without() {
    if !in_own_process("where_the_kernel_finds_no_memory_for_rings_or_buffers_it_goes_without") {
        return;
    }
    let without_buffers = seccompiler::SeccompAction::Errno(libc::ENOMEM as u32);
    apply(
        [(
            libc::SYS_io_uring_register,
            vec![rule(
                1,
                seccompiler::SeccompCmpOp::Eq,
                REGISTER_RING_OF_BUFFERS,
            )],
        )],
        without_buffers,
    );
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    echo_once(&runtime);
    assert_eq!(runtime.stats().reactor, Some(ReactorKind::IoUring));
    assert_eq!(runtime.stats().reactor_reason, "");

    refuse_set_up(libc::ENOMEM);
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    echo_once(&runtime);
    let statistics = runtime.stats();
    assert_eq!(statistics.reactor, Some(ReactorKind::Epoll));
    let reason = statistics.reactor_reason;
    assert!(reason.contains("locked memory"), "{reason}");
}

/// As `refuse_set_up` with ENOMEM, for all rings of more submissions than that.
#[cfg(feature = "io-uring")]
fn refuse_rings_above(entries: u64) {
    let action = seccompiler::SeccompAction::Errno(libc::ENOMEM as u32);
    let larger = rule(0, seccompiler::SeccompCmpOp::Gt, entries);
    apply([(libc::SYS_io_uring_setup, vec![larger])], action);
}

#[test]
#[cfg(feature = "io-uring")]
fn where_there_is_memory_for_a_small_ring_that_is_used_and_said_once() {
    if !in_own_process("where_there_is_memory_for_a_small_ring_that_is_used_and_said_once") {
        return;
    }
    let log = std::sync::Arc::new(Log::default());
    tracing::subscriber::set_global_default(KeptLog(log.clone())).expect("the only log");
    for (room, ring) in [(100, "64 submissions"), (32, "32 submissions")] {
        refuse_rings_above(room);
        for asked in [None, Some(ReactorKind::IoUring)] {
            log.0.lock().expect("the log").clear();
            let mut builder = Runtime::builder().workers(2);
            if let Some(kind) = asked {
                builder = builder.reactor(kind);
            }
            let runtime = builder.build().expect("a runtime");
            for _ in 0..20 {
                echo_once(&runtime);
            }
            let statistics = runtime.stats();
            assert_eq!(statistics.reactor, Some(ReactorKind::IoUring));
            let reason = statistics.reactor_reason;
            assert!(reason.contains(ring), "{reason}");
            assert_eq!(reason.contains("asked for"), asked.is_some(), "{reason}");
            let lines = log.0.lock().expect("the log").clone();
            let about = lines.iter().filter(|line| line.contains(ring)).count();
            assert_eq!(about, 1, "{lines:?}");
        }
    }
    refuse_rings_above(31);
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    echo_once(&runtime);
    let statistics = runtime.stats();
    assert_eq!(statistics.reactor, Some(ReactorKind::Epoll));
    let reason = statistics.reactor_reason;
    assert!(reason.contains("locked memory"), "{reason}");
}

#[test]
#[cfg(feature = "io-uring")]
fn as_on_5_10_nothing_newer_is_asked_for() {
    if !in_own_process("as_on_5_10_nothing_newer_is_asked_for") {
        return;
    }
    kill_for_what_is_newer_than_5_10();
    let newer = common::sockets::newer_than_5_10();
    let runtime = common::sockets::runtime_without(newer, 2, None).expect("it is built in");
    for _ in 0..20 {
        echo_once(&runtime);
    }
    assert_eq!(runtime.stats().reactor, Some(ReactorKind::IoUring));
}

/// A listener that finds no descriptor rests, uses no time meanwhile, and goes on when there are some again.
#[test]
fn without_descriptors_a_listener_waits() {
    if !in_own_process("without_descriptors_a_listener_waits") {
        return;
    }
    // Before there is a listener: an accept under way keeps the limit of when it was begun.
    limit_descriptors(64);
    for kind in REACTORS.iter().copied() {
        let runtime = Runtime::builder()
            .workers(2)
            .reactor(kind)
            .build()
            .expect("a runtime");
        let (address, accepted) = {
            let (sender, accepted) = std::sync::mpsc::channel();
            let listening = runtime.spawn_async(async move {
                let listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"));
                let listener = listener.expect("a listener");
                let address = listener.local_address().expect("an address");
                let serving = libprocess::spawn_async(async move {
                    while let Ok(stream) = listener.accept().await {
                        if sender.send(stream).is_err() {
                            break;
                        }
                    }
                });
                serving.detach();
                address
            });
            let address = listening.get_timeout(LONG).expect("a server");
            (address, accepted)
        };
        // One that works, so that everything is made that will be needed.
        let _first = StdStream::connect(address).expect("a connection");
        let first = accepted.recv_timeout(LONG).expect("the first");
        // A client that has its descriptor, but is not connected yet.
        let late = rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::STREAM,
            None,
        )
        .expect("a socket");
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        rustix::net::connect(&late, &address).expect("in the kernel's backlog");
        let (before, began) = (cpu_time(), Instant::now());
        assert!(accepted.recv_timeout(Duration::from_millis(400)).is_err());
        let used = cpu_time() - before;
        // Who spins takes all of it; each of the few looks at what there is takes milliseconds in an emulated machine.
        assert!(used < began.elapsed() / 2, "{kind}: it spins: {used:?}");
        drop(hoard);
        let second = accepted
            .recv_timeout(LONG)
            .expect("the one that had to wait");
        assert!(second.peer_address().is_ok());
        drop((first, second, late));
    }
}

/// Who links to a process elsewhere, and what became of that.
struct Linker(std::sync::mpsc::Sender<libprocess::ExitReason>);

impl libprocess::Process for Linker {
    fn consume_exited(&mut self, event: libprocess::ExitedEvent, _cx: &mut Context<Self>) {
        self.0.send(event.reason).expect("the test waits");
    }
}

/// A link that finds no descriptor for its connection is told so, as one to where nobody listens, and not forgotten.
#[test]
fn without_descriptors_a_link_is_told() {
    if !in_own_process("without_descriptors_a_link_is_told") {
        return;
    }
    limit_descriptors(64);
    for kind in REACTORS.iter().copied() {
        let runtime = Runtime::builder()
            .workers(2)
            .reactor(kind)
            .listen("127.0.0.1:0".parse().expect("an address"))
            // So that there is one connection for each link.
            .remote(libprocess::RemoteOptions::new().negotiate_links(false))
            .build()
            .expect("a runtime");
        // One that works, so that everything is made that will be needed.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let there = libprocess::Upid::new("process", address);
        let (tell, told) = std::sync::mpsc::channel();
        let linker = runtime.spawn(Linker(tell));
        let link = || {
            let to = there.clone();
            let linked = libprocess::dispatch_with(linker, move |_, cx| cx.link(&to));
            linked.get_timeout(LONG).expect("linked");
        };
        link();
        drop(listener.accept().expect("a connection"));
        let reason = told.recv_timeout(LONG).expect("told");
        assert_eq!(reason, libprocess::ExitReason::Disconnected);
        // Of those that have just been closed, or are about to be, none is had either.
        limit_descriptors(0);
        link();
        let reason = told.recv_timeout(LONG).expect("told");
        assert_eq!(reason, libprocess::ExitReason::Disconnected);
        limit_descriptors(64);
        link();
        let connection = listener.accept().expect("a connection");
        assert!(told.try_recv().is_err(), "{kind}");
        drop(connection);
        told.recv_timeout(LONG).expect("told");
    }
}

/// Sets how many descriptors the process may have.
fn limit_descriptors(descriptors: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes to, and reads from, a value that is there.
    let outcomes = unsafe {
        let got = libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = descriptors;
        (got, libc::setrlimit(libc::RLIMIT_NOFILE, &limit))
    };
    assert_eq!(outcomes, (0, 0));
}

/// Sets the limit to nothing, and gives up the privilege not to be held to it, for this thread and those that it starts.
fn allow_no_locked_memory() {
    const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    const IPC_LOCK: u32 = 14;
    /// As capset(2) has them.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Capabilities {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let nothing = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let mut header = Header {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut capabilities = [Capabilities::default(); 2];
    // SAFETY: the kernel reads from values that are there, and writes to them; this version has two words of capabilities.
    let outcomes = unsafe {
        let limited = libc::setrlimit(libc::RLIMIT_MEMLOCK, &nothing);
        let got = libc::syscall(libc::SYS_capget, &mut header, &mut capabilities);
        capabilities[0].effective &= !(1 << IPC_LOCK);
        capabilities[0].permitted &= !(1 << IPC_LOCK);
        (
            limited,
            got,
            libc::syscall(libc::SYS_capset, &header, &capabilities),
        )
    };
    assert_eq!(outcomes, (0, 0, 0));
}

/// What the process has used of the processors.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes to a value that is there.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(got, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
