//! The head of a request that was decoded.

use std::mem::MaybeUninit;
use std::ops::Range;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use bytes::Bytes;

use super::target::PathKind;
use crate::exchange::{Body, Limits};

/// The bytes of a head, of which the decoder has found that they are one, and where in them is what most requests are asked for.
pub(crate) struct Head {
    pub(super) bytes: Bytes,
    /// ASCII, as the decoder has found.
    pub(super) target: Range<u32>,
    /// In the bytes, too. Empty if the target is a URL without one.
    pub(super) path: Range<u32>,
    pub(super) kind: PathKind,
    pub(super) minor: u8,
    /// In the bytes, too: the process that says that it sends this, as a message. At the beginning if none does.
    pub(super) sender: Range<u32>,
    /// The body is no more as the fields say.
    pub(super) is_unpacked: bool,
}

/// As many as any limit allows.
pub(super) type FieldSpace<'a> = [MaybeUninit<httparse::Header<'a>>; Limits::MOST_FIELDS];

pub(super) const fn field_space<'a>() -> FieldSpace<'a> {
    [const { MaybeUninit::uninit() }; Limits::MOST_FIELDS]
}

pub(super) fn place(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

impl Head {
    /// As it came, percent signs and all.
    #[inline]
    pub(crate) fn path(&self) -> &str {
        let path = &self.bytes[place(&self.path)];
        if path.is_empty() {
            return "/";
        }
        // SAFETY: the path is a part of the target, of which `target::parse` lets ASCII pass, and nothing else; only the decoder makes heads.
        unsafe { std::str::from_utf8_unchecked(path) }
    }

    #[inline]
    pub(crate) fn path_kind(&self) -> PathKind {
        self.kind
    }

    /// The process that says that it sends this, as a message to another: see [`super::sender`].
    #[inline]
    pub(crate) fn sender(&self) -> Option<&[u8]> {
        (self.sender.start != 0).then(|| &self.bytes[place(&self.sender)])
    }

    /// The `http` crate's value. What it would not take, the decoder did not.
    pub(crate) fn to_request(&self, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.version_mut() = if self.minor == 0 {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        };
        let target = self.bytes.slice(place(&self.target));
        *request.uri_mut() = Uri::from_maybe_shared(target).unwrap_or_default();
        let mut space = field_space();
        let mut parsed = httparse::Request::new(&mut []);
        if parsed
            .parse_with_uninit_headers(&self.bytes, &mut space)
            .is_ok()
        {
            let method = parsed.method.unwrap_or_default().as_bytes();
            *request.method_mut() = Method::from_bytes(method).unwrap_or_default();
            append(parsed.headers, &self.bytes, request.headers_mut());
        }
        // RFC 9112, section 3.2.2: of a target that names its host, that one counts, whatever Host says.
        if let Some(authority) = request.uri().authority()
            && let Ok(host) = HeaderValue::try_from(authority.as_str())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        if self.is_unpacked {
            let length = request.body().len();
            let headers = request.headers_mut();
            headers.remove(header::CONTENT_ENCODING);
            if let Some(said) = headers.get_mut(header::CONTENT_LENGTH) {
                *said = length.into();
            }
        }
        request
    }
}

/// Makes fields of parts of the bytes, without copying their values.
pub(super) fn append(fields: &[httparse::Header<'_>], bytes: &Bytes, map: &mut HeaderMap) {
    map.reserve(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
}
