//! What is known of each socket, in a table by the places that epoll names in its news.
//!
//! A place is used again when its socket was closed, with another generation: news of the old socket, if something else holds its descriptor open, are nobody's.

use std::io;
use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::super::{Action, Completed, Completion, Operation, Outcome, Socket, SocketId};
use crate::prefetch::prefetch_at;

/// Below so many sockets it is not looked which of them were closed.
const SWEEP_AT: usize = 256;

#[derive(Clone, Copy)]
pub(super) enum Direction {
    In,
    Out,
}

impl Direction {
    pub(super) fn of(action: &Action) -> Self {
        match action {
            Action::Accept | Action::Receive => Self::In,
            Action::Send(_) | Action::Connect(_) => Self::Out,
        }
    }
}

/// What is known of a socket. All that is needed to hear that something has come, and to receive it, is in the first of its two lines of the processor's cache.
#[repr(C, align(64))]
pub(super) struct Source {
    pub(super) inbound: Side,
    generation: u32,
    pub(super) hung_up: bool,
    /// Epoll knows it, or is about to.
    pub(super) registered: bool,
    /// It may be read, as far as is known.
    readable: bool,
    /// It may be written, as far as is known.
    writable: bool,
    pub(super) outbound: Side,
    socket: Weak<Socket>,
}

/// A socket's one direction.
pub(super) struct Side {
    pub(super) operation: Option<Operation>,
    /// How many completions the operation had.
    completions: u32,
    /// It is in the list of what is due.
    pub(super) listed: bool,
}

impl Side {
    const fn new() -> Self {
        Self {
            operation: None,
            completions: 0,
            listed: false,
        }
    }

    pub(super) fn begin(&mut self, operation: Operation) {
        debug_assert!(self.operation.is_none(), "one at a time");
        self.operation = Some(operation);
        self.completions = 0;
    }

    /// The operation has ended.
    pub(super) fn end(&mut self, result: io::Result<Outcome>) -> Option<Completion> {
        let operation = self.operation.take()?;
        Some(Completion::last(operation, self.completions, result))
    }

    /// It goes on, and this is not all.
    #[inline(always)]
    pub(super) fn more(&mut self, outcome: Outcome) -> Option<Completion> {
        let operation = self.operation.as_ref()?;
        let kind = operation.action.kind();
        let completed = Completed::more(kind, self.completions, Ok(outcome));
        self.completions = self.completions.wrapping_add(1);
        Some(Completion {
            id: operation.id,
            handler: Arc::clone(&operation.handler),
            completed,
        })
    }
}

impl Source {
    fn new(socket: &Arc<Socket>, generation: u32) -> Self {
        Self {
            inbound: Side::new(),
            generation,
            hung_up: false,
            registered: false,
            readable: true,
            writable: true,
            outbound: Side::new(),
            socket: Arc::downgrade(socket),
        }
    }

    pub(super) fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        }
    }

    pub(super) fn is_ready(&self, direction: Direction) -> bool {
        match direction {
            Direction::In => self.readable,
            Direction::Out => self.writable,
        }
    }

    pub(super) fn set_ready(&mut self, direction: Direction, ready: bool) {
        match direction {
            Direction::In => self.readable = ready,
            Direction::Out => self.writable = ready,
        }
    }

    /// Whether the caller shall put it into the list of what is due.
    pub(super) fn wants_turn(&mut self, direction: Direction) -> bool {
        let ready = self.is_ready(direction);
        let side = self.side(direction);
        let wants = ready && side.operation.is_some() && !side.listed;
        side.listed |= wants;
        wants
    }
}

