//! What it costs to wake a thread that sleeps in its io_uring: two threads that wake each other in turn.
//!
//! ```text
//! cargo bench -p libprocess-benches --bench ring_wakes
//! ```
//!
//! | name | who wakes | what is armed in the ring of who sleeps |
//! |---|---|---|
//! | `eventfd_poll` | writes to an eventfd | a multishot poll, once and for all: it is what the runtime does |
//! | `eventfd_read` | writes to an eventfd | a read, again with each sleep |
//! | `msg_ring` | submits a message to the ring, out of its own | nothing |
//! | `msg_ring_with_sleep` | the same, with the call in which it goes to sleep itself | nothing |
//! | `msg_ring_register` | sends a message without a ring (`IORING_REGISTER_SEND_MSG_RING`) | nothing |
//! | `futex` | wakes a futex | a wait for the futex, again with each sleep |
//! | `no_ring` | wakes a futex | there is no ring, only the futex: the ground |
//!
//! What has to be armed again goes to the kernel with the call that sleeps. So each way takes one call to sleep and one to wake, except for `msg_ring_with_sleep`, which takes one for
//! both: it is for who has nothing else to do, as a worker that goes on with its own work after a wake would leave the other one asleep meanwhile.
//!
//! An iteration is a round trip: two wakes, two sleeps. With both threads on `one_core` it is the kernel's way through the wake that is measured; on `two_cores` it is that
//! and, for the greater part, an idle core's way out of its rest. Rings are set up as the runtime's are. What the kernel refuses is left out, and it is said why.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use io_uring::types::Fd;
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use libprocess_benches::names;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::thread::{CpuSet, futex, sched_getaffinity, sched_setaffinity};

/// Of the completion that ends a sleep.
const WAKE: u64 = 1;
/// Of a message that did not arrive: of those that did there are no completions.
const MESSAGE: u64 = 2;

/// As in the kernel's `futex.h`: of 32 bits, and within a process.
const FUTEX2_SIZE_U32: u32 = 2;
const FUTEX2_PRIVATE: u32 = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    EventfdPoll,
    EventfdRead,
    MsgRing,
    MsgRingWithSleep,
    MsgRingRegister,
    Futex,
    NoRing,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::EventfdPoll,
        Self::EventfdRead,
        Self::MsgRing,
        Self::MsgRingWithSleep,
        Self::MsgRingRegister,
        Self::Futex,
        Self::NoRing,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::EventfdPoll => "eventfd_poll",
            Self::EventfdRead => "eventfd_read",
            Self::MsgRing => "msg_ring",
            Self::MsgRingWithSleep => "msg_ring_with_sleep",
            Self::MsgRingRegister => "msg_ring_register",
            Self::Futex => "futex",
            Self::NoRing => "no_ring",
        }
    }

    /// # Errors
    ///
    /// Why this kernel cannot do it.
    fn check(self) -> Result<(), String> {
        let ring = ring().map_err(|error| {
            format!("a ring cannot be made, for which the kernel has to be 5.19 or newer and to allow it ({error})")
        })?;
        match self {
            Self::Futex => {
                let mut probe = Probe::new();
                let probed = ring.submitter().register_probe(&mut probe);
                if probed.is_ok() && probe.is_supported(opcode::FutexWait::CODE) {
                    return Ok(());
                }
                Err("the kernel's io_uring does not wait for futexes: 6.7 is needed".to_owned())
            }
            Self::MsgRingRegister => send_message(ring.as_raw_fd()).map_err(|error| {
                format!("the kernel takes no messages without a ring: 6.13 is needed ({error})")
            }),
            // What these need came before the flags with which a ring is made here.
            Self::EventfdPoll
            | Self::EventfdRead
            | Self::MsgRing
            | Self::MsgRingWithSleep
            | Self::NoRing => Ok(()),
        }
    }
}

/// What others have of a thread that sleeps.
struct Bell {
    /// Its ring's. A message to one that is closed is an error, and no more than that.
    ring: RawFd,
    eventfd: OwnedFd,
    /// How often it was woken, for ways with a futex.
    word: AtomicU32,
}

struct Sleeper {
    way: Way,
    ring: IoUring,
    bell: Arc<Bell>,
    /// What the bell's word was when it slept last.
    seen: u32,
    /// Whether a completion will come of a wake.
    armed: bool,
    /// What an eventfd's read gives. On the heap, as this struct is moved: only the kernel writes to it.
    count: Box<u64>,
}

impl Sleeper {
    /// Nothing is submitted yet: the kernel makes completions in the thread that has submitted, and that is to be the one which sleeps.
    fn new(way: Way) -> io::Result<Self> {
        let ring = ring()?;
        let bell = Bell {
            ring: ring.as_raw_fd(),
            eventfd: eventfd(0, EventfdFlags::CLOEXEC)?,
            word: AtomicU32::new(0),
        };
        Ok(Self {
            way,
            ring,
            bell: Arc::new(bell),
            seen: 0,
            armed: false,
            count: Box::new(0),
        })
    }

    fn wake(&mut self, other: &Bell) {
        let woken = match self.way {
            Way::EventfdPoll | Way::EventfdRead => {
                rustix::io::write(&other.eventfd, &1_u64.to_ne_bytes())
                    .map(drop)
                    .map_err(io::Error::from)
            }
            Way::MsgRing | Way::MsgRingWithSleep => {
                let entry = message(other.ring)
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(MESSAGE);
                self.push(&entry);
                if self.way == Way::MsgRing {
                    self.submit();
                }
                Ok(())
            }
            Way::MsgRingRegister => send_message(other.ring),
            Way::Futex | Way::NoRing => {
                // Relaxed: nothing else goes from one thread to the other, and the kernel keeps the word and its waiters together.
                other.word.fetch_add(1, Ordering::Relaxed);
                futex::wake(&other.word, futex::Flags::PRIVATE, 1)
                    .map(drop)
                    .map_err(io::Error::from)
            }
        };
        woken.expect("the kernel wakes");
    }

