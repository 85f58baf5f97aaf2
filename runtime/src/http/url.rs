//! `Url`: where a request goes.
//!
//! ```text
//! http://host:port/path?query#fragment
//! ```
//!
//! A `Url` is valid, whatever it was made of: nothing in it can end the request line or the header `Host` early, so that nobody who
//! prints one has to look. Parsing is therefore strict and says what to change, while the methods that set a part escape what cannot
//! stand in it.
//!
//! | part | kept | equal if |
//! |---|---|---|
//! | scheme | `http` or `https` | the same in any case |
//! | host | a name in lower case, or an address | the same name, the same address |
//! | port | as given, or not given | both given or both not: `http://a/` is not `http://a:80/` |
//! | path | escapes as they are; at least `/` | the same bytes |
//! | query | decoded, in order | the same names and values: `?a=%62` is `?a=b` |
//! | fragment | escapes as they are | the same bytes |
//!
//! There are no names and passwords in a URL: RFC 9110 §4.2.4 has recipients treat them as an error, since they serve to make a URL look
//! as if it led elsewhere. For the same reason a name that is nearly an IPv4 address (`127.1`, `0x7f000001`) is none.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ::http::Uri;
use ::http::uri::InvalidUri;
use ::percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::percent::{DecodeError, ESCAPED_IN_URL, check_escapes, excerpt};
use super::query::Query;

mod host;
mod scheme;

pub use host::{Host, HostError};
pub use scheme::Scheme;

/// What cannot stand in a fragment (RFC 3986 §3.5), the `%` aside.
const NOT_IN_FRAGMENT: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What cannot stand in a path (RFC 3986 §3.3), the `%` aside.
const NOT_IN_PATH: AsciiSet = NOT_IN_FRAGMENT.add(b'?');

/// What cannot stand in a query. Less than RFC 3986 §3.4 has: it is decoded, and so it is printed well.
const NOT_IN_QUERY: AsciiSet = CONTROLS.add(b' ');

/// A text is no URL of `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no scheme.
    #[error("`{url}` has no scheme: begin it with http:// or https://")]
    NoScheme {
        /// The text; its beginning, if it is long.
        url: String,
    },
    /// The scheme is another.
    #[error("the scheme `{scheme}` is unknown here: use http or https")]
    Scheme {
        /// The scheme; its beginning, if it is long.
        scheme: String,
    },
    /// There is a name, and perhaps a password, before the host.
    #[error("there is an `@` in front of the host: send credentials in the header Authorization")]
    Credentials,
    /// The host is malformed, or there is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The port is no number that a port can have.
    #[error(
        "`{port}` is no port: expected a number up to 65535 after the host, and brackets around an IPv6 address"
    )]
    Port {
        /// The port; its beginning, if it is long.
        port: String,
    },
    /// A character has to be escaped.
    #[error(
        "{character:?} cannot stand in the {part} of a URL: write it as {}",
        utf8_percent_encode(&character.to_string(), &ESCAPED_IN_URL)
    )]
    Character {
        /// `path`, `query` or `fragment`.
        part: &'static str,
        /// The first such character.
        character: char,
    },
    /// A part has a malformed escape, or the query is not text.
    #[error("in the {part} of the URL, {error}")]
    Decode {
        /// `path`, `query` or `fragment`.
        part: &'static str,
        /// What is wrong.
        #[source]
        error: DecodeError,
    },
}

/// Where a request goes: scheme, host, port, path, query and fragment.
///
/// See [the module](self) for what is kept of each part, and what makes two equal. What is printed parses to the very same URL.
///
/// # Cost
///
/// Parsing is one pass over each part and an allocation for each. Setting a part is a pass over that part.
///
/// ```
/// use libprocess::http::{Host, Query, Scheme, Url};
///
/// let url: Url = "http://registry.example.com:1234/v2/?n=10&last=a%2Fb#top".parse()?;
/// assert_eq!((url.scheme(), url.port(), url.path()), (Scheme::Http, Some(1234), "/v2/"));
/// assert_eq!(url.host().to_string(), "registry.example.com");
/// assert_eq!(url.query().get("last"), Some("a/b"));
/// assert_eq!(url.fragment(), Some("top"));
///
/// let host: Host = "registry.example.com".parse()?;
/// let same = Url::new(Scheme::Http, host)
///     .with_port(1234)
///     .with_path("/v2/")
///     .with_query([("n", "10"), ("last", "a/b")])
///     .with_fragment("top");
/// assert_eq!(same, url);
/// # Ok::<(), libprocess::http::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    /// Begins with `/`, and has nothing of `NOT_IN_PATH` and no malformed escape.
    path: String,
    query: Query,
    /// Has nothing of `NOT_IN_FRAGMENT` and no malformed escape.
    fragment: Option<String>,
}

