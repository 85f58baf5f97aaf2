//! The batch, apart from any queue.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Books, with_seeds};
use libprocess_queues::event::{Batch, Node};

type Numbers = Batch<Box<Node<usize>>>;

fn batch(numbers: impl IntoIterator<Item = usize>) -> Numbers {
    numbers.into_iter().map(Node::new).collect()
}

#[test]
fn a_batch_is_two_words_and_crosses_threads() {
    fn crosses<T: Send + Sync>(_: &T) {}
    assert_eq!(size_of::<Numbers>(), 2 * size_of::<usize>());
    crosses(&batch([]));
}

#[test]
fn appending_joins_two_chains_whatever_their_lengths() {
    for (left, right) in [(0, 0), (0, 2), (2, 0), (1, 1), (3, 2)] {
        let mut joined = batch(0..left);
        joined.append(batch(left..left + right));
        joined.push_back(Node::new(left + right));
        assert!(joined.iter().copied().eq(0..=left + right));
        assert_eq!(joined.len(), left + right + 1);
    }
}

#[test]
fn extracting_mends_the_chain_at_both_ends() {
    for at in 0..3 {
        let mut items = batch(0..3);
        assert_eq!(
            items
                .extract(|item| *item == at)
                .map(|node| node.into_item()),
            Some(at)
        );
        assert!(items.extract(|item| *item == at).is_none());
        items.push_back(Node::new(3));
        assert!(items.iter().copied().eq((0..4).filter(|item| *item != at)));
    }
    let mut one = batch([7]);
    assert!(one.extract(|_| true).is_some());
    assert!(one.is_empty());
    one.push_back(Node::new(8));
    assert_eq!(one.pop_front().map(|node| node.into_item()), Some(8));
}

#[test]
fn a_panicking_search_leaves_the_batch_whole() {
    let mut items = batch(0..3);
    let search = AssertUnwindSafe(|| items.extract(|item| *item == 1 && panic!("no")));
    assert!(catch_unwind(search).is_err());
    assert!(items.iter().copied().eq(0..3));
}

#[test]
fn every_way_of_looking_sees_the_same() {
    let items = batch(0..4);
    let mut seen = Vec::new();
    items.for_each(|item| seen.push(*item));
    assert_eq!(seen, [0, 1, 2, 3]);
    assert!((&items).into_iter().eq(&seen));
    assert_eq!(format!("{items:?}"), "[0, 1, 2, 3]");
    assert_eq!(format!("{:?}", items.iter()), "[0, 1, 2, 3]");
    let mut taken = items.into_iter();
    assert_eq!(taken.next().map(|node| node.into_item()), Some(0));
    assert_eq!(format!("{taken:?}"), "[1, 2, 3]");
}

#[test]
fn what_is_left_is_dropped_once() {
    let books = Books::default();
    let mut items: Batch<_> = (0..5)
        .map(|number| Node::new(books.item(0, number)))
        .collect();
    drop(items.pop_front());
    assert_eq!(books.dropped(), 1);
    let mut taken = items.into_iter();
    taken.next();
    assert_eq!(books.dropped(), 2);
    drop(taken);
    assert_eq!(books.dropped(), 5);
}

#[test]
fn a_panic_in_one_drop_does_not_leak_the_others() {
    struct Fragile(usize, Arc<AtomicUsize>);
    impl Drop for Fragile {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            assert_ne!(self.0, 1, "breaks");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let items: Batch<_> = (0..4)
        .map(|number| Node::new(Fragile(number, Arc::clone(&dropped))))
        .collect();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(items))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 4);
}

#[test]
fn it_behaves_as_the_reference() {
    with_seeds(if cfg!(miri) { 3 } else { 200 }, |random| {
        let (mut items, mut reference) = (batch([]), VecDeque::new());
        for number in 0..200 {
            match random.below(6) {
                0..2 => {
                    items.push_back(Node::new(number));
                    reference.push_back(number);
                }
                2 => {
                    let more = number..number + random.below(4);
                    items.append(batch(more.clone()));
                    reference.extend(more);
                }
                3..5 => {
                    let popped = items.pop_front().map(|node| node.into_item());
                    assert_eq!(popped, reference.pop_front());
                }
                _ => {
                    let (divisor, rest) = (2 + random.below(5), random.below(2));
                    let found = items.extract(|item| item % divisor == rest);
                    let at = reference.iter().position(|item| item % divisor == rest);
                    let expected = at.and_then(|at| reference.remove(at));
                    assert_eq!(found.map(|node| node.into_item()), expected);
                }
            }
            assert!(items.iter().eq(&reference));
            assert_eq!(
                (items.len(), items.is_empty()),
                (reference.len(), reference.is_empty())
            );
        }
    });
}
