//! Filters: a test looks at events when they are about to be served, and may keep them from that.
//!
//! A runtime without filters, or other optional work, pays one relaxed load and a branch per event. Terminate events are never shown to a filter, and the end of a process goes on as
//! without one.

use std::sync::{Arc, Mutex};

use super::event::{DispatchIdentity, EventBox, EventKind, ExitedEvent, Message, dispatch};
use super::manager::ProcessManager;
use super::optional::OptionalWork;
use super::resume::guarded;
use super::{RawPid, send};
use crate::facade::lock_std;

/// What a filter sees of an event.
pub(crate) enum Seen<'a> {
    Message(&'a Message),
    Dispatch(DispatchIdentity),
    Exited(&'a ExitedEvent),
}

/// What a filter wants done with an event.
pub(crate) enum Verdict {
    /// It is none of its: the next filter is asked.
    Pass,
    Serve,
    Drop,
    Hold,
}

pub(crate) trait Filter: Send + Sync {
    fn look(&self, to: RawPid, seen: &Seen<'_>) -> Verdict;

    /// Takes an event that it said to hold.
    fn hold(&self, held: HeldEvent);

    /// Whether it will only pass from now on.
    fn is_done(&self) -> bool;
}

/// An event that was taken out on its way to a process.
pub(crate) struct HeldEvent {
    to: RawPid,
    event: EventBox,
}

impl HeldEvent {
    /// Sends it on, behind what is in the mailbox now, also if that is full: it was let in before. False if the process has ended.
    pub(crate) fn release(self) -> bool {
        send::deliver_owed(self.to, self.event)
    }
}

/// The filters of a runtime.
#[derive(Default)]
pub(crate) struct Filters {
    /// The newest last.
    list: Mutex<Vec<Arc<dyn Filter>>>,
}

impl Filters {
    pub(super) fn add(&self, filter: Arc<dyn Filter>, work: &OptionalWork) {
        let mut list = lock_std(&self.list);
        list.push(filter);
        work.set(OptionalWork::FILTERS, true);
    }

    /// Removes a filter, and those that are done.
    pub(super) fn remove(&self, filter: Option<&Arc<dyn Filter>>, work: &OptionalWork) {
        let removed: Vec<_> = {
            let mut list = lock_std(&self.list);
            let removed = list
                .extract_if(.., |known| {
                    known.is_done() || filter.is_some_and(|filter| Arc::ptr_eq(known, filter))
                })
                .collect();
            work.set(OptionalWork::FILTERS, !list.is_empty());
            removed
        };
        // Outside of the lock: a filter may hold an event, or a promise.
        drop(removed);
    }

    /// Asks the filters, the newest first.
    fn ask(&self, to: RawPid, seen: &Seen<'_>) -> (Verdict, Option<Arc<dyn Filter>>) {
        let filters = lock_std(&self.list).clone();
        for filter in filters.into_iter().rev() {
            match filter.look(to, seen) {
                Verdict::Pass => {}
                verdict => return (verdict, Some(filter)),
            }
        }
        (Verdict::Serve, None)
    }
}

/// Completes a future that a test watches: a panic in a callback of it changes nothing for the event.
pub(crate) fn tell(f: impl FnOnce()) {
    guarded("a callback of a filter's future", f);
}

/// Shows an event to the filters. Gives it back if it is to be served.
pub(super) fn look(manager: &ProcessManager, to: RawPid, event: EventBox) -> Option<EventBox> {
    let filters = manager.filters();
    let (verdict, filter) = {
        // SAFETY: each block's payload is what its kind says.
        let seen = unsafe {
            match event.kind() {
                EventKind::Message => Seen::Message(event.payload()),
                EventKind::Exited => Seen::Exited(event.payload()),
                EventKind::Dispatch => match dispatch::identity(&event) {
                    Some(identity) => Seen::Dispatch(identity),
                    None => return Some(event),
                },
                EventKind::Http | EventKind::Terminate => return Some(event),
            }
        };
        let mut answer = (Verdict::Serve, None);
        // Completes futures that tests watch: their callbacks are not the process's.
        guarded("a filter", || answer = filters.ask(to, &seen));
        answer
    };
    let (served, rest) = match verdict {
        Verdict::Pass | Verdict::Serve => (Some(event), None),
        Verdict::Drop => (None, Some(event)),
        Verdict::Hold => {
            dispatch::put_aside(&event);
            if let Some(filter) = &filter {
                guarded("a filter", || filter.hold(HeldEvent { to, event }));
            }
            (None, None)
        }
    };
    // A dispatch's future is abandoned here.
    guarded("the drop of a filtered event", || drop(rest));
    if filter.is_some_and(|filter| filter.is_done()) {
        guarded("the end of a filter", || manager.remove_filter(None));
    }
    served
}
