//! `Upid`: the untyped name of a process, here or elsewhere.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::{Pid, RawPid, directory};

/// The untyped name of a process: of a local one, of one at another address, or of nobody.
///
/// Prints and parses as libprocess does: `id@ip:port`. To print a local one is to ask where its runtime listens, as [`Runtime::address`](crate::Runtime::address) does; with `{:?}` what is
/// known so far is printed, and `0.0.0.0:0` if that is nothing. 16 bytes; `clone` is cheap. It is not `Copy`, because the id of a remote process is
/// text of any length.
///
/// ```
/// use libprocess::Upid;
///
/// let upid: Upid = "scheduler(1)@127.0.0.1:5050".parse()?;
/// assert_eq!(upid.id().as_deref(), Some("scheduler(1)"));
/// assert_eq!(upid.to_string(), "scheduler(1)@127.0.0.1:5050");
/// assert!("no address".parse::<Upid>().is_err());
/// # Ok::<(), libprocess::ParseUpidError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upid(Kind);

#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    #[default]
    Nobody,
    Local(RawPid),
    Addressed(Arc<Addressed>),
}

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Addressed {
    id: String,
    address: SocketAddr,
}

/// Where an event for a `Upid` goes.
pub(crate) enum Route<'a> {
    Nobody,
    Local(RawPid),
    Addressed { id: &'a str, address: SocketAddr },
}

impl Upid {
    /// The name of nobody: the sender of a message that was `post`ed.
    ///
    /// ```
    /// assert!(libprocess::Upid::nobody().is_nobody());
    /// ```
    pub const fn nobody() -> Self {
        Self(Kind::Nobody)
    }

    pub(crate) const fn local(raw: RawPid) -> Self {
        Self(Kind::Local(raw))
    }

    /// The name of the process with this id at this address.
    pub fn new(id: impl Into<String>, address: SocketAddr) -> Self {
        Self(Kind::Addressed(Arc::new(Addressed {
            id: id.into(),
            address,
        })))
    }

    /// Whether this names nobody.
    pub fn is_nobody(&self) -> bool {
        self.0 == Kind::Nobody
    }

    #[inline]
    pub(crate) fn as_local(&self) -> Option<RawPid> {
        match self.0 {
            Kind::Local(raw) => Some(raw),
            _ => None,
        }
    }

    pub(crate) fn route(&self) -> Route<'_> {
        match &self.0 {
            Kind::Nobody => Route::Nobody,
            Kind::Local(raw) => Route::Local(*raw),
            Kind::Addressed(addressed) => Route::Addressed {
                id: &addressed.id,
                address: addressed.address,
            },
        }
    }

    /// The id, the part before `@`. `None` for nobody, and for a local process that has ended.
    pub fn id(&self) -> Option<String> {
        match &self.0 {
            Kind::Nobody => None,
            Kind::Local(raw) => directory::id_of(*raw),
            Kind::Addressed(addressed) => Some(addressed.id.clone()),
        }
    }

    /// The address at which a process elsewhere is. `None` for nobody, and for a local process, whose runtime knows where it is found: [`Runtime::address`](crate::Runtime::address).
    ///
    /// ```
    /// let upid: libprocess::Upid = "scheduler(1)@127.0.0.1:5050".parse()?;
    /// assert_eq!(upid.address(), Some("127.0.0.1:5050".parse().expect("an address")));
    /// # Ok::<(), libprocess::ParseUpidError>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Nobody | Kind::Local(_) => None,
            Kind::Addressed(addressed) => Some(addressed.address),
        }
    }

    /// The typed name, if this is a local process of type `P` that has not ended.
    ///
    /// ```
    /// use libprocess::{Process, spawn_owned};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    /// struct Other;
    /// impl Process for Other {}
    ///
    /// let idle = spawn_owned(Idle);
    /// assert_eq!(idle.pid().upid().downcast::<Idle>(), Some(idle.pid()));
    /// assert_eq!(idle.pid().upid().downcast::<Other>(), None);
    /// ```
    pub fn downcast<P: super::Process>(&self) -> Option<Pid<P>> {
        let raw = self.as_local()?;
        directory::is_of_type::<P>(raw).then(|| Pid::from_raw(raw))
    }
}

