//! `WWW-Authenticate`: what a server that answers 401 wants to see.
//!
//! A *challenge* is a scheme and parameters, `Bearer realm="…", scope="…"`. A header may hold several, and there may be several headers:
//! [`challenges`] and [`challenges_in`] read them one by one. A parameter's value is a word or a quoted string, in which `\` keeps what
//! follows it from having a meaning (RFC 9110 §11). A comma stands between parameters and also between challenges: what follows it is a
//! parameter if it has a `=`, else the next challenge.

use std::fmt;
use std::str::FromStr;

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderMap, HeaderValue};

use super::percent::excerpt;

/// A challenge with more parameters than this is refused: nobody needs them, and each is compared with all before it.
const MOST_PARAMETERS: usize = 64;

/// Parameters that some clients know only without quotes (RFC 7616 §3.3).
const BARE: [&str; 2] = ["algorithm", "stale"];

/// One challenge of a header `WWW-Authenticate`: a scheme, a realm, and what else the scheme has.
///
/// It prints as the header's value and parses from it, and what is printed parses to the very same. Whatever it was made of, it is a valid
/// value: no name, and no realm that a user chose, can end the header early.
///
/// # Cost
///
/// Two allocations for each parameter. Finding a name looks at each.
///
/// ```
/// use libprocess::http::WwwAuthenticate;
///
/// let basic = WwwAuthenticate::basic("my \"realm\"")?;
/// assert_eq!(basic.to_string(), r#"Basic realm="my \"realm\"""#);
///
/// let bearer: WwwAuthenticate = r#"Bearer realm="https://auth.example.com/token", scope=pull"#.parse()?;
/// assert_eq!(bearer.scheme(), "Bearer");
/// assert_eq!(bearer.realm(), "https://auth.example.com/token");
/// assert_eq!(bearer.get("scope"), Some("pull"));
/// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WwwAuthenticate {
    /// A token.
    scheme: String,
    /// Names are tokens, each there once in whatever case, `realm` among them; values have no control character but the tab.
    parameters: Vec<(String, String)>,
}

/// A challenge cannot be read, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WwwAuthenticateError {
    /// There is no challenge.
    #[error("there is no challenge: expected a scheme and a realm, such as Basic realm=\"name\"")]
    Missing,
    /// There is one challenge after the other.
    #[error("there is more than one challenge: read them one by one with `challenges`")]
    Several,
    /// What begins a challenge is no scheme.
    #[error("`{text}` does not begin with a scheme: expected a word, such as Basic or Bearer")]
    Scheme {
        /// The challenge; its beginning, if it is long.
        text: String,
    },
    /// What follows the scheme, or a comma, is no parameter.
    #[error("`{text}` does not begin with a parameter: expected name=word or name=\"text\"")]
    Parameter {
        /// What is left of the header from there on; its beginning, if it is long.
        text: String,
    },
    /// A quoted string has no end, a word has characters that need quotes, or either has a control character.
    #[error(
        "the value of `{name}` is malformed: quote it, end the quotes, escape quotes and backslashes within by a backslash, and leave out control characters"
    )]
    Value {
        /// The parameter's name; its beginning, if it is long.
        name: String,
    },
    /// A parameter is there twice.
    #[error("`{name}` is there more than once: leave one")]
    Duplicate {
        /// The parameter's name; its beginning, if it is long.
        name: String,
    },
    /// There are more than 64 parameters.
    #[error("there are more than {MOST_PARAMETERS} parameters")]
    TooMany,
    /// There is no realm.
    #[error("the challenge `{scheme}` has no realm: add realm=\"name\"")]
    Realm {
        /// The scheme; its beginning, if it is long.
        scheme: String,
    },
    /// The header is not text.
    #[error("the header is not UTF-8")]
    NotUtf8,
}

use WwwAuthenticateError as Error;

