//! Which handler serves a message of which name, or a request of which route.
//!
//! # Shapes
//!
//! Most processes of a type install the same functions under the same names in `initialize`. Their table is shared: a
//! *shape* is an immutable list of (name, function), and knows which shape follows when one more is installed.
//!
//! ```text
//! (empty) ── install("add", Adder::on_add) ──► {add} ── install("sub", Adder::on_sub) ──► {add, sub}
//! ```
//!
//! The first process of the type makes each shape, the others follow the arrows, and a process keeps one pointer. This is how JavaScript
//! engines share object layouts: C. Chambers, D. Ungar, E. Lee, "An efficient implementation of SELF", OOPSLA 1989, call it a map.
//!
//! Shapes are never freed: they are bounded by [`SHAPES`] per type. What does not fit a shape, a closure that captured something, a name made
//! at run time, or a shape too many, goes into a table of the process's own.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustc_hash::FxBuildHasher;

use super::{Context, Process, Upid, by_type};
use crate::facade::lock_std;

/// Shapes that a type may have. Installing the same handlers in many different orders would otherwise grow memory without bound.
const SHAPES: usize = 256;

/// From this many handlers on a shape keeps a hash table; below, a look through the list is faster.
const HASHED_FROM: usize = 12;

type Function<P, E> = fn(&mut P, E, &mut Context<P>);
type Closure<P, E> = dyn Fn(&mut P, E, &mut Context<P>) + Send;

struct Entry<P: 'static, E: 'static> {
    name: &'static str,
    help: &'static str,
    function: Function<P, E>,
    /// The type of the function item: tells functions apart, whose addresses the compiler may merge.
    identity: TypeId,
}

impl<P, E> Clone for Entry<P, E> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            help: self.help,
            function: self.function,
            identity: self.identity,
        }
    }
}

struct Shape<P: 'static, E: 'static> {
    entries: Vec<Entry<P, E>>,
    /// The keys are the program's own, and only they are entered: nobody can choose names that collide. So a hash of few instructions does.
    by_name: HashMap<&'static str, usize, FxBuildHasher>,
    /// The shape that follows most often: found without a lock.
    usual: AtomicPtr<Shape<P, E>>,
    others: Mutex<Vec<&'static Shape<P, E>>>,
    root: Option<&'static Shape<P, E>>,
    /// Shapes of this type; counted in the root.
    count: AtomicUsize,
}

impl<P: Process, E: 'static> Shape<P, E> {
    /// The first shape of its type.
    fn root() -> &'static Self {
        by_type::the_one(|| Self::with_entries(Vec::new(), None))
    }

    fn with_entries(entries: Vec<Entry<P, E>>, root: Option<&'static Self>) -> Self {
        let mut by_name = HashMap::default();
        if entries.len() >= HASHED_FROM {
            by_name.extend(
                entries
                    .iter()
                    .enumerate()
                    .map(|(place, entry)| (entry.name, place)),
            );
        }
        Self {
            entries,
            by_name,
            usual: AtomicPtr::new(std::ptr::null_mut()),
            others: Mutex::new(Vec::new()),
            root,
            count: AtomicUsize::new(0),
        }
    }

    /// The shape that has one handler more, or another one under the name; `None` if the type has too many shapes.
    fn with(&'static self, entry: Entry<P, E>) -> Option<&'static Self> {
        let follows = |shape: &'static Self| {
            let last = shape
                .entries
                .last()
                .expect("every shape but the root has a last entry");
            last.name == entry.name && last.help == entry.help && last.identity == entry.identity
        };
        // Acquire: pairs with the Release below.
        let usual = self.usual.load(Ordering::Acquire);
        // SAFETY: null, or a shape, which lives for ever.
        let usual: Option<&'static Self> = unsafe { usual.as_ref() };
        if let Some(usual) = usual.filter(|usual| follows(usual)) {
            return Some(usual);
        }
        let mut others = lock_std(&self.others);
        if let Some(other) = others.iter().copied().find(|other| follows(other)) {
            return Some(other);
        }
        let root = self.root.unwrap_or(self);
        // Relaxed: a bound, that may be passed by as many as race here.
        if root.count.fetch_add(1, Ordering::Relaxed) >= SHAPES {
            return None;
        }
        super::names::note(entry.name);
        // The newest goes last, so that `follows` need look at one entry only.
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .filter(|known| known.name != entry.name)
            .cloned()
            .collect();
        entries.push(entry);
        let shape: &'static Self = Box::leak(Box::new(Self::with_entries(entries, Some(root))));
        others.push(shape);
        // Relaxed: written only under the lock that we hold.
        if self.usual.load(Ordering::Relaxed).is_null() {
            // Release: pairs with the Acquire above: the shape is published.
            self.usual
                .store(std::ptr::from_ref(shape).cast_mut(), Ordering::Release);
        }
        Some(shape)
    }

    fn find(&self, name: &str) -> Option<Function<P, E>> {
        if !self.by_name.is_empty() {
            return self
                .by_name
                .get(name)
                .map(|place| self.entries[*place].function);
        }
        // By address first: a name that is the same literal is found without reading the text.
        let same = |entry: &&Entry<P, E>| std::ptr::eq(entry.name, name);
        let equal = |entry: &&Entry<P, E>| entry.name == name;
        let found = self
            .entries
            .iter()
            .find(same)
            .or_else(|| self.entries.iter().find(equal));
        found.map(|entry| entry.function)
    }
}