impl Upid {
    /// Prints what is known, for people alone: no runtime begins to listen for that.
    pub(super) fn known(&self) -> Known<'_> {
        Known(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, name_of: NameOf) -> fmt::Result {
        match &self.0 {
            Kind::Nobody => f.write_str("(nobody)"),
            Kind::Local(raw) => match name_of(*raw) {
                Some((id, address)) => write!(f, "{id}@{address}"),
                None => write!(f, "(ended {raw:?})"),
            },
            Kind::Addressed(addressed) => write!(f, "{}@{}", addressed.id, addressed.address),
        }
    }
}

/// What a local process is called.
type NameOf = fn(RawPid) -> Option<(String, SocketAddr)>;

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, directory::name_of)
    }
}

/// See [`Upid::known`].
pub(super) struct Known<'a>(&'a Upid);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, directory::known_name_of)
    }
}

impl fmt::Debug for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upid({})", self.known())
    }
}

/// The text is not `id@ip:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of a process: expected id@ip:port, such as adder@127.0.0.1:5050")]
pub struct ParseUpidError {
    text: String,
}

impl FromStr for Upid {
    type Err = ParseUpidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // From the right: an id may contain `@`, an address may not.
        text.rsplit_once('@')
            .filter(|(id, _)| !id.is_empty())
            .and_then(|(id, address)| Some(Self::new(id, address.parse().ok()?)))
            .ok_or_else(|| ParseUpidError {
                text: text.to_owned(),
            })
    }
}

impl<P> From<Pid<P>> for Upid {
    fn from(pid: Pid<P>) -> Self {
        pid.upid()
    }
}

impl<P> PartialEq<Pid<P>> for Upid {
    fn eq(&self, other: &Pid<P>) -> bool {
        self.as_local() == Some(other.raw())
    }
}

/// Whatever names a process: [`Pid`], [`Upid`], and references to them.
///
/// Sealed: a process is named in no other way.
pub trait Recipient: sealed::Sealed {
    /// The untyped name.
    fn to_upid(&self) -> Upid;
    #[doc(hidden)]
    fn local_pid(&self) -> Option<sealed::LocalPid>;
}

pub(crate) mod sealed {
    /// Keeps `Recipient` to this crate.
    pub trait Sealed {}
    /// A local process, opaque outside.
    #[allow(missing_debug_implementations)]
    pub struct LocalPid(pub(crate) super::RawPid);
}

impl<P> sealed::Sealed for Pid<P> {}
impl<P> Recipient for Pid<P> {
    fn to_upid(&self) -> Upid {
        self.upid()
    }
    #[inline]
    fn local_pid(&self) -> Option<sealed::LocalPid> {
        Some(sealed::LocalPid(self.raw()))
    }
}

impl sealed::Sealed for Upid {}
impl Recipient for Upid {
    fn to_upid(&self) -> Upid {
        self.clone()
    }
    #[inline]
    fn local_pid(&self) -> Option<sealed::LocalPid> {
        self.as_local().map(sealed::LocalPid)
    }
}

impl<T: Recipient> sealed::Sealed for &T {}
impl<T: Recipient> Recipient for &T {
    fn to_upid(&self) -> Upid {
        (**self).to_upid()
    }
    #[inline]
    fn local_pid(&self) -> Option<sealed::LocalPid> {
        (**self).local_pid()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        for text in ["a@127.0.0.1:1", "a@b@127.0.0.1:65535", "x(3)@[::1]:80"] {
            let upid: Upid = text.parse().unwrap();
            assert_eq!(upid.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in [
            "",
            "@",
            "@127.0.0.1:1",
            "a@127.0.0.1",
            "a@:80",
            "a@127.0.0.1:70000",
            "a",
        ] {
            let error = text.parse::<Upid>().unwrap_err();
            assert!(error.to_string().contains("id@ip:port"), "{error}");
        }
    }

    #[test]
    fn is_two_words() {
        assert_eq!(size_of::<Upid>(), 16);
    }
}