impl WwwAuthenticate {
    /// A challenge of that scheme, for that realm.
    ///
    /// # Errors
    ///
    /// [`WwwAuthenticateError::Scheme`] if the scheme is no word of HTTP (letters, digits and some signs), and
    /// [`WwwAuthenticateError::Value`] if the realm has control characters.
    ///
    /// ```
    /// use libprocess::http::WwwAuthenticate;
    ///
    /// let digest = WwwAuthenticate::new("Digest", "here")?.with("qop", "auth")?.with("stale", "true")?;
    /// assert_eq!(digest.to_string(), r#"Digest realm="here", qop="auth", stale=true"#);
    /// assert!(WwwAuthenticate::new("Basic", "here\r\nSet-Cookie: there").is_err());
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn new(scheme: impl Into<String>, realm: impl Into<String>) -> Result<Self, Error> {
        let scheme = scheme.into();
        if !is_token(&scheme) {
            return Err(Error::Scheme {
                text: excerpt(&scheme),
            });
        }
        let none = Self {
            scheme,
            parameters: Vec::new(),
        };
        none.with("realm", realm)
    }

    /// The scheme `Basic`: a name and a password.
    ///
    /// # Errors
    ///
    /// [`WwwAuthenticateError::Value`] if the realm has control characters.
    ///
    /// ```
    /// use libprocess::http::WwwAuthenticate;
    ///
    /// assert_eq!(WwwAuthenticate::basic("here")?.to_string(), r#"Basic realm="here""#);
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn basic(realm: impl Into<String>) -> Result<Self, Error> {
        Self::new("Basic", realm)
    }

    /// The scheme `Bearer`: a token.
    ///
    /// # Errors
    ///
    /// [`WwwAuthenticateError::Value`] if the realm has control characters.
    ///
    /// ```
    /// use libprocess::http::WwwAuthenticate;
    ///
    /// let bearer = WwwAuthenticate::bearer("here")?.with("scope", "read write")?;
    /// assert_eq!(bearer.to_string(), r#"Bearer realm="here", scope="read write""#);
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn bearer(realm: impl Into<String>) -> Result<Self, Error> {
        Self::new("Bearer", realm)
    }

