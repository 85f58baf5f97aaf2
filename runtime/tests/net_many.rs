//! Many connections, one after the other, in a process that does nothing else: so its descriptors can be counted.

mod common;

use std::alloc::{GlobalAlloc as _, Layout};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use common::HANG;
use common::quarantine::Quarantine;
use common::sockets::{LONG, any, newer_than_5_10, on_each, runtime, runtime_without};
use futures_lite::future::yield_now;
use libprocess::net::{ListenOptions, TcpListener, TcpStream};
use libprocess::{IoUringFeature, ReactorKind, Runtime};

#[global_allocator]
static ALLOCATOR: Quarantine = Quarantine::new();

/// The descriptors are the process's, and so is the allocator: one test at a time. None has had anything written that was freed.
struct Alone {
    _lock: MutexGuard<'static, ()>,
    written: u64,
}

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    let lock = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Alone {
        _lock: lock,
        written: ALLOCATOR.look().1,
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let (checked, written) = ALLOCATOR.look();
        if !std::thread::panicking() {
            assert_eq!(written, self.written, "of {checked} blocks");
        }
    }
}

fn open() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd");
    descriptors.expect("the process's descriptors").count()
}

#[test]
fn of_ten_thousand_connections_no_descriptor_is_left() {
    let _alone = alone();
    for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
        if let Some(runtime) = runtime(kind, 2, None) {
            let opened = runtime.spawn_async(open_and_close(10_000));
            opened.get_timeout(HANG).expect("they were closed");
        }
    }
}

#[test]
fn under_faults_no_descriptor_is_left() {
    let _alone = alone();
    on_each(|| open_and_close(100));
}

async fn open_and_close(connections: usize) {
    // So the drivers of all workers are made, with what they have for good.
    let listeners = ListenOptions::new().bind_per_worker(any());
    let listeners = listeners.expect("listeners");
    for listener in &listeners {
        let address = listener.local_address().expect("an address");
        listener.accept().discard();
        TcpStream::connect(address).discard();
    }
    drop(listeners);
    let listener = TcpListener::bind(any()).expect("a listener");
    let address = listener.local_address().expect("an address");
    drop(connect(&listener, address).await);
    // Soon as full as can be.
    let nobody_accepts = TcpListener::bind(any()).expect("a listener");
    let full = nobody_accepts.local_address().expect("an address");
    let before = open();
    for round in 0..connections {
        let (client, server) = connect(&listener, address).await;
        match round % 4 {
            // Neither side knows of the other's end.
            0 => {}
            // A receive is under way.
            1 => drop(server.receive()),
            // There are bytes that nobody takes.
            2 => client.send("hello").await.expect("sent"),
            // Another one is given up half way.
            _ => {
                TcpStream::connect(full).discard();
            }
        }
    }
    let deadline = Instant::now() + LONG;
    while open() > before {
        assert!(
            Instant::now() < deadline,
            "{} are open, {before} were",
            open()
        );
        yield_now().await;
    }
}

async fn connect(listener: &TcpListener, address: SocketAddr) -> (TcpStream, TcpStream) {
    let connecting = TcpStream::connect(address);
    let server = listener.accept().await.expect("a connection");
    (connecting.await.expect("a connection"), server)
}

/// Streams, accepts and whole runtimes are dropped while their peers go on writing and connecting. Nobody may write into what was freed by that; the
/// allocator of this program looks.
#[test]
#[cfg_attr(
    any(libprocess_asan, libprocess_tsan),
    ignore = "the allocator is the sanitizer's"
)]
fn the_kernel_writes_into_nothing_that_was_given_back() {
    let mut alone = alone();
    // It would be seen, in a small block and in one as large as a ring's buffers are.
    for size in [64, 4 << 20] {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        // SAFETY: the size is not zero; the allocator keeps the block for longer than this, whoever else it belongs to.
        unsafe {
            let at = ALLOCATOR.alloc(layout);
            ALLOCATOR.dealloc(at, layout);
            at.add(size / 2).write_volatile(1);
        }
        alone.written += 1;
        assert_eq!(ALLOCATOR.look().1, alone.written);
    }

    let (before, _) = ALLOCATOR.look();
    for round in 0..8 {
        for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
            drop_under_way(runtime(kind, 2, None), round);
        }
        drop_under_way(runtime_without(newer_than_5_10(), 2, None), round);
        let whole_buffers = [IoUringFeature::IncrementalBuffers];
        drop_under_way(runtime_without(whole_buffers, 2, None), round);
    }
    let (checked, _) = ALLOCATOR.look();
    assert!(checked > before + 1_000, "{checked} blocks were freed");
}

fn drop_under_way(runtime: Option<Runtime>, round: usize) {
    let Some(runtime) = runtime else {
        return;
    };
    let listener = std::net::TcpListener::bind(any()).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let made = runtime.spawn_async(async move {
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(TcpStream::connect(address).await.expect("a connection"));
        }
        streams
    });
    let streams = made.get_timeout(LONG).expect("connections");
    let mut peers: Vec<_> = (0..8)
        .map(|_| listener.accept().expect("a connection").0)
        .collect();
    let write = |peers: &mut Vec<std::net::TcpStream>| {
        for peer in peers {
            peer.set_nonblocking(true).expect("an option");
            // It may be full, or reset.
            let _some = peer.write(&[1; 30_000]);
        }
    };
    write(&mut peers);
    let dropped = runtime.spawn_async(async move {
        let accepting = TcpListener::bind(any()).expect("a listener");
        let unused = accepting.accept();
        let mut kept = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let receiving = stream.receive();
            match (number + round) % 4 {
                0 => drop(stream),
                1 => drop(receiving.discard()),
                // Under way until the runtime ends.
                2 => kept.push((stream, Some(receiving))),
                _ => {
                    drop(receiving.await);
                    kept.push((stream, None));
                }
            }
            for _ in 0..round {
                yield_now().await;
            }
        }
        (accepting, unused, kept)
    });
    write(&mut peers);
    let rest = dropped.get_timeout(LONG).expect("they were dropped");
    write(&mut peers);
    drop(runtime);
    write(&mut peers);
    drop(rest);
    write(&mut peers);
}
