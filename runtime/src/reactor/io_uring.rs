//! The driver over io_uring: the kernel does the work, and says when it is done.
//!
//! * `COOP_TASKRUN` and `TASKRUN_FLAG`, not `SINGLE_ISSUER` and `DEFER_TASKRUN`: see the [module above](super) for why.
//! * Connections come by one multishot accept for each listener; bytes by one multishot receive for each socket, into buffers that the ring is provided with.
//!   What arrived is copied out when its completion is taken from the ring, and the buffer is then back in the kernel's hands before the next call; when all were in use the kernel says `ENOBUFS`, and
//!   the receive is armed again.
//! * What is sent with the end of its stream behind it is sent by a call of its own, so that both go out together: `IORING_OP_SHUTDOWN`, linked, would take a thread of the kernel.
//! * What the kernel lacks is done without, each for itself: a receive into a buffer of its own where there are no provided buffers (before 5.19) or no multishot (before 6.0), an
//!   accept for each connection (before 5.19), a poll of the waker for each of its uses (before 5.13), a [timer] where a call that waits takes no time-out (before 5.11). What set-up does not
//!   tell, a [probe] does.
//! * On kernels with [flaws] a receive of a unix socket is one for each piece, too.
//! * A request that nobody cancelled, and that the kernel did (as the thread that submitted it has ended), is submitted again.
//! * The waker is an eventfd under a multishot poll, which takes no call to arm again.
//!
//! Tests take away from the kernel what it has: see [`IoUringFeature`]. The operations that it then shall not know are submitted in a form that it refuses as one that lacks them would.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use self::buffers::ProvidedBuffers;
use self::operations::{Entry, Memory, Operations};
use self::timer::Timer;
use super::kernel::{IoUringFeature, Lacking};
use super::kind::Refusal;
use super::{
    Action, AtOnce, Behind, Completed, Completion, Data, Driver, Operation, OperationId, Outcome,
    Socket, SocketId, Waker, collect,
};

mod buffers;
mod flaws;
mod operations;
mod probe;
mod set_up;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;
mod timer;

/// The size of a receive's own buffer, where the kernel has no provided ones.
const OWN_BUFFER: usize = 16 * 1024;
/// While so many completions wait for workers, no more are taken from the kernel: it then runs out of buffers, and peers wait. Mostly they are fewer: see [`IoUringDriver::turn`].
const DONE: usize = 1024;
/// How many completions are taken from the kernel's queue together.
const TOGETHER: usize = 16;
/// What the end of a ring waits for at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of the waker's poll, and of what nobody waits for.
const WAKER: u64 = 0;
const NOBODY: u64 = 1;
/// Of the probe's accept, and of its receive.
const ACCEPT: u64 = 2;
const RECEIVE: u64 = 3;
/// Of whom operations are refused: nobody has registered this one.
const NO_PERSONALITY: u16 = u16::MAX;

pub(super) struct IoUringDriver {
    /// Before what the kernel may still use: a field is dropped in its turn.
    ring: IoUring,
    operations: Operations,
    buffers: Option<ProvidedBuffers>,
    /// What found the submission queue full.
    backlog: VecDeque<squeue::Entry>,
    /// What the kernel has ended and nobody else, until the buffers are back.
    to_arm: Vec<u64>,
    /// What was taken from the kernel, and by nobody from here yet.
    done: VecDeque<Completion>,
    multishot_accept: bool,
    multishot_receive: bool,
    multishot_poll: bool,
    /// So receives of unix sockets do not go on.
    misses_ends: bool,
    at_once: AtOnce,
    /// What ends a sleep, where a call that waits takes no time-out.
    timer: Option<Timer>,
    waker: Arc<Waker>,
    /// What tests have taken away.
    lacking: Lacking,
    /// How many of the probe's operations have not ended.
    probing: u32,
    /// What is done without and none of the above tells of.
    others: Lacking,
}

