//! How much a peer may ask for.

use std::time::Duration;

/// What a server takes from a client, and for how long it waits. Whoever goes beyond is told so, with the status code that the RFCs name, and the connection is closed.
///
/// ```
/// use std::time::Duration;
/// use libprocess::http::Limits;
///
/// let limits = Limits::new()
///     .body_bytes(1 << 20)
///     .idle_timeout(Duration::from_secs(20));
/// # let _ = limits;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Limits {
    pub(crate) head_bytes: usize,
    pub(crate) fields: usize,
    pub(crate) target_bytes: usize,
    pub(crate) body_bytes: u64,
    pub(crate) head_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) body_rate: u64,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) requests: u64,
    pub(crate) pipelined: u32,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
}

macro_rules! limit {
    ($(#[$doc:meta])* $name:ident: $type:ty $(, $least:expr, $most:expr)?) => {
        $(#[$doc])*
        pub fn $name(mut self, limit: $type) -> Self {
            self.$name = limit $(.clamp($least, $most))?;
            self
        }
    };
}

impl Limits {
    /// Header fields that any limit allows.
    pub(crate) const MOST_FIELDS: usize = 256;
    /// Bytes of a target that any limit allows: as many as the `http` crate's `Uri` takes.
    const MOST_TARGET: usize = 65_534;

    /// The defaults.
    ///
    /// ```
    /// let limits = libprocess::http::Limits::new();
    /// # let _ = limits;
    /// ```
    pub const fn new() -> Self {
        Self {
            head_bytes: 32 << 10,
            fields: 128,
            target_bytes: 8_000,
            body_bytes: 16 << 20,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            body_rate: 240,
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            requests: u64::MAX,
            pipelined: 128,
            connections: 65_536,
            connections_per_address: usize::MAX,
        }
    }

    limit! {
        /// Bytes of a request's line and header fields, and of a body's trailers: 32 KiB. Beyond: 431 Request Header Fields Too Large.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().head_bytes(8 << 10);
        /// # let _ = limits;
        /// ```
        head_bytes: usize, 64, 1 << 24
    }

    limit! {
        /// Header fields of a request: 128; at most 256. Beyond: 431 Request Header Fields Too Large.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().fields(64);
        /// # let _ = limits;
        /// ```
        fields: usize, 1, Self::MOST_FIELDS
    }

    limit! {
        /// Bytes of a request's target, that is of path and query: 8,000; at most 65,534. Beyond: 414 URI Too Long.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().target_bytes(2_000);
        /// # let _ = limits;
        /// ```
        target_bytes: usize, 1, Self::MOST_TARGET
    }

    limit! {
        /// Bytes of a body: 16 MiB, also of what a packed one is unpacked to. Beyond: 413 Content Too Large. Of requests that wait for their answers, too: while their bodies are more than this together, a connection's next ones wait in
        /// the client's socket.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().body_bytes(1 << 30);
        /// # let _ = limits;
        /// ```
        body_bytes: u64
    }

    limit! {
        /// How long the head of a request may take, from its first byte: 30 s. Beyond: 408 Request Timeout.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// # use std::time::Duration;
        /// let limits = Limits::new().head_timeout(Duration::from_secs(5));
        /// # let _ = limits;
        /// ```
        head_timeout: Duration
    }

    limit! {
        /// How long nothing of a body may come: 60 s. Beyond: 408 Request Timeout. How slowly one may come is [`body_rate`](Self::body_rate)'s.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// # use std::time::Duration;
        /// let limits = Limits::new().body_timeout(Duration::from_secs(5));
        /// # let _ = limits;
        /// ```
        body_timeout: Duration
    }

    limit! {
        /// How many bytes a second of a body must come: 240. Slower: 408 Request Timeout. From its first piece on it has [`body_timeout`](Self::body_timeout), and each piece
        /// gives it the time that this many bytes may take, up to as much again from then. So to hold a connection costs as many bytes a second, for as long as there are
        /// [`body_bytes`](Self::body_bytes); a byte now and then does not. Zero: however slowly.
        ///
        /// What comes in one piece with the request's head is not counted, and the framing of chunks is. If nothing was read meanwhile, as answers were awaited, it begins anew.
        ///
        /// A body that a handler reads as it comes may be a stream of events, and is not measured, unless the handler has left it: it is only late where nothing comes.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().body_rate(10_000);
        /// # let _ = limits;
        /// ```
        body_rate: u64
    }

    limit! {
        /// How long a connection may be without a request: 75 s. Then it is closed, without a word. So it is when this time has passed since a client has said that it will send nothing more,
        /// and still awaits an answer: mostly it has gone away, of which it does not tell.
        ///
        /// Of a runtime's own server this holds for who has asked for something. A connection that has said nothing yet, or has brought nothing but messages, may be the link of a process elsewhere, which
        /// says nothing for hours: it stays until its host is gone, of which the kernel's questions tell ([`RemoteOptions::peer_timeout`](crate::RemoteOptions::peer_timeout)). Where strangers can connect, bound how many of
        /// these one of them may have: [`connections_per_address`](Self::connections_per_address).
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// # use std::time::Duration;
        /// let limits = Limits::new().idle_timeout(Duration::from_secs(5));
        /// # let _ = limits;
        /// ```
        idle_timeout: Duration
    }

    limit! {
        /// How long a client may take for what is sent to it, for each 64 KiB: 60 s. Then the connection is reset.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// # use std::time::Duration;
        /// let limits = Limits::new().write_timeout(Duration::from_secs(5));
        /// # let _ = limits;
        /// ```
        write_timeout: Duration
    }

    limit! {
        /// Requests of one connection: without bound, as each is bounded. The last one's answer says that the connection is closed. Messages of other runtimes are not counted: their connection is a link.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().requests(10_000);
        /// # let _ = limits;
        /// ```
        requests: u64, 1, u64::MAX
    }

    limit! {
        /// Requests of one connection that wait for their answers: 128. What comes beyond waits in the client's socket. As many answers are kept for a client that does not read
        /// them, whatever their size.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().pipelined(16);
        /// # let _ = limits;
        /// ```
        pipelined: u32, 1, 1 << 16
    }

    limit! {
        /// Connections at a time: 65,536. What comes beyond is told 503 Service Unavailable and closed.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().connections(1_000);
        /// # let _ = limits;
        /// ```
        connections: usize
    }

    limit! {
        /// Connections of one IP address at a time: as many as there may be, as behind a proxy all have one address. What comes beyond is told 503 Service Unavailable and closed.
        ///
        /// ```
        /// # use libprocess::http::Limits;
        /// let limits = Limits::new().connections_per_address(100);
        /// # let _ = limits;
        /// ```
        connections_per_address: usize
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
