//! A queue that is mostly short.

use std::collections::VecDeque;

/// First in, first out.
pub(super) struct Queue<T> {
    /// Before those of `rest`: mostly there is one, and it needs no memory of its own.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            rest: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    pub(super) fn push(&mut self, item: T) {
        if self.is_empty() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    /// Takes the one with this key out, by which they are in order.
    pub(super) fn take_by_key<K: Ord>(&mut self, key: K, of: impl Fn(&T) -> K) -> Option<T> {
        self.first.take_if(|first| of(first) == key).or_else(|| {
            self.rest
                .remove(self.rest.binary_search_by_key(&key, of).ok()?)
        })
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        let (first, rest) = (self.first.take(), std::mem::take(&mut self.rest));
        first.into_iter().chain(rest)
    }
}
