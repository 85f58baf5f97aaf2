//! What routes the processes of a runtime have.
//!
//! Only the process itself can tell, as its handlers are its own: each is asked by an event, and one that is busy answers when it is not.

use std::panic::Location;

use super::arena::arena;
use super::event::dispatch::of_closure;
use super::manager::ProcessManager;
use super::{Context, Process, RawPid, directory, send};
use crate::future::Future;

/// Paths, and what is said of each.
pub(crate) type Routes = Vec<(String, String)>;

/// How a process of a type is asked.
pub(super) fn ask<P: Process>(pid: RawPid) -> Future<Routes> {
    let tell = |_: &mut P, cx: &mut Context<P>| cx.routes();
    let (event, told) = of_closure::<P, _, _, _, _>(pid, tell, Location::caller());
    send::deliver_owed(pid, event);
    told
}

/// Asks the process of an id, if there is one.
pub(crate) fn ask_one(manager: &ProcessManager, id: &str) -> Option<Future<Routes>> {
    let pid = directory::find(manager, id)?;
    let ask = arena().find(pid)?.lock_ties(pid)?.table().ask_routes;
    Some(ask(pid))
}

/// Asks the processes of a runtime that have a name, at most so many: ids, and what each will tell.
pub(crate) fn ask_all(manager: &ProcessManager, most: usize) -> Vec<(String, Future<Routes>)> {
    let mut named = Vec::new();
    arena().for_each_used(|slot| {
        if named.len() >= most {
            return;
        }
        let mine = slot
            .lock_tenant()
            .filter(|(_, ties)| std::ptr::eq(ties.manager(), manager));
        if let Some((pid, ties)) = mine
            && let Some(name) = ties.name()
        {
            named.push((pid, name, ties.table().ask_routes));
        }
    });
    // Without a slot's lock, as foreign code may run.
    let asked = named.into_iter();
    asked
        .map(|(pid, name, ask)| (name.to_string(), ask(pid)))
        .collect()
}
