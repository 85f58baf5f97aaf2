//! From names to processes and back.
//!
//! A named process is in its runtime's table. An unnamed one is in none: the N of its `Prefix(N)` says slot and generation, and
//! the slot says whether the prefix and the runtime are right. A name wins over a number of the same text.

use std::any::TypeId;
use std::net::SocketAddr;

use super::arena::arena;
use super::manager::ProcessManager;
use super::slot::TiesGuard;
use super::{Process, RawPid};

/// The id of a process that has not ended, and its runtime's address.
pub(crate) fn id_of(pid: RawPid) -> Option<(String, SocketAddr)> {
    let slot = arena().find(pid)?;
    let ties = slot.lock_ties(pid)?;
    Some((id_under(&ties, pid), ties.manager().address()))
}

fn id_under(ties: &TiesGuard<'_>, pid: RawPid) -> String {
    match ties.name() {
        Some(name) => name.to_string(),
        None => unnamed((ties.table().prefix)(), pid),
    }
}

pub(super) fn unnamed(prefix: &str, pid: RawPid) -> String {
    format!("{prefix}({})", pid.number())
}

pub(super) fn is_of_type<P: Process>(pid: RawPid) -> bool {
    arena()
        .find(pid)
        .and_then(|slot| slot.lock_ties(pid))
        .is_some_and(|ties| (ties.table().type_id)() == TypeId::of::<P>())
}

/// The process of that id in that runtime.
pub(crate) fn find(manager: &ProcessManager, id: &str) -> Option<RawPid> {
    if let Some(pid) = manager.named(id) {
        return Some(pid);
    }
    let (prefix, number) = id.strip_suffix(')')?.rsplit_once('(')?;
    let pid = RawPid::from_number(number.parse().ok()?)?;
    let ties = arena().find(pid)?.lock_ties(pid)?;
    let right = std::ptr::eq(ties.manager(), manager)
        && ties.name().is_none()
        && (ties.table().prefix)() == prefix
        // A number has one spelling: no `+1`, no `007`.
        && id_under(&ties, pid) == id;
    right.then_some(pid)
}
