//! What a request or a response carries.

use std::fmt;

use ::http::HeaderMap;
use bytes::Bytes;

/// The body of a request or a response.
///
/// Cheap to clone: the bytes are shared.
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
    /// Few bodies have any.
    trailers: Option<Box<HeaderMap>>,
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
            trailers: None,
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
        assert!(
            media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "a media type is visible ASCII: {media_type:?}"
        );
        Self {
            bytes: bytes.into(),
            media_type: Some(media_type),
            trailers: None,
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
        self.trailers = Some(Box::new(trailers)).filter(|trailers| !trailers.is_empty());
        self
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
        self.trailers.as_deref()
    }

    /// The bytes.
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

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self {
            bytes: bytes.into(),
            media_type: None,
            trailers: None,
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
        write!(f, "Body({} bytes", self.bytes.len())?;
        if let Some(trailers) = &self.trailers {
            write!(f, ", {} trailers", trailers.len())?;
        }
        f.write_str(")")
    }
}
