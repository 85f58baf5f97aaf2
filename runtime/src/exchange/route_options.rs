//! What else is said of a route.

/// How a [route](crate::Context::route_with) is served.
///
/// ```
/// use libprocess::http::RouteOptions;
///
/// let options = RouteOptions::new().stream_requests(true);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct RouteOptions {
    pub(crate) stream_requests: bool,
}

impl RouteOptions {
    /// As [`route`](crate::Context::route) does it: a request is served when all of it has come.
    ///
    /// ```
    /// let options = libprocess::http::RouteOptions::new();
    /// # let _ = options;
    /// ```
    pub const fn new() -> Self {
        Self {
            stream_requests: false,
        }
    }

    /// Serves a request that has a body when its head has come; the body is [read](crate::http::Body::reader) as it comes. It is as long as it is, whatever the limit of bodies; what nobody has read waits in its pipe,
    /// and when that is full, in the client's socket. It is not unpacked, and where the client breaks it off the read fails.
    ///
    /// A request without a body is served as ever. One that comes before the process has been initialized is served when all of it has come, within the limit of bodies: its handler sees no difference otherwise.
    ///
    /// ```
    /// # use libprocess::http::RouteOptions;
    /// let options = RouteOptions::new().stream_requests(true);
    /// # let _ = options;
    /// ```
    pub const fn stream_requests(mut self, streams: bool) -> Self {
        self.stream_requests = streams;
        self
    }
}