    /// The same with one more parameter.
    ///
    /// # Errors
    ///
    /// [`WwwAuthenticateError::Parameter`] if the name is no word of HTTP, [`WwwAuthenticateError::Duplicate`] if it is there already,
    /// [`WwwAuthenticateError::Value`] if the value has control characters, and [`WwwAuthenticateError::TooMany`] beyond 64.
    ///
    /// ```
    /// use libprocess::http::WwwAuthenticate;
    ///
    /// let basic = WwwAuthenticate::basic("here")?.with("charset", "UTF-8")?;
    /// assert_eq!(basic.get("charset"), Some("UTF-8"));
    /// assert!(basic.with("Realm", "there").is_err());
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn with(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, Error> {
        let (name, value) = (name.into(), value.into());
        if !is_token(&name) {
            return Err(Error::Parameter {
                text: excerpt(&name),
            });
        }
        if !value.chars().all(is_quotable) {
            return Err(Error::Value {
                name: excerpt(&name),
            });
        }
        if self.get(&name).is_some() {
            return Err(Error::Duplicate {
                name: excerpt(&name),
            });
        }
        if self.parameters.len() == MOST_PARAMETERS {
            return Err(Error::TooMany);
        }
        self.parameters.push((name, value));
        Ok(self)
    }

    /// The scheme as it was written; it means the same in any case.
    ///
    /// ```
    /// # use libprocess::http::WwwAuthenticate;
    /// let basic: WwwAuthenticate = "BASIC realm=here".parse()?;
    /// assert!(basic.scheme().eq_ignore_ascii_case("Basic"));
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What the credentials are for.
    ///
    /// ```
    /// # use libprocess::http::WwwAuthenticate;
    /// assert_eq!(WwwAuthenticate::basic("here")?.realm(), "here");
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn realm(&self) -> &str {
        self.get("realm").unwrap_or_default()
    }

    /// The value of a parameter, whose name means the same in any case.
    ///
    /// ```
    /// # use libprocess::http::WwwAuthenticate;
    /// let digest: WwwAuthenticate = "Digest realm=here, QOP=auth".parse()?;
    /// assert_eq!((digest.get("qop"), digest.get("nonce")), (Some("auth"), None));
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut parameters = self.iter();
        parameters
            .find(|(its, _)| its.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Names and values of the parameters, in the order in which they were written.
    ///
    /// ```
    /// # use libprocess::http::WwwAuthenticate;
    /// let digest: WwwAuthenticate = "Digest qop=auth, realm=here".parse()?;
    /// assert_eq!(digest.iter().collect::<Vec<_>>(), [("qop", "auth"), ("realm", "here")]);
    /// # Ok::<(), libprocess::http::WwwAuthenticateError>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The challenges of one header's value, one by one.
///
/// # Errors
///
/// A challenge without a realm, with too many parameters, or with one twice, is an error of its own, and the next one follows it: so
/// one can leave out what one does not know. What cannot be read ends the list with an error.
///
/// # Cost
///
/// One pass in all, as far as one asks.
///
/// ```
/// use libprocess::http::authenticate::challenges;
///
/// let bearer = challenges(r#"Negotiate, Basic realm="a", Bearer realm="b", scope="c""#)
///     .filter_map(Result::ok)
///     .find(|challenge| challenge.scheme() == "Bearer")
///     .unwrap();
/// assert_eq!((bearer.realm(), bearer.get("scope")), ("b", Some("c")));
/// ```
pub fn challenges(value: &str) -> Challenges<'_> {
    Challenges { rest: value }
}

/// The challenges of all headers `WWW-Authenticate`, one by one, as [`challenges`] reads each. There are none without the header.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::authenticate::challenges_in;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(challenges_in(&headers).count(), 0);
/// headers.append("www-authenticate", r#"Basic realm="a""#.parse()?);
/// headers.append("www-authenticate", r#"Bearer realm="b""#.parse()?);
/// let realms: Vec<_> = challenges_in(&headers).map(|challenge| challenge.unwrap().realm().to_owned()).collect();
/// assert_eq!(realms, ["a", "b"]);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn challenges_in(
    headers: &HeaderMap,
) -> impl Iterator<Item = Result<WwwAuthenticate, WwwAuthenticateError>> {
    headers.get_all(WWW_AUTHENTICATE).iter().flat_map(|value| {
        let (value, error) = match std::str::from_utf8(value.as_bytes()) {
            Ok(value) => (value, None),
            Err(_) => ("", Some(Err(Error::NotUtf8))),
        };
        error.into_iter().chain(challenges(value))
    })
}

/// The challenges that are left; made by [`challenges`].
#[derive(Clone, Debug)]
pub struct Challenges<'a> {
    /// Empty after what could not be read.
    rest: &'a str,
}

/// A challenge that could be read, if perhaps not accepted; what could not be read.
type Read = Result<Result<WwwAuthenticate, Error>, Error>;

impl Iterator for Challenges<'_> {
    type Item = Result<WwwAuthenticate, WwwAuthenticateError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return None;
        }
        Some(self.challenge().unwrap_or_else(|unreadable| {
            self.rest = "";
            Err(unreadable)
        }))
    }
}

impl std::iter::FusedIterator for Challenges<'_> {}

