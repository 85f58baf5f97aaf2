//! What a runtime allows itself with others.

use std::time::Duration;

/// How a runtime deals with those that it sends messages to: bounds and times. Given to [`RuntimeBuilder::remote`](crate::RuntimeBuilder::remote).
///
/// ```
/// use std::time::Duration;
/// use libprocess::{RemoteOptions, Runtime};
///
/// let options = RemoteOptions::new()
///     .outbound_bytes(1 << 20)
///     .peer_timeout(Some(Duration::from_secs(10)));
/// let runtime = Runtime::builder().remote(options).build()?;
/// # Ok::<(), libprocess::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a builder is given them"]
pub struct RemoteOptions {
    pub(super) outbound_bytes: usize,
    pub(super) message_bytes: usize,
    pub(super) peers: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(crate) peer_timeout: Option<Duration>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) negotiates: bool,
    pub(crate) requires_address_match: Option<bool>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RemoteOptions {
    /// The defaults, which each method tells.
    ///
    /// ```
    /// let options = libprocess::RemoteOptions::new();
    /// # let _ = options;
    /// ```
    pub const fn new() -> Self {
        Self {
            outbound_bytes: 16 << 20,
            message_bytes: 16 << 20,
            peers: 10_000,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            peer_timeout: Some(Duration::from_secs(30)),
            heartbeat: None,
            negotiates: true,
            requires_address_match: None,
        }
    }

    /// Bytes of messages to one address that wait for the kernel to take them: 16 MiB. The message that passes this is taken; those behind it are refused until there is room: each is a
    /// [dead letter](crate::DeadLetterReason::Full). [`reserve`](crate::reserve) waits for room, and what is sent with its permit is taken: all who wait are told when there is some, and a permit keeps none from others, so what waits may be more by
    /// a message for each of them.
    ///
    /// ```
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().outbound_bytes(64 << 20);
    /// # let _ = options;
    /// ```
    pub const fn outbound_bytes(mut self, bytes: usize) -> Self {
        self.outbound_bytes = bytes;
        self
    }

    /// Bytes of the body of a message that is sent: 16 MiB, which is what [these runtimes take](crate::http::Limits::body_bytes) unless told. A longer one is refused here, a [dead letter](crate::DeadLetterReason::TooLarge): a peer that
    /// refuses it closes the connection, which is also that of others.
    ///
    /// ```
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().message_bytes(1 << 30);
    /// # let _ = options;
    /// ```
    pub const fn message_bytes(mut self, bytes: usize) -> Self {
        self.message_bytes = bytes;
        self
    }

    /// Addresses that there are connections to at a time: 10,000. Messages to others are refused meanwhile, as [`outbound_bytes`](Self::outbound_bytes) says, and links to processes there told that these have ended.
    ///
    /// ```
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().peers(100);
    /// # let _ = options;
    /// ```
    pub const fn peers(mut self, addresses: usize) -> Self {
        self.peers = addresses;
        self
    }

    /// How long it may take to connect: 10 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().connect_timeout(Duration::from_secs(3));
    /// # let _ = options;
    /// ```
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// For how long a connection stays over which nothing is sent, and no process is linked: 60 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().idle_timeout(Duration::from_secs(600));
    /// # let _ = options;
    /// ```
    pub const fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// For how long a peer's machine may leave unacknowledged what is sent to it, or the kernel's question whether it is there: 30 s, in whole seconds; `None`: for as long as the operating system has it, which may be hours. Then the connection is broken, and who is linked over
    /// it gets `exited`. (`TCP_USER_TIMEOUT`, RFC 5482, and keep-alive probes.) Those that connect to this runtime are asked, too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().peer_timeout(Some(Duration::from_secs(5)));
    /// # let _ = options;
    /// ```
    pub const fn peer_timeout(mut self, time: Option<Duration>) -> Self {
        self.peer_timeout = time;
        self
    }

    /// For how long a peer to which somebody is linked may say nothing at all: without bound by default. One that has been silent for a third of that time is sent a message that it must answer, and then again; when nothing has come by the end of it, its connection is broken. Less than 10 ms count as that. So a program that
    /// stands still is noticed as gone, also a C++ libprocess, of which [`peer_timeout`](Self::peer_timeout) says nothing while its machine is well and takes what is sent. (Two of these runtimes, if they [negotiate](Self::negotiate_links), notice it after a minute, also without this.)
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().heartbeat(Some(Duration::from_secs(6)));
    /// # let _ = options;
    /// ```
    pub const fn heartbeat(mut self, time: Option<Duration>) -> Self {
        self.heartbeat = time;
        self
    }

    /// Whether a runtime that is linked to is asked to tell of the ends of its processes, and not only by the end of its connection: yes. That is asked by a web request of its own, which a C++ libprocess answers with 404 Not Found.
    ///
    /// ```
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().negotiate_links(false);
    /// # let _ = options;
    /// ```
    pub const fn negotiate_links(mut self, negotiates: bool) -> Self {
        self.negotiates = negotiates;
        self
    }

    /// Whether a message is refused (400 Bad Request) whose sender says that it is at another IP address than the one that the message comes from: by default what `LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH` says, else not, as a sender may
    /// have several addresses, or be behind another that translates them.
    ///
    /// ```
    /// # use libprocess::RemoteOptions;
    /// let options = RemoteOptions::new().require_peer_address_ip_match(true);
    /// # let _ = options;
    /// ```
    pub const fn require_peer_address_ip_match(mut self, required: bool) -> Self {
        self.requires_address_match = Some(required);
        self
    }
}
