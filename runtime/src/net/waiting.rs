//! Who waits for something that comes: readers for bytes, or acceptors for connections, in the order in which they asked.

use std::collections::VecDeque;

use crate::future::Promise;

/// Promises in order, each of which may be taken out by its number.
pub(super) struct Waiting<T> {
    promises: VecDeque<(u64, Promise<T>)>,
    next: u64,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self {
            promises: VecDeque::new(),
            next: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.promises.is_empty()
    }

    pub(super) fn push(&mut self, promise: Promise<T>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.promises.push_back((number, promise));
        number
    }

    pub(super) fn pop(&mut self) -> Option<Promise<T>> {
        self.promises.pop_front().map(|(_, promise)| promise)
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Promise<T>> {
        let index = self
            .promises
            .binary_search_by_key(&number, |&(number, _)| number)
            .ok()?;
        self.promises.remove(index).map(|(_, promise)| promise)
    }

    pub(super) fn take_all(&mut self) -> VecDeque<(u64, Promise<T>)> {
        std::mem::take(&mut self.promises)
    }
}