impl Url {
    /// The root of that host, on the scheme's default port.
    ///
    /// ```
    /// use std::net::Ipv6Addr;
    /// use libprocess::http::{Scheme, Url};
    ///
    /// assert_eq!(Url::new(Scheme::Https, Ipv6Addr::LOCALHOST).to_string(), "https://[::1]/");
    /// ```
    pub fn new(scheme: Scheme, host: impl Into<Host>) -> Self {
        Self {
            scheme,
            host: host.into(),
            port: None,
            path: "/".to_owned(),
            query: Query::new(),
            fragment: None,
        }
    }

    /// The same on that port, which is then printed even if it is the scheme's default.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://localhost/".parse()?;
    /// assert_eq!(url.with_port(80).to_string(), "http://localhost:80/");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The same with that path, which may or may not begin with `/`.
    ///
    /// Escapes are kept, and what cannot stand in a path is escaped, `?` and `#` included. [`encode`](super::encode) a segment that may have
    /// a `/` or a `%` of its own.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://localhost/".parse()?;
    /// assert_eq!(url.with_path("scheduler(1)/a b%20c?").path(), "/scheduler(1)/a%20b%20c%3F");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_path(mut self, path: impl AsRef<str>) -> Self {
        let path = path.as_ref();
        self.path = format!(
            "/{}",
            escaped(path.strip_prefix('/').unwrap_or(path), &NOT_IN_PATH)
        );
        self
    }

    /// The same with that query.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://localhost/?a=1".parse()?;
    /// assert_eq!(url.with_query([("b", "2")]).to_string(), "http://localhost/?b=2");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_query(mut self, query: impl Into<Query>) -> Self {
        self.query = query.into();
        self
    }

    /// The same with that fragment. Escapes are kept, and what cannot stand in a fragment is escaped.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://localhost/".parse()?;
    /// assert_eq!(url.with_fragment("a b").to_string(), "http://localhost/#a%20b");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_fragment(mut self, fragment: impl AsRef<str>) -> Self {
        self.fragment = Some(escaped(fragment.as_ref(), &NOT_IN_FRAGMENT));
        self
    }

    /// How the server is spoken to.
    ///
    /// ```
    /// # use libprocess::http::{Scheme, Url};
    /// assert_eq!("https://localhost/".parse::<Url>()?.scheme(), Scheme::Https);
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or the address of the server.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// assert_eq!("http://LocalHost/".parse::<Url>()?.host().name(), Some("localhost"));
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if it was given: see [`port_or_default`](Self::port_or_default).
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// assert_eq!("http://localhost:8080/".parse::<Url>()?.port(), Some(8080));
    /// assert_eq!("http://localhost/".parse::<Url>()?.port(), None);
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port to connect to: the one that was given, else the scheme's own.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "https://auth.example.com".parse()?;
    /// assert_eq!((url.port(), url.port_or_default()), (None, 443));
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    /// The address to connect to, if the host is one; a name has to be looked up.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://127.0.0.1/".parse()?;
    /// assert_eq!(url.address(), Some("127.0.0.1:80".parse().unwrap()));
    /// assert_eq!("http://localhost/".parse::<Url>()?.address(), None);
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        let ip = self.host.ip()?;
        Some(SocketAddr::new(ip, self.port_or_default()))
    }

    /// The path, escapes and all; it begins with `/`.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// assert_eq!("http://localhost/a%2Fb".parse::<Url>()?.path(), "/a%2Fb");
    /// assert_eq!("http://localhost".parse::<Url>()?.path(), "/");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, decoded.
    ///
    /// ```
    /// # use libprocess::http::{Query, Url};
    /// assert_eq!("http://localhost/?a=%26".parse::<Url>()?.query(), &Query::from([("a", "&")]));
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The query, to be changed.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let mut url: Url = "http://localhost/?a=1".parse()?;
    /// url.query_mut().set("a", "&");
    /// assert_eq!(url.to_string(), "http://localhost/?a=%26");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn query_mut(&mut self) -> &mut Query {
        &mut self.query
    }

    /// The fragment, escapes and all, without its `#`. It is never sent.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// assert_eq!("http://localhost/#a%20b".parse::<Url>()?.fragment(), Some("a%20b"));
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }

    /// Path and query as they stand in a request line. Allocates.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// let url: Url = "http://localhost/a?b=c#d".parse()?;
    /// assert_eq!(url.path_and_query(), "/a?b=c");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn path_and_query(&self) -> String {
        PathAndQuery(self).to_string()
    }

    /// The value of the header `Host`: the host, and the port unless it is the scheme's own. Allocates.
    ///
    /// ```
    /// # use libprocess::http::Url;
    /// assert_eq!("http://[::1]:80/".parse::<Url>()?.host_header(), "[::1]");
    /// assert_eq!("http://localhost:443/".parse::<Url>()?.host_header(), "localhost:443");
    /// # Ok::<(), libprocess::http::UrlError>(())
    /// ```
    pub fn host_header(&self) -> String {
        match self.port_or_default() {
            port if port == self.scheme.default_port() => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }
}

struct PathAndQuery<'a>(&'a Url);

impl fmt::Display for PathAndQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.path)?;
        if !self.0.query.is_empty() {
            write!(f, "?{}", self.0.query)?;
        }
        Ok(())
    }
}

