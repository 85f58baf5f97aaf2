//! What the kernel's io_uring has, where set-up does not tell: two operations that are bound to fail, and a cancel of nothing.
//!
//! A kernel that knows an operation's multishot form takes it on, and finds that the descriptor is no socket; one that does not refuses the flags before it looks at that. So the probe needs no socket,
//! ends within the call that submits it, and tells what the first listener and the first connection would otherwise have to.

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::{CancelBuilder, Fd};

use super::super::kernel::{IoUringFeature, Lacking};
use super::{ACCEPT, DONE, IoUringDriver, NOBODY, RECEIVE, buffers};

/// How often the kernel is asked to go on before what it has not told of is done without: once, on each that was seen.
const CALLS: u32 = 16;

impl IoUringDriver {
    /// Finds out what may be used. Before anything else is under way but the poll of the waker.
    pub(super) fn probe(&mut self, is_cooperative: bool) {
        // No socket, and there as long as the driver.
        let descriptor = Fd(self.waker.0.as_raw_fd());
        let accept = opcode::AcceptMulti::new(descriptor).build();
        let accept = self.or_refused(IoUringFeature::MultishotAccept, true, accept);
        self.push(accept.user_data(ACCEPT));
        let mut left = 1;
        if self.buffers.is_some() {
            let receive = opcode::RecvMulti::new(descriptor, buffers::GROUP).build();
            let receive = self.or_refused(IoUringFeature::MultishotReceive, true, receive);
            self.push(receive.user_data(RECEIVE));
            left += 1;
        }
        self.probing = left;
        for _ in 0..CALLS {
            self.submit();
            self.reap(DONE);
            if self.probing == 0 {
                break;
            }
        }
        // The poll of the waker, if it was refused and is one that does not go on now.
        self.submit();
        if !is_cooperative {
            self.others.add(IoUringFeature::CooperativeTaskrun);
        }
        if !self.cancels_synchronously() {
            self.others.add(IoUringFeature::SynchronousCancel);
        }
    }

    /// One of the probe's has ended; or what nobody waits for.
    pub(super) fn probed(&mut self, number: u64, result: i32) {
        let may = result != -libc::EINVAL;
        match number {
            ACCEPT => self.multishot_accept = may,
            RECEIVE => self.multishot_receive = may,
            _ => return,
        }
        self.probing -= 1;
    }

    fn cancels_synchronously(&self) -> bool {
        if self.lacking.has(IoUringFeature::SynchronousCancel) {
            return false;
        }
        let cancel = CancelBuilder::user_data(NOBODY);
        match self.ring.submitter().register_sync_cancel(None, cancel) {
            Ok(()) => true,
            Err(error) => error.raw_os_error() == Some(libc::ENOENT),
        }
    }

    /// What is done without.
    pub(in super::super) fn done_without(&self) -> Lacking {
        let mut without = self.others;
        let incremental = self.buffers.as_ref().is_some_and(|all| all.incremental);
        for (feature, is_used) in [
            (IoUringFeature::WaitWithTimeout, self.timer.is_none()),
            (IoUringFeature::MultishotPoll, self.multishot_poll),
            (IoUringFeature::BufferRings, self.buffers.is_some()),
            (IoUringFeature::MultishotAccept, self.multishot_accept),
            (IoUringFeature::MultishotReceive, self.multishot_receive),
            (IoUringFeature::IncrementalBuffers, incremental),
        ] {
            if !is_used {
                without.add(feature);
            }
        }
        without
    }
}
