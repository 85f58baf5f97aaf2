//! From names to processes and back.
//!
//! A named process is in its runtime's table. An unnamed one is in none: the N of its `Prefix(N)` says slot and generation, and
//! the slot says whether the prefix and the runtime are right. A name wins over a number of the same text.

use std::any::TypeId;
use std::net::SocketAddr;
use std::sync::Arc;

use super::arena::arena;
use super::manager::{ProcessManager, with_runtime};
use super::slot::TiesGuard;
use super::{Process, RawPid};

/// What a process is called, as far as its slot knows.
enum Called {
    Named(Arc<str>),
    /// The prefix is asked of the type, that is of foreign code, and so not under the slot's lock.
    Unnamed(fn() -> &'static str),
}

impl Called {
    fn of(ties: &TiesGuard<'_>) -> Self {
        match ties.name() {
            Some(name) => Self::Named(name),
            None => Self::Unnamed(ties.table().prefix),
        }
    }
}

/// The id of a process that has not ended.
pub(crate) fn id_of(pid: RawPid) -> Option<String> {
    look_up(pid, |_manager| ()).map(|(id, ())| id)
}

/// The id of a process that has not ended, and where others find its runtime, as far as that is known.
pub(super) fn known_name_of(pid: RawPid) -> Option<(String, SocketAddr)> {
    look_up(pid, |manager| manager.addresses().advertised)
}

/// As `known_name_of`, for others to find it by: so its runtime listens from here on, if it may.
pub(super) fn name_of(pid: RawPid) -> Option<(String, SocketAddr)> {
    let (id, (mut address, asked)) = look_up(pid, |manager| {
        let asked = manager.listens_when_asked().then(|| manager.id());
        (manager.addresses().advertised, asked)
    })?;
    if let Some(runtime) = asked {
        // Not under the slot's lock: processes are spawned.
        with_runtime(runtime, |manager| {
            address = manager.listening_addresses().advertised;
        });
    }
    Some((id, address))
}

/// The id of a process that has not ended, and what its runtime is asked under the slot's lock.
fn look_up<R>(pid: RawPid, ask: impl FnOnce(&ProcessManager) -> R) -> Option<(String, R)> {
    let ties = arena().find(pid)?.lock_ties(pid)?;
    let called = Called::of(&ties);
    let asked = ask(ties.manager());
    drop(ties);
    let id = match called {
        Called::Named(name) => name.to_string(),
        Called::Unnamed(prefix) => with_number(prefix(), pid),
    };
    Some((id, asked))
}

fn with_number(prefix: &str, pid: RawPid) -> String {
    format!("{prefix}({})", pid.number())
}

/// The id of an unnamed process that ends, also if its type's prefix panics.
pub(super) fn unnamed<P: Process>(pid: RawPid) -> String {
    let mut prefix = super::vtable::short_type_name::<P>();
    let _reported = super::resume::guarded("the prefix of a process", || prefix = P::prefix());
    with_number(prefix, pid)
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
    let mine = std::ptr::eq(ties.manager(), manager);
    let called = Called::of(&ties);
    drop(ties);
    match called {
        // A number has one spelling: no `+1`, no `007`.
        Called::Unnamed(of_type)
            if mine && of_type() == prefix && with_number(prefix, pid) == id =>
        {
            Some(pid)
        }
        _ => None,
    }
}
