//! Many connections, in a process that does nothing else: so its descriptors and its memory can be counted.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::answers::{body, one};
use common::serving::{
    Desk, Place, Serving, acquainted, ask, connect, ends, on_each, on_each_reactor, reset, until,
};
use common::sockets::{LONG, any};
use common::{again, scale};
use libprocess::http::Limits;
use libprocess::net::{ListenOptions, TcpStream as Stream};
use rustix::process::{Resource, getrlimit, setrlimit};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    // Not as `alloc`, lest memory that nobody has touched yet counts as resident.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

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

/// How many clients are idle at a time: with more rounds as many as it is about.
fn idle_clients() -> usize {
    const MOST: usize = 10_000;
    let wanted = (1_000 * scale()).min(MOST);
    let most = descriptors_to_have().saturating_sub(DESCRIPTORS_ASIDE);
    if most < wanted {
        println!(
            "{most} idle clients instead of {wanted}: the hard limit of descriptors (ulimit -Hn) allows no more"
        );
    }
    wanted.min(most)
}

/// What a process needs beside its end of each connection.
const DESCRIPTORS_ASIDE: usize = 300;

/// Raises the limit as far as that may be, for the processes that are started from here, too.
fn descriptors_to_have() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("as many as the hard limit allows");
    limit.maximum.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

/// Clients in a process of their own, for the sake of their descriptors, which would be as many again.
struct Clients {
    process: Child,
    told: ChildStdin,
    /// So that it can go on to say something.
    _says: BufReader<ChildStdout>,
}

/// Where they connect to, and how many they are.
const CLIENTS: &str = "LIBPROCESS_TEST_CLIENTS";
const CONNECTED: &str = "all are connected";
const LEAVE: &str = "leave";
const SEE_THEM_END: &str = "see them end";

impl Clients {
    /// Returns when all have connected, and half of them have been answered once.
    fn connect(serving: &Serving, count: usize) -> Self {
        let mut process = again("be_idle_clients")
            .env(CLIENTS, format!("{} {count}", serving.address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let told = process.stdin.take().expect("a pipe");
        let mut says = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut lines = says.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line == CONNECTED), "they did not connect");
        Self {
            process,
            told,
            _says: says,
        }
    }

    fn tell(mut self, what: &str) {
        writeln!(self.told, "{what}").expect("they listen");
        let status = self.process.wait().expect("they end");
        assert!(status.success(), "{what}: {status}");
    }
}

/// Not a test by itself: the clients of the one below.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn be_idle_clients() {
    let told = std::env::var(CLIENTS).expect("who runs it tells");
    let (address, count) = told.split_once(' ').expect("an address and a number");
    let address: SocketAddr = address.parse().expect("an address");
    let count: usize = count.parse().expect("a number");
    let mut idle: Vec<_> = (0..count)
        .map(|number| match number % 2 {
            0 => connect(address),
            _ => acquainted(address),
        })
        .collect();
    // The harness has left its line open.
    println!("\n{CONNECTED}");
    let mut told = String::new();
    std::io::stdin().read_line(&mut told).expect("a line");
    match told.trim() {
        LEAVE => drop(idle),
        SEE_THEM_END => idle.iter_mut().for_each(ends),
        other => panic!("what is {other:?}?"),
    }
}

/// Bytes that the program has asked for and not given back: what is free again is seen at once, whatever the allocator keeps.
fn allocated() -> usize {
    // Relaxed: a count, which stands still while it matters.
    ALLOCATED.load(Ordering::Relaxed)
}

/// Bytes that this process has in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process's status");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|size| size.trim().strip_suffix(" kB"))
        .expect("a size");
    kib.trim().parse::<usize>().expect("a number") << 10
}

/// What an idle connection may take of the machine's memory, the kernel's part of it aside. It takes some 3 KiB.
const MOST_RESIDENT: usize = 8 << 10;

/// What a connection may leave behind for the next ones: the slot of its process, blocks that were recycled. That is not more with each wave.
const MOST_KEPT: usize = 2 << 10;

/// What may be left behind connections where as many came before, in all, however many: what an epoll driver knows of closed sockets, 8 KiB for each of two, and growing tables.
/// Twenty connections are 60 KiB.
const MOST_LEFT: usize = 48 << 10;

#[test]
fn many_that_say_nothing_do_not_keep_others_from_being_served_and_leave_nothing_behind() {
    let _alone = alone();
    let count = idle_clients();
    on_each_reactor(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        warm_up(place);
        let serving = place.serve(Limits::new(), Desk::default().handler());
        drop(serving.acquainted());
        let before = Before::of(place);
        let (allocated_before, resident_before) = (allocated(), resident());
        let all_are_there = || place.runtime.stats().alive >= count as u64;
        // Three waves: what a wave leaves behind is there for the next.
        for farewell in [LEAVE, SEE_THEM_END, LEAVE] {
            let clients = Clients::connect(&serving, count);
            until(all_are_there);
            let allocated_with = allocated().saturating_sub(allocated_before) / count;
            let resident_with = resident().saturating_sub(resident_before) / count;
            // Who was there is answered, and who comes.
            let mut busy = serving.acquainted();
            for _ in 0..200 {
                ask(&mut busy, "/hello");
                assert_eq!(body(&one(&mut busy)), "hello");
            }
            for _ in 0..20 {
                drop(serving.acquainted());
            }
            assert!(all_are_there(), "{}: some are gone", place.name);
            drop(busy);
            if farewell == SEE_THEM_END {
                clock.advance(Duration::from_secs(75));
            }
            clients.tell(farewell);
            before.comes_back(place);
            until(|| allocated() <= allocated_before + count * MOST_KEPT);
            let kept = allocated().saturating_sub(allocated_before) / count;
            println!(
                "{}: each of {count} idle connections takes {resident_with} bytes of memory, {allocated_with} allocated; then {kept} are kept",
                place.name
            );
            // ThreadSanitizer has memory of its own for each byte.
            assert!(cfg!(libprocess_tsan) || resident_with <= MOST_RESIDENT);
        }
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
    const ROUNDS: usize = 20;
    let _alone = alone();
    on_each(|place| {
        // Nothing ends by its time.
        place.runtime.clock().pause();
        warm_up(place);
        let desk = Desk::default();
        let serving = place.serve(Limits::new(), desk.handler());
        drop(serving.acquainted());
        let before = Before::of(place);
        let fresh = allocated();
        let reset_when = |reach: Reach| {
            for _ in 0..ROUNDS {
                let mut stream = serving.connect();
                reach(&mut stream, &desk);
                reset(stream);
                for held in desk.take() {
                    until(|| held.has_discard());
                }
            }
            before.comes_back(place);
        };
        // What is kept for the next ones is there behind the first ones: epoll's driver looks for closed sockets at each 256th.
        let (_, says_nothing) = STATES[0];
        for _ in 0..30 {
            reset_when(says_nothing);
        }
        STATES.iter().for_each(|(_, reach)| reset_when(*reach));
        until(|| allocated() <= fresh + (1 << 20));
        let allocated_before = allocated();
        for (state, reach) in STATES {
            reset_when(reach);
            // That a connection is gone is known before all of its memory is.
            until(|| allocated() <= allocated_before + MOST_LEFT);
            let left = allocated().saturating_sub(allocated_before);
            println!(
                "{}: reset when it {state}, {left} bytes are left",
                place.name
            );
        }
        // By the server's end.
        let mut streams: Vec<_> = STATES.iter().map(|_| serving.connect()).collect();
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
