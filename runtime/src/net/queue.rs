//! A queue that is mostly short.

use std::collections::VecDeque;

/// First in, first out.
pub(super) struct Queue<T> {
    /// Before those of `rest`: mostly there is one, and it needs no memory of its own.
    first: Option<T>,
    #[expect(
        clippy::box_collection,
        reason = "one word in the many queues that never have more"
    )]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(|rest| rest.is_empty())
    }

    pub(super) fn push(&mut self, item: T) {
        if self.is_empty() {
            self.first = Some(item);
        } else {
            self.rest.get_or_insert_default().push_back(item);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let rest = &mut self.rest;
        self.first.take().or_else(|| rest.as_mut()?.pop_front())
    }

    /// Takes the one with this key out, by which they are in order.
    pub(super) fn take_by_key<K: Ord>(&mut self, key: K, of: impl Fn(&T) -> K) -> Option<T> {
        let rest = &mut self.rest;
        self.first.take_if(|first| of(first) == key).or_else(|| {
            let rest = rest.as_mut()?;
            rest.remove(rest.binary_search_by_key(&key, of).ok()?)
        })
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        let (first, rest) = (self.first.take(), self.rest.take());
        first
            .into_iter()
            .chain(rest.into_iter().flat_map(|rest| *rest))
    }
}