impl IoUringDriver {
    /// # Errors
    ///
    /// Why there can be no ring.
    pub(super) fn new(waker: Arc<Waker>, lacking: Lacking) -> Result<Self, Refusal> {
        let (ring, is_cooperative) = set_up::ring(lacking)?;
        // The latter came with 5.9, and is not needed itself: it tells the kernel's age. Before, and before 5.7 at the latest, a receive that waits takes a thread of the kernel.
        if !ring.params().is_feature_nodrop() || !ring.params().is_feature_poll_32bits() {
            let reason = "the kernel's io_uring is too old: 5.9 is needed";
            return Err(Refusal::without_error(reason));
        }
        let waits_with_timeout =
            ring.params().is_feature_ext_arg() && !lacking.has(IoUringFeature::WaitWithTimeout);
        let mut probe = io_uring::Probe::new();
        let probed = ring.submitter().register_probe(&mut probe);
        let needed = [
            opcode::Accept::CODE,
            opcode::Recv::CODE,
            opcode::Send::CODE,
            opcode::SendMsg::CODE,
            opcode::Connect::CODE,
            opcode::AsyncCancel::CODE,
            opcode::PollAdd::CODE,
            opcode::Timeout::CODE,
            opcode::TimeoutRemove::CODE,
        ];
        if probed.is_err() || !needed.iter().all(|&code| probe.is_supported(code)) {
            let reason = "the kernel's io_uring lacks an operation of sockets";
            return Err(Refusal::without_error(reason));
        }
        let buffers = ProvidedBuffers::register(&ring.submitter(), lacking).ok();
        let mut driver = Self {
            ring,
            operations: Operations::new(),
            // Whether they may is told by the probe.
            multishot_accept: false,
            multishot_receive: false,
            multishot_poll: true,
            misses_ends: flaws::may_miss_ends(&rustix::system::uname().release().to_string_lossy()),
            at_once: AtOnce::ALL,
            timer: (!waits_with_timeout).then(Timer::new),
            buffers,
            backlog: VecDeque::new(),
            to_arm: Vec::new(),
            done: VecDeque::new(),
            waker,
            lacking,
            probing: 0,
            others: Lacking::default(),
        };
        driver.watch_waker();
        driver.probe(is_cooperative);
        Ok(driver)
    }

    /// What is to be said of the ring, if it is not as large as it should be.
    pub(super) fn shortage(&self) -> Option<String> {
        set_up::shortage(&self.ring)
    }

