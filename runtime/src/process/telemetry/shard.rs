//! What one thread has recorded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::histogram::Histogram;
use super::name::{EventName, NameRef, shortened};
use crate::process::arena::arena;
use crate::process::{DispatchIdentity, RawPid};

/// How long events waited, and how long they were served.
#[derive(Clone, Default)]
pub(super) struct Times {
    pub(super) wait_ns: Histogram,
    pub(super) handling_ns: Histogram,
}

impl Times {
    fn add(&mut self, other: &Self) {
        self.wait_ns.add(&other.wait_ns);
        self.handling_ns.add(&other.handling_ns);
    }
}

/// What is known of one process.
#[derive(Clone)]
pub(super) struct ProcessRecord {
    pub(super) id: Arc<str>,
    pub(super) times: Times,
    pub(super) depth: Histogram,
}

impl ProcessRecord {
    fn new(id: Arc<str>) -> Self {
        Self {
            id,
            times: Times::default(),
            depth: Histogram::new(),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.times.add(&other.times);
        self.depth.add(&other.depth);
    }
}

/// What is known of the events of one name.
#[derive(Clone)]
pub(super) struct EventRecord {
    pub(super) name: EventName,
    pub(super) times: Times,
}

/// Where the record of an event is, if the shard was not reset meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The others', if it is beyond all.
    index: usize,
    reset: u64,
}

const OTHERS: usize = usize::MAX;