/// Where a source is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    /// For epoll, which gives it back with its news.
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// There are at most twice as many as there were sockets open at a time, or [`SWEEP_AT`].
pub(super) struct Sources {
    sources: Slab<Source>,
    places: FxHashMap<SocketId, Place>,
    sweep_at: usize,
    /// The address of the place with index zero.
    first: usize,
    /// Of the next one.
    generation: u32,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self {
            sources: Slab::new(),
            places: FxHashMap::default(),
            sweep_at: SWEEP_AT,
            first: 0,
            generation: 0,
        }
    }

    pub(super) fn place_of(&self, socket: SocketId) -> Option<Place> {
        self.places.get(&socket).copied()
    }

    /// `None`: that socket is not known any more.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Source> {
        let source = self.sources.get_mut(place.index as usize)?;
        (source.generation == place.generation).then_some(source)
    }

    /// Has what news are about fetched. It is not looked whether anything is there, which would be to wait for it.
    #[inline(always)]
    pub(super) fn fetch(&self, place: Place) {
        prefetch_at(self.address_of(place), 1);
    }

    fn address_of(&self, place: Place) -> *const Source {
        let first = std::ptr::without_provenance::<Source>(self.first);
        first.wrapping_add(place.index as usize)
    }

    /// A place for a socket that has none.
    pub(super) fn insert(&mut self, socket: &Arc<Socket>) -> Place {
        self.sweep();
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        // A process cannot have so many descriptors that it would be cut off.
        let index = self.sources.insert(Source::new(socket, generation)) as u32;
        let place = Place { index, generation };
        // Here only do they move.
        let address = (&raw const self.sources[index as usize]).addr();
        self.first = address - index as usize * size_of::<Source>();
        self.places.insert(socket.id(), place);
        place
    }

    /// Forgets sockets that were closed, once they may be half of all.
    fn sweep(&mut self) {
        if self.places.len() < self.sweep_at {
            return;
        }
        let sources = &mut self.sources;
        self.places.retain(|_, place| {
            let index = place.index as usize;
            let is_open = sources[index].socket.strong_count() > 0;
            if !is_open {
                sources.remove(index);
            }
            is_open
        });
        self.sweep_at = SWEEP_AT.max(2 * self.places.len());
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.sources.iter_mut().map(|(_, source)| source)
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    use super::*;

    fn socket() -> Arc<Socket> {
        let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None);
        Socket::unix(socket.expect("a socket"))
    }

    /// Also where it is kept: what tells a vacant place takes no room.
    #[test]
    fn a_source_has_two_lines() {
        let mut sources = Sources::new();
        let (one, other) = (socket(), socket());
        let places = [sources.insert(&one), sources.insert(&other)];
        let [first, second] =
            places.map(|place| std::ptr::from_mut(sources.get_mut(place).unwrap()) as usize);
        assert_eq!((first % 64, second - first), (0, 128));
        assert_eq!(std::mem::offset_of!(Source, outbound), 64);
    }

    /// Also of those that have moved as the table grew.
    #[test]
    fn what_is_fetched_is_what_is_looked_at() {
        let mut sources = Sources::new();
        let sockets: Vec<_> = (0..100).map(|_| socket()).collect();
        let places: Vec<_> = sockets
            .iter()
            .map(|socket| sources.insert(socket))
            .collect();
        for place in places {
            let fetched = sources.address_of(place);
            let source = sources.get_mut(place).expect("its socket is open");
            assert_eq!(fetched.addr(), std::ptr::from_mut(source).addr());
        }
    }

    #[test]
    fn places_of_closed_sockets_are_used_again_and_their_news_are_nobodys() {
        let mut sources = Sources::new();
        let kept = socket();
        let kept_place = sources.insert(&kept);
        let mut closed = Vec::new();
        for _ in 0..10 * SWEEP_AT {
            closed.push(sources.insert(&socket()));
        }
        assert!(sources.sources.capacity() <= 2 * SWEEP_AT, "one place each");
        let known = closed.iter().filter(|&&place| {
            let place = Place::from_bits(place.to_bits());
            sources.get_mut(place).is_some()
        });
        assert!(known.count() <= SWEEP_AT);
        assert!(sources.get_mut(closed[0]).is_none());
        assert!(sources.place_of(kept.id()) == Some(kept_place));
        assert!(sources.get_mut(kept_place).is_some());
    }
}
