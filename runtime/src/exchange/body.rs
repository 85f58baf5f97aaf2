//! What a request or a response carries: bytes that are there, or a [pipe](super::Pipe) that they come through.

use std::fmt;

use ::http::HeaderMap;
use bytes::Bytes;

use super::{Pipe, PipeReader};

/// The body of a request or a response.
///
/// Cheap to clone: the bytes are shared, and so is the [pipe](Self::stream) of a streamed one, of which each piece goes to one reader only.
///
/// ```
/// use libprocess::http::Body;
///
/// let body = Body::from("hello");
/// assert_eq!(body.len(), 5);
/// assert_eq!(body, "hello");
/// ```
#[derive(Clone, Default)]
pub struct Body {
    bytes: Bytes,
    media_type: Option<&'static str>,
    /// Few bodies have any of it.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Default)]
struct Extra {
    trailers: HeaderMap,
    reader: Option<PipeReader>,
}

impl Body {
    /// A body of no bytes.
    ///
    /// ```
    /// assert!(libprocess::http::Body::empty().is_empty());
    /// ```
    pub const fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            media_type: None,
            extra: None,
        }
    }

    /// A text: `text/plain; charset=utf-8`.
    ///
    /// ```
    /// let body = libprocess::http::Body::text("hello");
    /// assert_eq!(body.media_type(), Some("text/plain; charset=utf-8"));
    /// ```
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::of_type("text/plain; charset=utf-8", text)
    }

    /// A body of a media type: the `Content-Type` of a response that has none among its headers. What is said here takes no table of headers to be made, which is a
    /// tenth of the time of a small response.
    ///
    /// # Panics
    ///
    /// If the type is not visible ASCII and spaces, which a header field could not have.
    ///
    /// ```
    /// let body = libprocess::http::Body::of_type("application/json", "{}");
    /// assert_eq!(body.media_type(), Some("application/json"));
    /// ```
    pub fn of_type(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        assert_is_type(media_type);
        Self {
            bytes: bytes.into(),
            media_type: Some(media_type),
            extra: None,
        }
    }

    /// What it was [said](Self::of_type) to be.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Body::from("hello").media_type(), None);
    /// ```
    pub const fn media_type(&self) -> Option<&'static str> {
        self.media_type
    }

    /// The same body with trailers: header fields that come behind it, in a message whose body is sent in chunks.
    ///
    /// Some are not sent, as they would tell of another message than was read (RFC 9110, section 6.5.1): `Content-Length`, `-Type`, `-Encoding` and `-Range`, `Transfer-Encoding`,
    /// `Host`, `Connection`, `Authorization`, `Cookie`, `Trailer`. Of other fields it is for who sends them to know that they may be trailers.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use libprocess::http::Body;
    ///
    /// let mut trailers = HeaderMap::new();
    /// trailers.insert("checksum", HeaderValue::from_static("5d41402a"));
    /// let body = Body::from("hello").with_trailers(trailers);
    /// assert_eq!(body.trailers().expect("trailers")["checksum"], "5d41402a");
    /// ```
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        if self.extra.is_some() || !trailers.is_empty() {
            self.extra.get_or_insert_default().trailers = trailers;
        }
        self
    }

    /// A body that comes through a pipe, piece by piece, while it is made: a response so is sent in chunks (or, to a client of HTTP/1.0, up to the end of the connection), unless its headers have a
    /// `Content-Length`, which is then promised and must be kept. What is in the pipe at the end of it, when it is [closed with trailers](super::PipeWriter::close_with_trailers), goes out too.
    ///
    /// Trailers are those with which the pipe is closed, else those of the [body](Self::with_trailers). It is sent as fast as the client takes it, and not packed. If it fails, or is not as long as promised, the connection is reset.
    ///
    /// ```
    /// use libprocess::http::{Body, Pipe, Response};
    ///
    /// let Pipe { writer, reader } = Pipe::new();
    /// let response = Response::new(Body::stream(reader));
    /// writer.write("to be").detach(); // now, or later
    /// # let _ = response;
    /// ```
    pub fn stream(reader: PipeReader) -> Self {
        Self {
            extra: Some(Box::new(Extra {
                trailers: HeaderMap::new(),
                reader: Some(reader),
            })),
            ..Self::empty()
        }
    }

    /// The same body, of a media type. See [`of_type`](Self::of_type), of whose panic this one has the like.
    ///
    /// ```
    /// use libprocess::http::{Body, Pipe};
    ///
    /// let Pipe { writer, reader } = Pipe::new();
    /// let body = Body::stream(reader).with_type("text/event-stream");
    /// # drop((writer, body));
    /// ```
    pub fn with_type(mut self, media_type: &'static str) -> Self {
        assert_is_type(media_type);
        self.media_type = Some(media_type);
        self
    }

    /// Where the body comes from, if it is [streamed](Self::stream): then there are no [`bytes`](Self::bytes).
    ///
    /// ```
    /// use libprocess::http::{Body, Pipe};
    ///
    /// let Pipe { writer, reader } = Pipe::new();
    /// let body = Body::stream(reader);
    /// writer.write("hello").get()?;
    /// assert_eq!(body.reader().expect("a stream").read().get()?, "hello");
    /// assert!(Body::from("hello").reader().is_none());
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn reader(&self) -> Option<&PipeReader> {
        self.extra.as_ref()?.reader.as_ref()
    }

    /// Has its bytes, if there are any, come through a pipe that has ended.
    pub(crate) fn make_stream(&mut self) {
        if self.reader().is_some() || self.bytes.is_empty() && self.trailers().is_none() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let Pipe { writer, reader } = Pipe::with_capacity(bytes.len().max(1));
        // A new pipe has room for one piece, however long.
        let written = writer.try_write(bytes);
        debug_assert!(written.is_ok());
        let extra = self.extra.get_or_insert_default();
        writer.close_with_trailers(std::mem::take(&mut extra.trailers));
        extra.reader = Some(reader);
    }

    /// Whether it is bytes alone.
    pub(crate) fn is_plain(&self) -> bool {
        self.extra.is_none()
    }

    /// With other bytes in its place.
    pub(crate) fn with_bytes(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }

    /// What came behind the body, if anything did.
    ///
    /// ```
    /// assert!(libprocess::http::Body::from("hello").trailers().is_none());
    /// ```
    pub fn trailers(&self) -> Option<&HeaderMap> {
        let trailers = &self.extra.as_ref()?.trailers;
        (!trailers.is_empty()).then_some(trailers)
    }

    /// The bytes. None, if the body is [streamed](Self::stream).
    ///
    /// ```
    /// assert_eq!(libprocess::http::Body::from("hello").bytes(), "hello");
    /// ```
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes by value.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Body::from("hello").into_bytes(), "hello");
    /// ```
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// How many bytes there are.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Body::from("hello").len(), 5);
    /// ```
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(!libprocess::http::Body::from("hello").is_empty());
    /// ```
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn assert_is_type(media_type: &str) {
    assert!(
        media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "a media type is visible ASCII: {media_type:?}"
    );
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self {
            bytes: bytes.into(),
            media_type: None,
            extra: None,
        }
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Body {
    fn eq(&self, bytes: &T) -> bool {
        self.bytes == bytes.as_ref()
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reader() {
            Some(_) => f.write_str("Body(streamed")?,
            None => write!(f, "Body({} bytes", self.bytes.len())?,
        }
        if let Some(trailers) = self.trailers() {
            write!(f, ", {} trailers", trailers.len())?;
        }
        f.write_str(")")
    }
}
