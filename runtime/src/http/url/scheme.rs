use std::fmt;
use std::str::FromStr;

use super::super::percent::excerpt;
use super::UrlError;

/// How a server is spoken to.
///
/// ```
/// use libprocess::http::Scheme;
///
/// assert_eq!("HTTPS".parse(), Ok(Scheme::Https));
/// assert_eq!((Scheme::Http.to_string().as_str(), Scheme::Http.default_port()), ("http", 80));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it is written.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Scheme::Https.as_str(), "https");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where no other is given: 80 or 443.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Scheme::Https.default_port(), 443);
    /// ```
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Scheme {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
            .ok_or_else(|| UrlError::Scheme {
                scheme: excerpt(text),
            })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
