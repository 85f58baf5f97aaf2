//! How a process comes to be.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::arena::arena;
use super::handle::Owner;
use super::manager::ProcessManager;
use super::resume::{self, Alone, Cell, Extra, Housing};
use super::slot::Slot;
use super::vtable::ProcessTable;
use super::{Pid, Process, RawPid, Upid};
use crate::clock;
use crate::scheduler::Run;

/// How a process is to be spawned: see [`spawn_with`](crate::spawn_with).
///
/// ```
/// use libprocess::{FutureError, Process, SpawnOptions, dispatch, spawn_with, terminate, wait};
///
/// struct Store;
/// impl Process for Store {}
/// impl Store {
///     fn put(&mut self, key: u32) -> u32 { key }
/// }
///
/// let store = spawn_with(SpawnOptions::new().name("store").mailbox_capacity(100), Store)?;
/// match dispatch(store, Store::put, (1,)).get() {
///     Ok(key) => assert_eq!(key, 1),
///     Err(FutureError::Full(full)) => println!("{full}: try again later"),
///     Err(error) => println!("{error}"),
/// }
/// terminate(store);
/// wait(store);
/// # Ok::<(), libprocess::SpawnError<Store>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `spawn_with`"]
pub struct SpawnOptions {
    name: Option<String>,
    mailbox_capacity: Option<u32>,
}

impl SpawnOptions {
    /// No name, and a mailbox without a bound: what [`spawn`](crate::spawn) does.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name, by which the process is found until it ends: as [`spawn_named`](crate::spawn_named).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many events may wait in the mailbox. The one that is being served does not count. By default there is no bound.
    ///
    /// What is sent to a full mailbox is refused: a message becomes a [dead letter](crate::DeadLetterReason::Full), the future of a dispatch or request fails
    /// with [`Full`](crate::FutureError::Full) (and is counted as a dead letter too), what was *tried* ([`try_post`](crate::try_post) and its kin) is given
    /// back. [`reserve`](crate::reserve) waits for room instead.
    ///
    /// Some events count for nothing and are never refused: requests to end, news of ends, and what the process is owed: the calls of [`defer`](crate::defer),
    /// [`delay`](crate::delay) and [`repeat_in`](crate::repeat_in), of which there are as many as somebody began. They keep their place among the others.
    ///
    /// With a capacity of 0 only those get in. Above 4,294,967,293 it is that.
    pub fn mailbox_capacity(mut self, events: u32) -> Self {
        self.mailbox_capacity = Some(events);
        self
    }
}

/// Why a process was not spawned. Gives the process back.
pub enum SpawnError<P> {
    /// A process of that name is alive in this runtime.
    NameInUse {
        /// The name.
        name: String,
        /// The process that was to be spawned.
        process: P,
    },
    /// The name is empty, or contains `/` or `@`, which end an id in URLs and in `id@ip:port`.
    BadName {
        /// The name.
        name: String,
        /// The process that was to be spawned.
        process: P,
    },
    /// The runtime is being shut down.
    ShuttingDown {
        /// The process that was to be spawned.
        process: P,
    },
    /// There are as many processes in this OS process as can be: 67,108,864.
    TooManyProcesses {
        /// The process that was to be spawned.
        process: P,
    },
}

impl<P> SpawnError<P> {
    /// The process that was to be spawned.
    pub fn into_process(self) -> P {
        match self {
            Self::NameInUse { process, .. }
            | Self::BadName { process, .. }
            | Self::ShuttingDown { process }
            | Self::TooManyProcesses { process } => process,
        }
    }
}

impl<P> fmt::Display for SpawnError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameInUse { name, .. } => write!(
                f,
                "a process named `{name}` is alive: terminate it and wait for it, or choose another name"
            ),
            Self::BadName { name, .. } => {
                write!(
                    f,
                    "`{name}` cannot name a process: not empty, and without `/` and `@`"
                )
            }
            Self::ShuttingDown { .. } => f.write_str("the runtime is being shut down"),
            Self::TooManyProcesses { .. } => {
                f.write_str("all 67,108,864 slots for processes are in use")
            }
        }
    }
}

impl<P> fmt::Debug for SpawnError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpawnError({self})")
    }
}

impl<P> std::error::Error for SpawnError<P> {}

/// Spawns a process. `owner` gets its value in the end.
pub(crate) fn spawn<P: Process>(
    manager: &ProcessManager,
    process: P,
    options: &SpawnOptions,
    owner: Option<Arc<Owner<P>>>,
) -> Result<Pid<P>, SpawnError<P>> {
    let admitted = match admit(manager, options) {
        Ok(admitted) => admitted,
        Err(refusal) => return Err(refusal.of(options, process)),
    };
    let cell = Box::new(Cell {
        process,
        extra: Extra::new(owner),
    });
    let (cell, capacity) = (NonNull::from(Box::leak(cell)), options.mailbox_capacity);
    // SAFETY: boxed, so allocated alone.
    let pid = unsafe { move_in::<P, Alone>(manager, admitted, cell, capacity) };
    Ok(Pid::from_raw(pid))
}

