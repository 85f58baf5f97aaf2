//! The names of messages that the program's processes have handlers for, as far as they are literals: what comes from elsewhere with such a name needs none of its own, and its handler is found by the name's address.
//!
//! Bounded by the program's own text: only literals are entered, and only once.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use rustc_hash::FxBuildHasher;

/// Looked at for every new name of a connection, changed when a type of process installs what none has before. Nobody outside chooses what is in it, so a hash of few instructions does.
static NAMES: RwLock<Option<HashSet<&'static str, FxBuildHasher>>> = RwLock::new(None);

/// There is a handler for this name.
pub(super) fn note(name: &'static str) {
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    names.get_or_insert_default().insert(name);
}

/// The name as a literal, if there is a handler for it.
pub(crate) fn static_name(name: &str) -> Option<&'static str> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    names.as_ref()?.get(name).copied()
}