    fn watch_waker(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.waker.0.as_raw_fd()), libc::POLLIN as u32)
            .multi(self.multishot_poll)
            .build();
        let poll = self.or_refused(IoUringFeature::MultishotPoll, self.multishot_poll, poll);
        self.push(poll.user_data(WAKER));
    }

    /// The submission; if it uses a feature that the kernel shall lack, in a form that it refuses.
    fn or_refused(
        &self,
        feature: IoUringFeature,
        uses: bool,
        submission: squeue::Entry,
    ) -> squeue::Entry {
        if uses && self.lacking.has(feature) {
            submission.personality(NO_PERSONALITY)
        } else {
            submission
        }
    }

    fn push(&mut self, entry: squeue::Entry) {
        if !self.backlog.is_empty() {
            return self.backlog.push_back(entry);
        }
        // SAFETY: what an entry points to is kept in `operations` until its last completion, or is the waker's or the ring's own.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        if pushed.is_err() {
            self.submit();
            // SAFETY: as above.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_err() {
                self.backlog.push_back(entry);
            }
        }
    }

    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            // SAFETY: as in `push`.
            if unsafe { self.ring.submission().push(&entry) }.is_err() {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Tells the kernel what it was not told yet; the rest waits for the next call.
    fn submit(&mut self) {
        if let Err(error) = self.ring.submit() {
            report(&error);
        }
        self.push_backlog();
    }

    /// Submits the operation of this number, for the first time or again.
    fn arm(&mut self, number: u64) {
        let Some(entry) = self.operations.get_mut(number) else {
            return;
        };
        entry.multishot = match entry.operation.action {
            Action::Accept => self.multishot_accept,
            Action::Receive => {
                let may_miss_end = self.misses_ends && entry.operation.socket.is_unix();
                self.multishot_receive && !may_miss_end
            }
            Action::Send(_) | Action::Connect(_) => false,
        };
        let descriptor = Fd(entry.operation.socket.descriptor().as_raw_fd());
        let submission = match &entry.operation.action {
            Action::Accept if entry.multishot => opcode::AcceptMulti::new(descriptor)
                .flags(libc::SOCK_CLOEXEC)
                .build(),
            Action::Accept => {
                opcode::Accept::new(descriptor, std::ptr::null_mut(), std::ptr::null_mut())
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
            }
            Action::Receive if entry.multishot => {
                opcode::RecvMulti::new(descriptor, buffers::GROUP).build()
            }
            Action::Receive => {
                let buffer = Memory::buffer(&mut entry.memory, OWN_BUFFER);
                opcode::Recv::new(descriptor, buffer.as_mut_ptr(), OWN_BUFFER as u32).build()
            }
            Action::Send(data) => match &**data {
                Data::Several(pieces) => {
                    let header = Memory::message(&mut entry.memory, pieces);
                    opcode::SendMsg::new(descriptor, header)
                        .flags(libc::MSG_NOSIGNAL as u32)
                        .build()
                }
                Data::One(data) => {
                    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    opcode::Send::new(descriptor, data.as_ptr(), length)
                        .flags(libc::MSG_NOSIGNAL)
                        .build()
                }
            },
            Action::Connect(_) if entry.goes_on_connecting => {
                opcode::PollAdd::new(descriptor, libc::POLLOUT as u32).build()
            }
            Action::Connect(address) => {
                let length = address.addr_len();
                opcode::Connect::new(descriptor, address.as_ptr().cast(), length).build()
            }
        };
        self.push(submission.user_data(number));
    }

    fn complete(&mut self, completion: &cqueue::Entry) {
        let (id, result, flags) = (
            completion.user_data(),
            completion.result(),
            completion.flags(),
        );
        let more = cqueue::more(flags);
        if id == WAKER && !more {
            // Of one that goes on only: the others have nothing to be refused.
            self.multishot_poll &= result != -libc::EINVAL;
            // What was written before is known by now; a poll that does not go on would end at once for it.
            self.waker.reset();
            return self.watch_waker();
        }
        if Timer::is_one(id) {
            if let Some(timer) = &mut self.timer {
                timer.ended(id);
            }
            return;
        }
        if id < Operations::FIRST {
            return self.probed(id, result);
        }
        // The buffer goes back, whoever it was for.
        let received = cqueue::buffer_select(flags).and_then(|buffer| {
            let length = usize::try_from(result).unwrap_or(0);
            let more = cqueue::buffer_more(flags);
            self.buffers
                .as_mut()
                .map(|all| all.take(buffer, length, more))
        });
        let Some(entry) = self.operations.get_mut(id) else {
            tracing::debug!(result, "a completion of an operation that has ended");
            return;
        };
        if result < 0 && !more && !entry.cancelled {
            let receives = matches!(entry.operation.action, Action::Receive);
            match -result {
                // All buffers were in use.
                libc::ENOBUFS if receives => return self.to_arm.push(id),
                // A thread has ended.
                libc::ECANCELED | libc::EINTR => {
                    // A unix socket does not, and connects anew.
                    entry.goes_on_connecting = matches!(entry.operation.action, Action::Connect(_))
                        && !entry.operation.socket.is_unix();
                    return self.to_arm.push(id);
                }
                _ => {}
            }
        }
        let result = match &entry.operation.action {
            Action::Connect(_) if entry.goes_on_connecting && result >= 0 => {
                outcome_of_connect(&entry.operation)
            }
            _ => result,
        };
        let outcome = if result < 0 && entry.cancelled {
            // Whatever ended it, it was to end.
            Err(io::Error::from_raw_os_error(libc::ECANCELED))
        } else if result < 0 {
            Err(io::Error::from_raw_os_error(-result))
        } else {
            Ok(match &entry.operation.action {
                Action::Accept => {
                    // SAFETY: the kernel has just opened it, and told nobody else.
                    Outcome::Accepted(unsafe { OwnedFd::from_raw_fd(result) })
                }
                // The end, for which no buffer was taken.
                Action::Receive if result == 0 => Outcome::Received(Bytes::new()),
                Action::Receive => Outcome::Received(received.unwrap_or_else(|| {
                    let buffer = Memory::buffer(&mut entry.memory, OWN_BUFFER);
                    // SAFETY: the kernel has written so many bytes of the buffer's capacity.
                    unsafe { buffer.set_len(result as usize) };
                    let bytes = Bytes::copy_from_slice(buffer);
                    buffer.clear();
                    bytes
                })),
                Action::Send(_) => Outcome::Sent(result as usize),
                Action::Connect(_) => Outcome::Connected,
            })
        };
        let number = entry.completions;
        entry.completions = number.wrapping_add(1);
        let completion = if more {
            let operation = &entry.operation;
            Completion {
                id: operation.id,
                handler: Arc::clone(&operation.handler),
                completed: Completed::more(operation.action.kind(), number, outcome),
            }
        } else {
            let Some(entry) = self.operations.remove(id) else {
                return;
            };
            Completion::last(entry.operation, number, outcome)
        };
        self.done.push_back(completion);
    }

    /// Takes so much at most of what the kernel has done, and gives it back the buffers of that.
    fn reap(&mut self, most: usize) {
        let mut completions = [const { MaybeUninit::uninit() }; TOGETHER];
        while self.done.len() < most {
            let wanted = TOGETHER.min(most - self.done.len());
            let completions = self.ring.completion().fill(&mut completions[..wanted]);
            // What belongs to them is in no cache where there are many connections: it is fetched beside each other, and not each when its turn comes.
            for completion in &*completions {
                self.operations.prefetch(completion.user_data());
            }
            for completion in &*completions {
                self.operations.prefetch_handler(completion.user_data());
            }
            for completion in &*completions {
                self.complete(completion);
            }
            if completions.len() < wanted {
                break;
            }
        }
        if let Some(buffers) = &mut self.buffers {
            buffers.give_back();
        }
        // Only now: where the submission queue is full, to arm is to submit, and what found no buffer would find none again, in a loop without end.
        for id in mem::take(&mut self.to_arm) {
            self.arm(id);
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        if self.timer.is_some() {
            return self.wait_with_timer(deadline);
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec::from(left)
        });
        let arguments = SubmitArgs::new();
        let arguments = match &timeout {
            Some(timeout) => arguments.timespec(timeout),
            None => arguments,
        };
        match self.ring.submitter().submit_with_args(1, &arguments) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {}
            Err(error) => report(&error),
        }
        self.push_backlog();
    }

    #[cold]
    fn wait_with_timer(&mut self, deadline: Option<Instant>) {
        if let (Some(timer), Some(deadline)) = (&mut self.timer, deadline) {
            let room = {
                let submission = self.ring.submission();
                submission.capacity() - submission.len()
            };
            if !self.backlog.is_empty() || room < Timer::MOST {
                // It would wait behind the others, and the sleep would have no end: that is for the next one.
                return self.submit();
            }
            for submission in timer.set(deadline, Instant::now()).into_iter().flatten() {
                self.push(submission);
            }
        }
        if let Err(error) = self.ring.submit_and_wait(1) {
            report(&error);
        }
        self.push_backlog();
        // The end of the timer is nothing to look at.
        self.reap(DONE);
    }

    fn has_submissions(&mut self) -> bool {
        !self.ring.submission().is_empty() || !self.backlog.is_empty()
    }
}