/// What a process does with a message of a name of its own table.
enum Own<P: 'static, E: 'static> {
    /// Shared, so that a handler may replace itself while it runs.
    Closure(Arc<Closure<P, E>>, Cow<'static, str>),
    Delegate(Upid),
}

type OwnTable<P, E> = HashMap<Cow<'static, str>, Own<P, E>>;

/// The handlers of one process: two words.
pub(crate) struct Handlers<P: 'static, E: 'static> {
    shape: Option<&'static Shape<P, E>>,
    #[allow(
        clippy::box_collection,
        reason = "one word in the many processes that have none"
    )]
    own: Option<Box<OwnTable<P, E>>>,
}

/// What is to be done with a message.
pub(crate) enum Action<P: 'static, E: 'static> {
    Function(Function<P, E>),
    Closure(Arc<Closure<P, E>>),
    Delegate(Upid),
    /// No handler has that name.
    None,
}

impl<P: Process, E: 'static> Handlers<P, E> {
    pub(crate) const fn new() -> Self {
        Self {
            shape: None,
            own: None,
        }
    }

    /// With a text for who asks what there is.
    pub(crate) fn install<F>(
        &mut self,
        name: Cow<'static, str>,
        help: Cow<'static, str>,
        handler: F,
    ) where
        F: Fn(&mut P, E, &mut Context<P>) + Send + 'static,
    {
        let own_has_it = self.own.as_ref().is_some_and(|own| own.contains_key(&name));
        if let (Cow::Borrowed(name), Cow::Borrowed(help)) = (&name, &help)
            && size_of::<F>() == 0
            && !std::mem::needs_drop::<F>()
            && !own_has_it
        {
            let entry = Entry {
                name,
                help,
                function: call::<P, E, F>,
                identity: TypeId::of::<F>(),
            };
            let shape = self.shape.unwrap_or_else(Shape::root);
            if let Some(shape) = shape.with(entry) {
                // A value of `F` must exist for ever, as `call` makes references to one.
                std::mem::forget(handler);
                self.shape = Some(shape);
                return;
            }
        }
        self.insert(name, Own::Closure(Arc::new(handler), help));
    }

    pub(crate) fn delegate(&mut self, name: Cow<'static, str>, to: Upid) {
        self.insert(name, Own::Delegate(to));
    }

    fn insert(&mut self, name: Cow<'static, str>, own: Own<P, E>) {
        self.own.get_or_insert_default().insert(name, own);
    }

    /// Whether it has a table of its own: without one there is nothing to drop.
    pub(super) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// The names and helps of all that have a function, sorted by name.
    pub(crate) fn list(&self) -> Vec<(&str, &str)> {
        let mut all = Listed::new();
        if let Some(shape) = self.shape {
            for entry in &shape.entries {
                enter(&mut all, entry.name, entry.help);
            }
        }
        // Its own wins, as in `find`.
        for (name, own) in self.own.iter().flat_map(|own| own.iter()) {
            if let Own::Closure(_, help) = own {
                enter(&mut all, name, help);
            }
        }
        sorted(all)
    }

    #[inline]
    pub(crate) fn find(&self, name: &str) -> Action<P, E> {
        if let Some(own) = &self.own {
            match own.get(name) {
                Some(Own::Closure(closure, _)) => return Action::Closure(Arc::clone(closure)),
                Some(Own::Delegate(to)) => return Action::Delegate(to.clone()),
                None => {}
            }
        }
        match self.shape.and_then(|shape| shape.find(name)) {
            Some(function) => Action::Function(function),
            None => Action::None,
        }
    }
}

/// Names, and their helps.
type Listed<'a> = BTreeMap<&'a str, &'a str>;

// These two know no type of process, so a program has them once.
fn enter<'a>(all: &mut Listed<'a>, name: &'a str, help: &'a str) {
    all.insert(name, help);
}

fn sorted(all: Listed<'_>) -> Vec<(&str, &str)> {
    all.into_iter().collect()
}

/// Calls the handler of type `F`, which has no state.
fn call<P, E, F>(process: &mut P, event: E, cx: &mut Context<P>)
where
    P: Process,
    F: Fn(&mut P, E, &mut Context<P>) + Send + 'static,
{
    // SAFETY: `install` was given a value of this type of size zero and forgot it, so one exists for
    // ever, at any aligned address; it has no drop.
    let handler: &F = unsafe { NonNull::dangling().as_ref() };
    handler(process, event, cx);
}