struct WithoutFragment<'a>(&'a Url);

impl fmt::Display for WithoutFragment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme, self.0.host)?;
        if let Some(port) = self.0.port {
            write!(f, ":{port}")?;
        }
        PathAndQuery(self.0).fmt(f)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WithoutFragment(self).fmt(f)?;
        if let Some(fragment) = &self.fragment {
            write!(f, "#{fragment}")?;
        }
        Ok(())
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url
            .split_once("://")
            .filter(|(scheme, _)| !scheme.is_empty())
            .ok_or_else(|| UrlError::NoScheme { url: excerpt(url) })?;
        let scheme: Scheme = scheme.parse()?;

        let (rest, fragment) = match rest.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));

        let (host, port) = host_and_port(authority)?;
        check_part("path", path, &NOT_IN_PATH)?;
        check_part("query", query, &NOT_IN_QUERY)?;
        if let Some(fragment) = fragment {
            check_part("fragment", fragment, &NOT_IN_FRAGMENT)?;
        }
        let in_query = |error| UrlError::Decode {
            part: "query",
            error,
        };
        Ok(Self {
            scheme,
            host,
            port,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.parse().map_err(in_query)?,
            fragment: fragment.map(str::to_owned),
        })
    }
}

fn host_and_port(authority: &str) -> Result<(Host, Option<u16>), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    // The colons of an IPv6 address are in brackets.
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    // The host first: what is wrong with it explains what is wrong with the port.
    let host = host.parse()?;
    let digits = match port.strip_prefix(':') {
        // RFC 3986 §3.2.3: as if it were not there.
        Some("") => return Ok((host, None)),
        None if port.is_empty() => return Ok((host, None)),
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    let error = || UrlError::Port {
        port: excerpt(port),
    };
    Ok((host, Some(digits.ok_or_else(error)?)))
}

/// That a part has nothing that cannot stand in it, and no malformed escape.
fn check_part(
    part: &'static str,
    text: &str,
    not_in_it: &'static AsciiSet,
) -> Result<(), UrlError> {
    let stands = |character: char| {
        let mut bytes = [0; 4];
        let text = character.encode_utf8(&mut bytes);
        utf8_percent_encode(text, not_in_it).eq([&*text])
    };
    if let Some(character) = text.chars().find(|character| !stands(*character)) {
        return Err(UrlError::Character { part, character });
    }
    check_escapes(text.as_bytes()).map_err(|error| UrlError::Decode { part, error })
}

/// The text with what cannot stand in its part escaped, and a `%` that begins no escape.
fn escaped(text: &str, not_in_it: &'static AsciiSet) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, piece) in text.split('%').enumerate() {
        if index > 0 {
            let digits = piece.as_bytes().get(..2);
            let is_escape = digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
            escaped.push_str(if is_escape { "%" } else { "%25" });
        }
        escaped.extend(utf8_percent_encode(piece, not_in_it));
    }
    escaped
}

/// As [`parse`](str::parse).
///
/// ```
/// use libprocess::http::Url;
///
/// let url = Url::try_from("http://example.com/a")?;
/// assert_eq!(url.path(), "/a");
/// # Ok::<(), libprocess::http::UrlError>(())
/// ```
impl TryFrom<&str> for Url {
    type Error = UrlError;

    fn try_from(url: &str) -> Result<Self, UrlError> {
        url.parse()
    }
}

/// As [`parse`](str::parse).
impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(url: String) -> Result<Self, UrlError> {
        url.parse()
    }
}

/// As [`parse`](str::parse).
impl TryFrom<&String> for Url {
    type Error = UrlError;

    fn try_from(url: &String) -> Result<Self, UrlError> {
        url.parse()
    }
}

/// So that a URL may be asked for and kept: it is cloned.
impl From<&Self> for Url {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}

/// The URL without its fragment, which a `Uri` has not.
///
/// ```
/// use http::Uri;
/// use libprocess::http::Url;
///
/// let url: Url = "https://example.com/a?b=c#d".parse()?;
/// let uri = Uri::try_from(&url).expect("less than 64 KiB");
/// assert_eq!(uri, "https://example.com/a?b=c");
/// assert_eq!(Url::try_from(&uri)?.host(), url.host());
/// # Ok::<(), libprocess::http::UrlError>(())
/// ```
impl TryFrom<&Url> for Uri {
    /// The URL is longer than 64 KiB, the most that a `Uri` holds.
    type Error = InvalidUri;

    fn try_from(url: &Url) -> Result<Self, InvalidUri> {
        Self::try_from(WithoutFragment(url).to_string())
    }
}

/// A `Uri` with a scheme and a host, as a client has it. That of a request to a server is mostly a path alone.
impl TryFrom<&Uri> for Url {
    /// There is no scheme or no host, or the `Uri` has what is no valid URL: see [`UrlError`].
    type Error = UrlError;

    fn try_from(uri: &Uri) -> Result<Self, UrlError> {
        uri.to_string().parse()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;
