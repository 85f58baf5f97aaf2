use super::{DeadLetter, EventKind};
use crate::scheduler::counters;

/// The counters that the workers keep for this floor, beside the scheduler's own.
pub(super) const FIRST_EVENT: usize = counters::FIRST_FREE;
pub(super) const UNHANDLED: usize = FIRST_EVENT + EventKind::ALL.len();
pub(super) const ENDED: usize = UNHANDLED + 1;
pub(super) const PANICKED: usize = ENDED + 1;
/// By a worker of the runtime.
pub(super) const SPAWNED: usize = PANICKED + 1;
pub(super) const LAST: usize = SPAWNED;
const _: () = assert!(LAST < counters::COUNT);

/// Events served, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCounts {
    /// Messages.
    pub messages: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// HTTP requests.
    pub http: u64,
    /// Exits of linked processes.
    pub exited: u64,
    /// Requests to end.
    pub terminate: u64,
}

/// What a runtime has done since it started: a snapshot, taken while it works, so that the numbers may be
/// some events apart from each other.
///
/// ```
/// use libprocess::{Process, Runtime};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// let idle = runtime.spawn_owned(Idle);
/// runtime.post(idle.pid(), "nobody handles this", "");
/// drop(idle); // terminates and waits, overtaking the message or not
/// let statistics = runtime.stats();
/// assert_eq!((statistics.spawned, statistics.ended, statistics.alive), (1, 1, 0));
/// # Ok::<(), libprocess::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Events served.
    pub events: EventCounts,
    /// Messages whose name no handler has, and those whose body their handler could not read.
    pub unhandled: u64,
    /// Events that reached nobody: the process they were for had ended or ended first, or its mailbox was full.
    pub dead_letters: u64,
    /// Those of the dead letters that found a full mailbox.
    pub refused: u64,
    /// The last hundred dead letters, oldest first.
    pub last_dead_letters: Vec<DeadLetter>,
    /// Processes spawned.
    pub spawned: u64,
    /// Processes that ended.
    pub ended: u64,
    /// Processes that ended by a panic; counted in `ended` too.
    pub panicked: u64,
    /// Processes that have not ended.
    pub alive: u64,
    /// Times a worker took a process and served some of its events.
    pub resumes: u64,
    /// Times a worker found nothing to do and went to sleep.
    pub parks: u64,
    /// Times a worker without work got some from another worker, or from a thread that is none.
    pub steals: u64,
    /// Times a worker was woken, by another one or by a thread that is none, for work that would have waited.
    pub wake_ups: u64,
    /// Times a worker stood aside, because the others might do more without it: where events are cheap and go back and forth between workers.
    pub stood_aside: u64,
    /// What does the I/O, once there was a first socket.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub reactor: Option<crate::reactor::ReactorKind>,
    /// Why it is that one: that it was asked for, or what io_uring was refused for. Empty where it is io_uring because that can be had, and not a smaller one for want of memory, and before there was a socket.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub reactor_reason: String,
    /// What of io_uring is done without, as the kernel does not know it or refuses it (rings of buffers also where it has no memory for them), the oldest first, as the first driver found: empty where it has all, where epoll does the I/O, and
    /// before there was a socket.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub io_uring_lacks: Vec<crate::reactor::IoUringFeature>,
    /// Times a handler blocked in `wait`, `get` or `block_in_place` and another thread took over.
    pub blocked: u64,
    /// Handlers that were reported to run for longer than they may, each once: see
    /// [`report_stuck_after`](crate::RuntimeBuilder::report_stuck_after).
    pub stuck: u64,
    /// Threads there are now: at work, blocked and spare.
    pub threads: usize,
}