impl<'a> Challenges<'a> {
    fn challenge(&mut self) -> Read {
        let text = self.rest;
        let scheme = self.word_of(is_token_char);
        if scheme.is_empty() || !(self.rest.is_empty() || self.rest.starts_with([' ', '\t', ','])) {
            return Err(Error::Scheme {
                text: excerpt(text),
            });
        }
        let mut challenge = Ok(WwwAuthenticate {
            scheme: scheme.to_owned(),
            parameters: Vec::new(),
        });
        self.skip_spaces();
        while !self.rest.is_empty() {
            if !self.rest.starts_with(',') {
                let (name, value) = self.parameter()?;
                challenge = challenge.and_then(|challenge| challenge.with(name, value));
                self.skip_spaces();
            }
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                self.skip_spaces();
                if self.is_at_challenge() {
                    break;
                }
            } else if !self.rest.is_empty() {
                return Err(self.no_parameter());
            }
        }
        Ok(
            challenge.and_then(|challenge| match challenge.get("realm") {
                Some(_) => Ok(challenge),
                None => Err(Error::Realm {
                    scheme: excerpt(scheme),
                }),
            }),
        )
    }

    /// Whether a word is next that no `=` follows.
    fn is_at_challenge(&self) -> bool {
        let mut ahead = self.clone();
        let word = ahead.word_of(is_token_char);
        ahead.skip_spaces();
        !word.is_empty() && !ahead.rest.starts_with('=')
    }

    fn parameter(&mut self) -> Result<(&'a str, String), Error> {
        let start = self.clone();
        let name = self.word_of(is_token_char);
        self.skip_spaces();
        let Some(value) = self.rest.strip_prefix('=') else {
            return Err(start.no_parameter());
        };
        if name.is_empty() {
            return Err(start.no_parameter());
        }
        self.rest = value;
        self.skip_spaces();
        let value = match self.rest.strip_prefix('"') {
            Some(quoted) => {
                self.rest = quoted;
                self.quoted()
            }
            None => Some(self.word_of(is_bare_char).to_owned()).filter(|word| !word.is_empty()),
        };
        // What follows at once belonged to the value, for whoever wrote it.
        let is_whole = self.rest.is_empty() || self.rest.starts_with([' ', '\t', ',']);
        match value.filter(|_| is_whole) {
            Some(value) => Ok((name, value)),
            None => Err(Error::Value {
                name: excerpt(name),
            }),
        }
    }

    /// The quoted string whose first quote was taken; `None` if it is malformed.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices();
        loop {
            let next = match chars.next()? {
                (end, '"') => {
                    self.rest = &self.rest[end + 1..];
                    return Some(value);
                }
                (_, '\\') => chars.next()?.1,
                (_, next) => next,
            };
            if !is_quotable(next) {
                return None;
            }
            value.push(next);
        }
    }

    fn word_of(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !belongs(next));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn no_parameter(&self) -> Error {
        Error::Parameter {
            text: excerpt(self.rest),
        }
    }
}

/// What a word of HTTP is made of.
fn is_token_char(next: char) -> bool {
    next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(next)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

/// What a value without quotes may have: more than a word, because some write addresses without quotes.
fn is_bare_char(next: char) -> bool {
    next.is_ascii_graphic() && !"\",=\\".contains(next)
}

/// What a value in quotes may have.
fn is_quotable(next: char) -> bool {
    next == '\t' || !next.is_ascii_control()
}

impl FromStr for WwwAuthenticate {
    type Err = WwwAuthenticateError;

    fn from_str(value: &str) -> Result<Self, Error> {
        let mut challenges = challenges(value);
        let challenge = challenges.next().ok_or(Error::Missing)??;
        match challenges.next() {
            None => Ok(challenge),
            Some(Ok(_)) => Err(Error::Several),
            Some(Err(error)) => Err(error),
        }
    }
}

impl fmt::Display for WwwAuthenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        for (index, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}=", if index == 0 { " " } else { ", " })?;
            if is_token(value) && BARE.iter().any(|bare| bare.eq_ignore_ascii_case(name)) {
                f.write_str(value)?;
                continue;
            }
            f.write_str("\"")?;
            for piece in value.split_inclusive(['"', '\\']) {
                let special = piece.ends_with(['"', '\\']);
                let (plain, special) = piece.split_at(piece.len() - usize::from(special));
                write!(
                    f,
                    "{plain}{}{special}",
                    if special.is_empty() { "" } else { "\\" }
                )?;
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

impl From<&WwwAuthenticate> for HeaderValue {
    fn from(challenge: &WwwAuthenticate) -> Self {
        Self::try_from(challenge.to_string()).expect("no control character but the tab")
    }
}

impl TryFrom<&HeaderValue> for WwwAuthenticate {
    type Error = WwwAuthenticateError;

    fn try_from(value: &HeaderValue) -> Result<Self, Error> {
        std::str::from_utf8(value.as_bytes())
            .map_err(|_| Error::NotUtf8)?
            .parse()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;