/// Moves a process in whose cell is made, and passes its first token on.
///
/// # Safety
///
/// The cell is housed so, and given away. Unless it is `Alone`, the process has no owner.
pub(super) unsafe fn move_in<P: Process, H: Housing<P>>(
    manager: &ProcessManager,
    admitted: Admitted,
    cell: NonNull<Cell<P>>,
    capacity: Option<u32>,
) -> RawPid {
    let (run, table, cell) = (
        resume::resume::<P, H>,
        ProcessTable::of::<P>(),
        cell.as_ptr().cast(),
    );
    // SAFETY: by the contract; cell and run function are those of a `P`.
    unsafe { begin(manager, admitted, run, table, cell, capacity) }
}

/// A slot for a process that is counted in, whose name is reserved. Nothing that may panic stands between this and `begin`: dropped, it would be counted for ever.
#[must_use]
pub(super) struct Admitted {
    slot: &'static Slot,
    name: Option<Arc<str>>,
}

/// Why there is none.
#[derive(Clone, Copy)]
enum Refusal {
    NameInUse,
    BadName,
    ShuttingDown,
    TooManyProcesses,
}

impl Refusal {
    #[cold]
    fn of<P>(self, options: &SpawnOptions, process: P) -> SpawnError<P> {
        let name = || options.name.clone().unwrap_or_default();
        match self {
            Self::NameInUse => SpawnError::NameInUse {
                name: name(),
                process,
            },
            Self::BadName => SpawnError::BadName {
                name: name(),
                process,
            },
            Self::ShuttingDown => SpawnError::ShuttingDown { process },
            Self::TooManyProcesses => SpawnError::TooManyProcesses { process },
        }
    }
}

/// Counts a process in, and has a slot and the name for it; what it has got is given back where it does not get the rest. It knows no type of process, as
/// `begin` does not, so a program has it once.
fn admit(manager: &ProcessManager, options: &SpawnOptions) -> Result<Admitted, Refusal> {
    let name = options.name.as_deref();
    if let Some(name) = name
        && (name.is_empty() || name.contains(['/', '@']))
    {
        return Err(Refusal::BadName);
    }
    if !manager.population().enter() {
        return Err(Refusal::ShuttingDown);
    }
    let free = (manager.free_slots(), manager.scheduler().own_seat());
    // SAFETY: this thread has the seat, until it runs something else than this.
    let Ok(slot) = (unsafe { arena().claim(free.0, free.1) }) else {
        manager.population().leave();
        return Err(Refusal::TooManyProcesses);
    };
    let name: Option<Arc<str>> = name.map(Arc::from);
    if let Some(name) = &name
        && !manager.reserve_name(name)
    {
        // SAFETY: claimed and never opened: there is no token. The seat as above.
        unsafe { arena().unclaim(free, slot) };
        manager.population().leave();
        return Err(Refusal::NameInUse);
    }
    manager.population().count_spawn(manager.scheduler());
    Ok(Admitted { slot, name })
}

/// Moves a process in, and passes its first token on.
///
/// # Safety
///
/// The cell is one of a process of the table's type, for which `run` is, and is given away.
unsafe fn begin(
    manager: &ProcessManager,
    admitted: Admitted,
    run: Run,
    table: &'static ProcessTable,
    cell: *mut (),
    capacity: Option<u32>,
) -> RawPid {
    let Admitted { slot, name } = admitted;
    let pid = slot.pid();
    // SAFETY: by the contract; the slot was claimed; the manager is there until this process, which was counted in, is counted out.
    unsafe {
        slot.open(
            run,
            (manager, manager.id()),
            table,
            cell,
            name.clone(),
            capacity,
        );
    }
    if clock::any_paused() {
        super::times::begin(manager, pid);
    }
    if let Some(name) = &name {
        // Before the first token is passed on: the process cannot end, and free its name, before.
        manager.publish_name(name, pid);
    }
    if manager.population().is_closing() {
        // The walk that terminates all may have missed this one.
        super::terminate(&Upid::local(pid), true, Upid::nobody());
    }
    resume::start(slot);
    pid
}

/// Spawns an unnamed process; where that is impossible the process is dropped, and the pid is nobody's.
pub(crate) fn spawn_or_nobody<P: Process>(
    manager: &ProcessManager,
    process: P,
    owner: Option<Arc<Owner<P>>>,
) -> Pid<P> {
    match spawn(manager, process, &SpawnOptions::new(), owner) {
        Ok(pid) => pid,
        Err(error) => {
            report(&error);
            Pid::from_raw(RawPid::NOBODY)
        }
    }
}

/// A slot for a process without a name; none where that is impossible, which is logged.
pub(super) fn admit_unnamed(manager: &ProcessManager) -> Option<Admitted> {
    let options = SpawnOptions::new();
    match admit(manager, &options) {
        Ok(admitted) => Some(admitted),
        Err(refusal) => {
            report(&refusal.of(&options, ()));
            None
        }
    }
}

#[cold]
fn report(error: &dyn fmt::Display) {
    tracing::error!(%error, "a process could not be spawned");
}