/// Spreads pids, which nobody outside can choose, at the price of a multiplication.
#[derive(Default)]
pub(super) struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, pid: u64) {
        // 2⁶⁴ divided by the golden ratio: index and generation reach the high bits; the low ones get them by the shift.
        let product = (self.0 ^ pid).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One thread's records; also what several shards are added up in. At most `limit` processes and `limit` names are told apart.
#[derive(Clone)]
pub(super) struct Shard {
    limit: usize,
    /// How often it was emptied.
    reset: u64,
    pub(super) processes: HashMap<RawPid, ProcessRecord, BuildHasherDefault<PidHasher>>,
    pub(super) other_processes: ProcessRecord,
    /// Events of processes that found no room, since one found some.
    turned_away: usize,
    pub(super) events: Vec<EventRecord>,
    pub(super) other_events: EventRecord,
    messages: HashMap<Cow<'static, str>, usize>,
    /// The literal that was looked up last: mostly the next one is the same.
    last_message: Option<(&'static str, usize)>,
    dispatches: HashMap<DispatchIdentity, usize>,
    /// As `last_message`.
    last_dispatch: Option<(DispatchIdentity, usize)>,
    rest: [Option<usize>; 5],
}

impl Shard {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            reset: 0,
            processes: HashMap::default(),
            other_processes: ProcessRecord::new("(others)".into()),
            turned_away: 0,
            events: Vec::new(),
            other_events: EventRecord {
                name: EventName::Others,
                times: Times::default(),
            },
            messages: HashMap::new(),
            last_message: None,
            dispatches: HashMap::new(),
            last_dispatch: None,
            rest: [None; 5],
        }
    }

    /// Forgets everything. What is being served now is not counted when it ends.
    pub(super) fn reset(&mut self) {
        *self = Self {
            reset: self.reset + 1,
            ..Self::new(self.limit)
        };
    }

    /// Whether a process is not known, and there is room for it: then it is to be introduced. If there is none, those that have ended may
    /// make some: they go to the others.
    pub(super) fn wants(&mut self, pid: RawPid) -> bool {
        if self.processes.contains_key(&pid) {
            return false;
        }
        if self.processes.len() >= self.limit {
            // A walk over all, but not for each event of those that found no room: where all are alive it would be in vain.
            if self.turned_away.is_multiple_of(self.limit.max(1)) {
                self.fold_ended();
            }
            self.turned_away += 1;
        }
        self.processes.len() < self.limit
    }

    pub(super) fn introduce(&mut self, pid: RawPid, id: Arc<str>) {
        if self.processes.len() < self.limit {
            self.turned_away = 0;
            self.processes
                .entry(pid)
                .or_insert_with(|| ProcessRecord::new(id));
        }
    }

    fn fold_ended(&mut self) {
        let ended = self
            .processes
            .extract_if(|pid, _| !arena().is_current(*pid));
        for (_, record) in ended {
            self.other_processes.add(&record);
        }
    }

    fn process(&mut self, pid: RawPid) -> &mut ProcessRecord {
        self.processes
            .get_mut(&pid)
            .unwrap_or(&mut self.other_processes)
    }

    /// Notes that an event is about to be served.
    pub(super) fn begin(
        &mut self,
        pid: RawPid,
        name: NameRef<'_>,
        wait_ns: Option<u64>,
        depth: Option<usize>,
    ) -> Place {
        let index = self.index_of(name);
        let process = self.process(pid);
        if let Some(depth) = depth {
            process.depth.record(depth as u64);
        }
        if let Some(wait_ns) = wait_ns {
            process.times.wait_ns.record(wait_ns);
            self.event(index).times.wait_ns.record(wait_ns);
        }
        Place {
            index,
            reset: self.reset,
        }
    }

    /// Notes that it was served.
    pub(super) fn end(&mut self, pid: RawPid, place: Place, handling_ns: u64) {
        if place.reset != self.reset {
            return;
        }
        self.process(pid).times.handling_ns.record(handling_ns);
        self.event(place.index)
            .times
            .handling_ns
            .record(handling_ns);
    }

    fn event(&mut self, index: usize) -> &mut EventRecord {
        self.events.get_mut(index).unwrap_or(&mut self.other_events)
    }

    fn index_of(&mut self, name: NameRef<'_>) -> usize {
        match (name, self.last_message, self.last_dispatch) {
            // By address, without reading the text.
            (NameRef::Message(Cow::Borrowed(name)), Some((last, index)), _)
                if std::ptr::eq(*name, last) =>
            {
                index
            }
            (NameRef::Dispatch(identity), _, Some((last, index))) if identity == last => index,
            _ => {
                let index = self.look_up(name);
                match name {
                    NameRef::Message(Cow::Borrowed(name)) => {
                        self.last_message = Some((name, index));
                    }
                    NameRef::Dispatch(identity) => self.last_dispatch = Some((identity, index)),
                    _ => {}
                }
                index
            }
        }
    }

    fn look_up(&mut self, name: NameRef<'_>) -> usize {
        let known = match name {
            NameRef::Message(name) => self.messages.get(shortened(name)).copied(),
            NameRef::Dispatch(identity) => self.dispatches.get(&identity).copied(),
            NameRef::Http => self.rest[0],
            NameRef::Exited => self.rest[1],
            NameRef::Terminate => self.rest[2],
            NameRef::Initialize => self.rest[3],
            NameRef::Finalize => self.rest[4],
        };
        known.unwrap_or_else(|| self.introduce_name(name.to_name()))
    }

    fn introduce_name(&mut self, name: EventName) -> usize {
        if self.events.len() >= self.limit {
            return OTHERS;
        }
        let index = self.events.len();
        match &name {
            EventName::Message(name) => {
                self.messages.insert(name.clone(), index);
            }
            EventName::Dispatch(identity) => {
                self.dispatches.insert(*identity, index);
            }
            EventName::Http => self.rest[0] = Some(index),
            EventName::Exited => self.rest[1] = Some(index),
            EventName::Terminate => self.rest[2] = Some(index),
            EventName::Initialize => self.rest[3] = Some(index),
            EventName::Finalize => self.rest[4] = Some(index),
            EventName::Others => return OTHERS,
        }
        let times = Times::default();
        self.events.push(EventRecord { name, times });
        index
    }

    /// Adds what another shard has recorded.
    pub(super) fn add(&mut self, other: &Self) {
        for (pid, record) in &other.processes {
            if self.wants(*pid) {
                self.introduce(*pid, Arc::clone(&record.id));
            }
            self.process(*pid).add(record);
        }
        self.other_processes.add(&other.other_processes);
        for record in &other.events {
            let index = match &record.name {
                EventName::Message(name) => self.index_of(NameRef::Message(name)),
                EventName::Dispatch(identity) => self.index_of(NameRef::Dispatch(*identity)),
                EventName::Http => self.index_of(NameRef::Http),
                EventName::Exited => self.index_of(NameRef::Exited),
                EventName::Terminate => self.index_of(NameRef::Terminate),
                EventName::Initialize => self.index_of(NameRef::Initialize),
                EventName::Finalize => self.index_of(NameRef::Finalize),
                EventName::Others => OTHERS,
            };
            self.event(index).times.add(&record.times);
        }
        self.other_events.times.add(&other.other_events.times);
    }
}
