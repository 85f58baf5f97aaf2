//! The end of a connection: what is said last, and what is no more listened to.

use std::task::{Context, Poll};

use super::{Connection, LINGER_BYTES, Phase, Service, Transport, Turn};

impl<T: Transport, S: Service> Connection<T, S> {
    /// All that is owed has been given to the kernel, or is about to be.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) -> Turn {
        match self.sent(cx) {
            Poll::Pending => Turn::Rest,
            Poll::Ready(true) if self.phase != (Phase::Ending { unread: false }) => {
                if !self.is_shut {
                    self.stream.shutdown().detach();
                }
                self.active = self.alarm.now();
                self.go_to(Phase::Lingering { bytes: 0 })
            }
            Poll::Ready(_) => self.go_to(Phase::Gone),
        }
    }

    /// Throws away what comes behind the last request, and hears of a client that is gone.
    pub(super) fn ignore(&mut self, cx: &mut Context<'_>) {
        while let Phase::Ending { .. } = self.phase
            && !self.has_ended
            && self.ignored <= LINGER_BYTES
        {
            match self.stream.poll_receive(cx.waker()) {
                Poll::Pending => return,
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => self.end_of_stream(),
                Poll::Ready(Ok(bytes)) => {
                    self.ignored += bytes.len();
                    self.phase = Phase::Ending { unread: true };
                }
                Poll::Ready(Err(_)) => self.phase = Phase::Gone,
            }
        }
    }

    /// Throws away what comes after the last answer.
    pub(super) fn linger(&mut self, cx: &mut Context<'_>) {
        while let Phase::Lingering { bytes } = self.phase {
            let Poll::Ready(received) = self.stream.poll_receive(cx.waker()) else {
                return;
            };
            let more = received.map_or(0, |received| received.len());
            self.phase = match bytes + more {
                bytes if more > 0 && bytes <= LINGER_BYTES => Phase::Lingering { bytes },
                _ => Phase::Gone,
            };
        }
    }
}