/// How a connection that was polled for turned out, as the kernel would have said.
fn outcome_of_connect(operation: &Operation) -> i32 {
    match rustix::net::sockopt::socket_error(operation.socket.descriptor()) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) | Err(error) => -error.raw_os_error(),
    }
}

/// Interruptions, and a kernel that is short of memory or has too many completions to give: the next call goes on.
fn report(error: &io::Error) {
    let passing = [libc::EINTR, libc::EAGAIN, libc::EBUSY];
    if !error
        .raw_os_error()
        .is_some_and(|code| passing.contains(&code))
    {
        tracing::error!(%error, "io_uring does not take submissions");
    }
}

impl Driver for IoUringDriver {
    fn begin(&mut self, operation: Operation) -> Option<Completed> {
        let number = self.operations.insert(Entry::new(operation));
        self.arm(number);
        None
    }

    fn send_now(
        &mut self,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>> {
        self.at_once.send(socket, pieces, behind)
    }

    fn cancel(&mut self, _socket: SocketId, id: OperationId) {
        if let Some(number) = self.operations.number_of(id)
            && let Some(entry) = self.operations.get_mut(number)
            && !mem::replace(&mut entry.cancelled, true)
        {
            self.push(opcode::AsyncCancel::new(number).build().user_data(NOBODY));
        }
    }

    fn turn(&mut self, thorough: bool, most: usize, completions: &mut VecDeque<Completion>) {
        self.at_once = AtOnce::ALL;
        let (taskrun, overflow) = {
            let submission = self.ring.submission();
            (submission.taskrun(), submission.cq_overflow())
        };
        if taskrun || overflow || (thorough && self.has_submissions()) {
            self.submit();
        }
        // What is taken long before it is delivered is out of the cache again by then. But the kernel shall neither run out of room for what it has done, nor of buffers of which each has one piece.
        let has_whole_ones = self.buffers.as_ref().is_some_and(|all| !all.incremental);
        let is_short = overflow || has_whole_ones || {
            let queue = self.ring.completion();
            queue.len() > queue.capacity() / 2
        };
        self.reap(if is_short { DONE } else { most });
        collect(&mut self.done, most, completions);
    }

    fn is_ready(&self) -> bool {
        // SAFETY: the driver is used by one thread at a time, and nobody else looks at the queue meanwhile.
        let mut queue = unsafe { self.ring.completion_shared() };
        queue.sync();
        !self.done.is_empty() || !queue.is_empty()
    }

    fn park(&mut self, deadline: Option<Instant>) {
        if !self.is_ready() {
            self.wait(deadline);
        } else if self.has_submissions() {
            self.submit();
        }
    }

    fn is_idle(&self) -> bool {
        self.operations.is_empty() && self.done.is_empty()
    }

    fn end(&mut self, completions: &mut VecDeque<Completion>) {
        self.end_within(PATIENCE, completions);
    }
}

impl IoUringDriver {
    fn end_within(&mut self, patience: Duration, completions: &mut VecDeque<Completion>) {
        let numbers: Vec<_> = self.operations.cancel_all().collect();
        for number in numbers {
            self.push(opcode::AsyncCancel::new(number).build().user_data(NOBODY));
        }
        let deadline = Instant::now() + patience;
        loop {
            self.reap(DONE);
            completions.append(&mut self.done);
            if self.operations.is_empty() || Instant::now() >= deadline {
                break;
            }
            self.wait(Some(deadline));
        }
        if !self.others.has(IoUringFeature::SynchronousCancel) {
            // What nobody waits for: without this, it ends with the ring.
            let submitter = self.ring.submitter();
            let _all = submitter.register_sync_cancel(None, CancelBuilder::any());
        }
        if !self.operations.is_empty() {
            tracing::error!(
                operations = self.operations.len(),
                "io_uring does not give operations back: their memory is leaked"
            );
            mem::forget(mem::take(&mut self.operations));
            mem::forget(self.buffers.take());
        }
    }
}
