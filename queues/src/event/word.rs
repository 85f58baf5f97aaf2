//! The word of the lock-free event queue: three states without events, or the newest event.
//!
//! | low three bits | rest | meaning |
//! |---|---|---|
//! | `000` | 0 | [`Word::SCHEDULED`]: somebody holds the token, nothing is pending |
//! | `000` | not 0 | the newest event's link; each link leads to the one enqueued before it |
//! | `001` | 0 | [`Word::IDLE`]: nobody holds the token, nothing is pending |
//! | `010` | 0 | [`Word::CLOSED`]: nothing can be enqueued |
//!
//! The bits are free because a [`Link`] is aligned to 8 bytes. *Scheduled, nothing pending* is the
//! null pointer so that the chain of the first event ends in null without a special case; idle is
//! not, because idle must be told apart, and told apart by the pusher, who wins the token.

use std::fmt;
use std::ptr::{self, NonNull};

use super::{Link, State};

/// A value of the word. Only the queue's own transitions make one from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(*mut Link);

impl Word {
    /// The bits that no link's address has.
    const TAGS: usize = align_of::<Link>() - 1;

    pub(super) const IDLE: Word = Word(ptr::without_provenance_mut(0b001));
    pub(super) const SCHEDULED: Word = Word(ptr::null_mut());
    pub(super) const CLOSED: Word = Word(ptr::without_provenance_mut(0b010));

    #[inline(always)]
    pub(super) fn from_raw(raw: *mut Link) -> Word {
        Word(raw)
    }

    #[inline(always)]
    pub(super) const fn into_raw(self) -> *mut Link {
        self.0
    }

    /// The word while `link` is the newest event.
    #[inline(always)]
    pub(super) fn with_newest(link: NonNull<Link>) -> Word {
        debug_assert_eq!(
            link.addr().get() & Word::TAGS,
            0,
            "a link is aligned to 8 bytes"
        );
        Word(link.as_ptr())
    }

    /// The newest event, if any is pending.
    #[inline(always)]
    pub(super) fn newest(self) -> Option<NonNull<Link>> {
        if self.0.addr() & Word::TAGS == 0 {
            NonNull::new(self.0)
        } else {
            None
        }
    }

    /// What the next event's link leads to: the newest event, or null where nothing is pending.
    ///
    /// A mask instead of a match, because this is on the way of every push.
    #[inline(always)]
    pub(super) fn chain(self) -> *mut Link {
        debug_assert_ne!(self, Word::CLOSED, "nothing is linked to a closed queue");
        self.0.map_addr(|address| address & !Word::TAGS)
    }

    #[inline]
    pub(super) fn state(self) -> State {
        match self {
            Word::IDLE => State::Idle,
            Word::SCHEDULED => State::Scheduled,
            Word::CLOSED => State::Closed,
            _ => State::Pending,
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.newest() {
            Some(newest) => f.debug_tuple("Newest").field(&newest).finish(),
            None => self.state().fmt(f),
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_disjoint_and_no_link_looks_like_one() {
        let link = Link::new();
        let newest = Word::with_newest(NonNull::from(&link));
        let all = [Word::IDLE, Word::SCHEDULED, Word::CLOSED, newest];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(one, other);
            }
        }

        let tags = [Word::IDLE, Word::SCHEDULED, Word::CLOSED].map(|word| word.0.addr());
        for tag in tags {
            assert_eq!(tag & !Word::TAGS, 0, "a state lies within the tag bits");
        }
        assert_eq!(tags[0] & tags[2], 0, "idle and closed share no bit");
        assert_eq!(
            newest.0.addr() & Word::TAGS,
            0,
            "a link has none of the tag bits"
        );
    }

    #[test]
    fn the_accessors_agree_with_the_table() {
        let link = Link::new();
        let at = NonNull::from(&link);
        let newest = Word::with_newest(at);

        assert_eq!(newest.newest(), Some(at));
        assert_eq!(newest.chain(), at.as_ptr());
        assert_eq!(Word::from_raw(newest.into_raw()), newest);
        for word in [Word::IDLE, Word::SCHEDULED, Word::CLOSED] {
            assert_eq!(word.newest(), None);
        }
        for word in [Word::IDLE, Word::SCHEDULED] {
            assert!(word.chain().is_null());
        }

        assert_eq!(Word::IDLE.state(), State::Idle);
        assert_eq!(Word::SCHEDULED.state(), State::Scheduled);
        assert_eq!(Word::CLOSED.state(), State::Closed);
        assert_eq!(newest.state(), State::Pending);
    }

    #[test]
    fn debug_names_the_state() {
        let link = Link::new();
        assert_eq!(format!("{:?}", Word::IDLE), "Idle");
        assert_eq!(format!("{:?}", Word::SCHEDULED), "Scheduled");
        assert_eq!(format!("{:?}", Word::CLOSED), "Closed");
        let newest = format!("{:?}", Word::with_newest(NonNull::from(&link)));
        assert!(newest.starts_with("Newest(0x"), "{newest}");
    }
}
