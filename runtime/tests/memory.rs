//! What a process costs in memory, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use libprocess::{Context, MessageEvent, Pid, Process, Runtime, dispatch_with, terminate, wait};

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Of this thread: what others allocate meanwhile is no affair of a message.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        CALLS.set(CALLS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Plain;
impl Process for Plain {}

struct Handling;
impl Process for Handling {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("one", Self::on_message);
        cx.install("two", Self::on_message);
        cx.install("three", Self::on_message);
        cx.install("four", Self::on_message);
        cx.install("five", Self::on_message);
    }
}
impl Handling {
    fn on_message(&mut self, _event: MessageEvent, _cx: &mut Context<Self>) {}
}

#[cfg(feature = "protobuf")]
mod protobuf {
    use super::*;
    use libprocess::Upid;

    macro_rules! message {
        ($type:ident) => {
            #[derive(Clone, PartialEq, prost::Message)]
            pub(crate) struct $type {
                #[prost(uint64, tag = "1")]
                pub(crate) number: u64,
            }
            impl prost::Name for $type {
                const PACKAGE: &'static str = "tests";
                const NAME: &'static str = stringify!($type);
            }
        };
    }
    message!(One);
    message!(Two);

    pub(crate) struct Handling;
    impl Process for Handling {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.install_protobuf::<One>(|_, _from, _one, _cx| {});
            cx.install_protobuf(Self::on_two);
        }
    }
    impl Handling {
        fn on_two(&mut self, _from: &Upid, _two: Two, _cx: &mut Context<Self>) {}
    }
}

/// Bytes per process of many, initialized and idle; and bytes left behind when they have ended.
fn bytes_of<P: Process>(runtime: &Runtime, new: impl Fn() -> P) -> (usize, usize) {
    const PROCESSES: usize = 2_000;
    let spawn_all = || -> Vec<_> {
        let pids: Vec<_> = (0..PROCESSES).map(|_| runtime.spawn(new())).collect();
        for pid in &pids {
            dispatch_with(*pid, |_, _| ()).get().unwrap();
        }
        pids
    };
    let end_all = |pids: Vec<Pid<P>>| {
        for pid in pids {
            terminate(pid);
            wait(pid);
        }
    };
    // The first round makes the chunks of slots, which stay.
    end_all(spawn_all());
    let before = BYTES.load(Ordering::Relaxed);
    let pids = spawn_all();
    let with = BYTES.load(Ordering::Relaxed) - size_of_val(&pids[..]);
    end_all(pids);
    let after = BYTES.load(Ordering::Relaxed);
    ((with - before) / PROCESSES, after.saturating_sub(before))
}

/// How often a process asks the allocator while it sends this to another one, which has served all of it before this returns.
fn allocations<P: Process>(
    sender: Pid<Plain>,
    to: Pid<P>,
    send: impl Fn(&mut Context<Plain>) + Clone + Send + 'static,
) -> usize {
    let calls = || {
        let send = send.clone();
        let calls = dispatch_with(sender, move |_, cx| {
            let before = CALLS.get();
            send(cx);
            CALLS.get() - before
        });
        let calls = calls.get().unwrap();
        dispatch_with(to, |_, _| ()).get().unwrap();
        calls
    };
    // The run queue takes a new block now and then: not twice in a row.
    calls().min(calls())
}

// One test, so that nobody else allocates meanwhile.
#[test]
fn handlers_are_shared_and_nothing_is_left_behind() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (plain, plain_left) = bytes_of(&runtime, || Plain);
    let (handling, handling_left) = bytes_of(&runtime, || Handling);
    // The blocks of the run queue come and go beside the processes: a byte or two for each.
    assert!(
        handling <= plain + 4,
        "a process with five handlers costs {handling} bytes, one without {plain}"
    );
    assert!(plain <= 128, "{plain} bytes beside the slot of 128");
    for left in [plain_left, handling_left] {
        assert!(left < 20_000, "{left} bytes left behind by 2,000 processes");
    }

    #[cfg(feature = "protobuf")]
    {
        let (handling, left) = bytes_of(&runtime, || protobuf::Handling);
        assert!(
            handling <= plain + 4,
            "a process with two handlers of protobuf messages costs {handling} bytes, one without {plain}"
        );
        assert!(left < 20_000, "{left} bytes left behind by 2,000 processes");
    }

    let supervisor = runtime.spawn(Plain);
    let supervise = |children: usize| {
        for _ in 0..children {
            let child = runtime.spawn(Plain);
            dispatch_with(supervisor, move |_, cx| cx.link(child))
                .get()
                .unwrap();
            terminate(child);
            wait(child);
        }
        dispatch_with(supervisor, |_, _| ()).get().unwrap();
    };
    supervise(1_000);
    let before = BYTES.load(Ordering::Relaxed);
    supervise(1_000);
    let grown = BYTES.load(Ordering::Relaxed).saturating_sub(before);
    assert!(
        grown < 8_000,
        "1,000 links to processes that have ended keep {grown} bytes"
    );

    let sender = runtime.spawn(Plain);
    let to = runtime.spawn(Plain);
    let least = allocations(sender, to, move |cx| {
        for _ in 0..100 {
            cx.send(to, "hello", "");
        }
    });
    assert_eq!(least, 0, "messages take no memory of the allocator's");

    // A body that is shared, and dispatches that carry up to 64 bytes, whose futures nobody keeps.
    let (body, carried) = (bytes::Bytes::from(vec![b'x'; 10_000]), [7_u64; 8]);
    let least = allocations(sender, to, move |cx| {
        for _ in 0..100 {
            cx.send(to, "hello", body.clone());
            dispatch_with(to, move |_, _| {
                std::hint::black_box(carried);
            })
            .detach();
        }
    });
    assert_eq!(
        least, 0,
        "of what is shared, or small, nothing is allocated"
    );

    // What a burst takes goes back, but for the regions of events, which are as large after the first as they become.
    let burst = || {
        let served = dispatch_with(sender, move |_, cx| {
            for _ in 0..200_000 {
                cx.send(to, "hello", "");
            }
            BYTES.load(Ordering::Relaxed)
        });
        let most = served.get().unwrap();
        dispatch_with(to, |_, _| ()).get().unwrap();
        most
    };
    burst();
    let before = BYTES.load(Ordering::Relaxed);
    let most = burst();
    let after = BYTES.load(Ordering::Relaxed);
    assert!(
        most > before + 10_000_000,
        "a burst of {} bytes",
        most - before
    );
    assert!(
        after < before + 100_000,
        "{} bytes of a burst are kept",
        after - before
    );

    #[cfg(feature = "protobuf")]
    {
        let to = runtime.spawn(protobuf::Handling);
        let least = allocations(sender, to, move |cx| {
            for number in 0..100 {
                // A body in one block, which is written once, and nothing else.
                cx.send_protobuf(to, &protobuf::Two { number: 1 + number });
            }
        });
        assert_eq!(
            least, 100,
            "a protobuf message takes the memory of its body"
        );
    }
}
