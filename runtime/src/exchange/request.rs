//! A request, as a process sees it.
//!
//! Most of a request is looked at by nobody: the route is found by the path, and the handler may need an argument of the query. So what came from a
//! connection stays the bytes that it was, of which the decoder has found that they are a request, and the `http` crate's value with its table of headers is made
//! of them when somebody asks for it. (docs/http.md has what that gives.)

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;

use super::Body;
use super::codec::{Head, PathKind};

/// A request: all that [`http::Request`] tells, by reference.
///
/// ```
/// use libprocess::http::{Body, Request};
///
/// let request: Request = http::Request::post("/adder/add?a=1&b=2")
///     .header("accept", "text/plain")
///     .body(Body::from("hello"))?
///     .into();
/// assert_eq!(request.method(), http::Method::POST);
/// assert_eq!(request.uri().query(), Some("a=1&b=2"));
/// assert_eq!(request.headers()["accept"], "text/plain");
/// assert_eq!(request.body(), "hello");
/// # Ok::<(), http::Error>(())
/// ```
pub struct Request {
    /// What came, until it is `whole`.
    raw: Option<Raw>,
    whole: OnceLock<Box<::http::Request<Body>>>,
}

struct Raw {
    head: Head,
    /// Most have none.
    body: Option<Box<Body>>,
}

impl Request {
    #[inline]
    pub(crate) fn decoded(head: Head, body: Option<Box<Body>>) -> Self {
        Self {
            raw: Some(Raw { head, body }),
            whole: OnceLock::new(),
        }
    }

    /// Bytes of the body, without making the whole request for it.
    #[inline]
    pub(crate) fn body_len(&self) -> usize {
        match &self.raw {
            Some(raw) => raw.body.as_ref().map_or(0, |body| body.len()),
            None => self.whole().body().len(),
        }
    }

    /// Whether the body comes through a pipe.
    pub(crate) fn is_streamed(&self) -> bool {
        match (&self.raw, self.whole.get()) {
            (_, Some(whole)) => whole.body().reader().is_some(),
            (Some(raw), None) => raw
                .body
                .as_ref()
                .is_some_and(|body| body.reader().is_some()),
            (None, None) => false,
        }
    }

    /// Has a body that is there come through a pipe, as others do.
    pub(crate) fn stream_body(&mut self) {
        if let Some(whole) = self.whole.get_mut() {
            whole.body_mut().make_stream();
        }
        if let Some(raw) = &mut self.raw
            && let Some(body) = &mut raw.body
        {
            body.make_stream();
        }
    }

    fn whole(&self) -> &::http::Request<Body> {
        self.whole.get_or_init(|| match &self.raw {
            Some(raw) => {
                let body = raw.body.as_deref().cloned().unwrap_or_default();
                Box::new(raw.head.to_request(body))
            }
            None => Box::default(),
        })
    }

    /// The `http` crate's request by value.
    ///
    /// ```
    /// # use libprocess::http::{Body, Request};
    /// let request = Request::from(http::Request::new(Body::from("hello")));
    /// let (parts, body) = request.into_inner().into_parts();
    /// assert_eq!(body, "hello");
    /// assert_eq!(parts.uri, "/");
    /// ```
    pub fn into_inner(mut self) -> ::http::Request<Body> {
        match (self.whole.take(), self.raw) {
            (Some(whole), _) => *whole,
            (None, Some(raw)) => raw
                .head
                .to_request(raw.body.map(|body| *body).unwrap_or_default()),
            (None, None) => ::http::Request::default(),
        }
    }

    /// What its path is to be looked at for.
    #[inline(always)]
    pub(crate) fn path_kind(&self) -> PathKind {
        match &self.raw {
            Some(raw) => raw.head.path_kind(),
            None => self.path_kind_of_whole(),
        }
    }

    #[inline(never)]
    fn path_kind_of_whole(&self) -> PathKind {
        let path = self.path_of_head();
        PathKind {
            is_encoded: path.contains('%'),
            is_relative: path.contains("/.."),
        }
    }

    /// The process that says that it sends this, as a message to another.
    #[inline]
    pub(crate) fn sender(&self) -> Option<&[u8]> {
        self.raw.as_ref()?.head.sender()
    }

    /// The bytes of the body, without making the whole request for it.
    pub(crate) fn into_body_bytes(self) -> Bytes {
        match self.raw {
            Some(raw) => raw.body.map(|body| body.into_bytes()).unwrap_or_default(),
            None => self.whole().body().bytes().clone(),
        }
    }

    /// As `self.uri().path()`, without making the whole request for it.
    #[inline(always)]
    pub(crate) fn path_of_head(&self) -> &str {
        match &self.raw {
            Some(raw) => raw.head.path(),
            None => self.whole().uri().path(),
        }
    }
}

impl Deref for Request {
    type Target = ::http::Request<Body>;

    fn deref(&self) -> &::http::Request<Body> {
        self.whole()
    }
}

impl<T: Into<Body>> From<::http::Request<T>> for Request {
    fn from(request: ::http::Request<T>) -> Self {
        Self {
            raw: None,
            whole: OnceLock::from(Box::new(request.map(Into::into))),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.whole(), f)
    }
}