    fn sleep(&mut self) {
        if self.way == Way::NoRing {
            return self.sleep_in_futex();
        }
        self.arm();
        let mut woken = false;
        while !woken {
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the ring cannot be waited for: {error}"),
            }
            while let Some(completion) = self.next() {
                woken |= self.complete(&completion);
            }
        }
    }

    fn sleep_in_futex(&mut self) {
        // Relaxed: see `wake`.
        while self.bell.word.load(Ordering::Relaxed) == self.seen {
            match futex::wait(&self.bell.word, futex::Flags::PRIVATE, self.seen, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => panic!("the futex cannot be waited for: {error}"),
            }
        }
        self.seen = self.seen.wrapping_add(1);
    }

    /// Goes to the kernel with the next call.
    fn arm(&mut self) {
        if self.armed {
            return;
        }
        let eventfd = Fd(self.bell.eventfd.as_raw_fd());
        let entry = match self.way {
            Way::EventfdPoll => opcode::PollAdd::new(eventfd, libc::POLLIN as u32)
                .multi(true)
                .build(),
            Way::EventfdRead => {
                let count = (&raw mut *self.count).cast();
                opcode::Read::new(eventfd, count, size_of::<u64>() as u32).build()
            }
            Way::Futex => opcode::FutexWait::new(
                self.bell.word.as_ptr(),
                self.seen.into(),
                // Whatever it is woken for.
                u32::MAX.into(),
                FUTEX2_SIZE_U32 | FUTEX2_PRIVATE,
            )
            .build(),
            Way::MsgRing | Way::MsgRingWithSleep | Way::MsgRingRegister | Way::NoRing => return,
        };
        self.push(&entry.user_data(WAKE));
        self.armed = true;
    }

    /// Tells whether it was woken.
    fn complete(&mut self, completion: &cqueue::Entry) -> bool {
        let result = completion.result();
        match completion.user_data() {
            WAKE => {
                // The futex's word had changed before the kernel looked.
                let late = self.way == Way::Futex && result == -libc::EAGAIN;
                assert!(late || result >= 0, "a sleep ended with {result}");
                self.armed = cqueue::more(completion.flags());
                self.seen = self.seen.wrapping_add(1);
                true
            }
            _ => panic!("a message did not arrive: {result}"),
        }
    }

    fn next(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: a read or a futex's wait points to the count or the word, and has ended when `sleep` returns: both are still there. A poll and a message point to nothing.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("each sleep submits what there is");
    }

    fn submit(&mut self) {
        self.ring.submit().expect("the kernel takes submissions");
    }
}

/// As the runtime's.
fn ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .build(8)
}

fn message(ring: RawFd) -> squeue::Entry {
    opcode::MsgRingData::new(Fd(ring), 0, WAKE, None).build()
}

/// Without a ring of one's own.
fn send_message(ring: RawFd) -> io::Result<()> {
    const IORING_REGISTER_SEND_MSG_RING: libc::c_uint = 31;
    let entry = message(ring);
    // SAFETY: the kernel reads one entry, and keeps nothing.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            // It is for no ring.
            -1,
            IORING_REGISTER_SEND_MSG_RING,
            &raw const entry,
            1,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The calling thread, from now on.
fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).expect("it is one of those that the thread had");
}

fn benchmarks(criterion: &mut Criterion, placement: &str, cores: [usize; 2]) {
    let mut group = criterion.benchmark_group(format!("ring_wakes/{placement}"));
    for way in Way::ALL {
        if let Err(reason) = way.check() {
            eprintln!("{} is left out: {reason}", way.name());
            continue;
        }
        let mut mine = Sleeper::new(way).expect("the kernel has just made one");
        let mut other = Sleeper::new(way).expect("the kernel has just made one");
        let (bell, others_bell) = (Arc::clone(&mine.bell), Arc::clone(&other.bell));
        let ends = AtomicBool::new(false);
        pin(cores[0]);
        thread::scope(|scope| {
            scope.spawn(|| {
                pin(cores[1]);
                loop {
                    other.sleep();
                    // Relaxed: the wake that is behind it goes through the kernel.
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    other.wake(&bell);
                }
            });
            group.bench_function(way.name(), |bencher| {
                bencher.iter(|| {
                    mine.wake(&others_bell);
                    mine.sleep();
                });
            });
            ends.store(true, Ordering::Relaxed);
            mine.wake(&others_bell);
            // Here is no sleep to go with.
            mine.submit();
        });
    }
    group.finish();
}

fn main() {
    names::check_some(include_str!("../names/ring_wakes.txt"));
    // Few and short: on a shared machine a long measurement only meets more of the neighbours.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let allowed = sched_getaffinity(None).expect("a thread may ask for its own");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect();
    let (first, last) = (cores[0], cores[cores.len() - 1]);
    benchmarks(&mut criterion, "one_core", [first, first]);
    if first == last {
        eprintln!("two_cores is left out: there is one core");
    } else {
        benchmarks(&mut criterion, "two_cores", [first, last]);
    }
    criterion.final_summary();
}
