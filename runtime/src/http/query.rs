//! The query of a URL: names and values, in order.

use std::fmt;
use std::str::FromStr;

use ::percent_encoding::utf8_percent_encode;

use super::percent::{self, DecodeError, ESCAPED_IN_URL};

/// The query of a URL, which is also what a form sends: names and values in the order in which they were written.
///
/// A name may occur more than once. [`get`](Self::get) answers the last, which is what everybody sees who keeps a query in a map, as
/// libprocess does; [`get_all`](Self::get_all) answers all, and nothing is lost from one server to the next.
///
/// Two queries are equal if they have the same names and values in the same order.
///
/// # Text
///
/// Prints as `name=value&…`, an empty value without its `=`, and both escaped as [`encode`](super::encode) does (and DEL, which no URL may
/// hold). Reads `;` between them as well, `+` as a space, and `=` within a value. What is printed reads back as the very same query.
///
/// # Cost
///
/// A vector: finding a name looks at each. Queries are short, and one that is not was paid for by whoever sent it: the request line is bounded.
///
/// ```
/// use libprocess::http::Query;
///
/// let query: Query = "foo=1&bar=%20&baz&foo=3".parse()?;
/// assert_eq!(query.get("foo"), Some("3"));
/// assert_eq!(query.get("bar"), Some(" "));
/// assert_eq!(query.get("baz"), Some(""));
/// assert_eq!(query.to_string(), "foo=1&bar=%20&baz&foo=3");
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// Decodes a query, what stands after the `?`, or the body of a form: the same as parsing it.
///
/// # Errors
///
/// [`DecodeError`], if a name or a value has a `%` without two hexadecimal digits, or is not UTF-8 when decoded.
///
/// ```
/// use libprocess::http::query;
///
/// let query = query::decode("a=1&b=2")?;
/// assert_eq!(query.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
/// assert!(query::decode("a=100%").is_err());
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn decode(text: &str) -> Result<Query, DecodeError> {
    text.parse()
}

/// Encodes a query: the same as printing it.
///
/// ```
/// use libprocess::http::{Query, query};
///
/// assert_eq!(query::encode(&Query::from([("path", "C:\\foo"), ("d", "")])), "path=C%3A%5Cfoo&d");
/// ```
pub fn encode(query: &Query) -> String {
    query.to_string()
}

impl Query {
    /// No names.
    ///
    /// ```
    /// assert!(libprocess::http::Query::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// The value of that name, the last if there are several.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let query = Query::from([("a", "1"), ("a", "2")]);
    /// assert_eq!((query.get("a"), query.get("A")), (Some("2"), None));
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut backwards = self.pairs.iter().rev();
        backwards
            .find(|(its, _)| its == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of that name, in order.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let query = Query::from([("a", "1"), ("b", ""), ("a", "2")]);
    /// assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
    /// ```
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter()
            .filter(move |(its, _)| *its == name)
            .map(|(_, value)| value)
    }

    /// Whether the name occurs.
    ///
    /// ```
    /// assert!(libprocess::http::Query::from([("a", "")]).contains("a"));
    /// ```
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in order.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let query = Query::from([("b", "1"), ("a", "2")]);
    /// assert_eq!(query.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2")]);
    /// ```
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.pairs.iter())
    }

    /// How many values there are, of all names.
    ///
    /// ```
    /// assert_eq!(libprocess::http::Query::from([("a", "1"), ("a", "2")]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none. A URL whose query is empty prints no `?`.
    ///
    /// ```
    /// assert!("&;".parse::<libprocess::http::Query>()?.is_empty());
    /// # Ok::<(), libprocess::http::DecodeError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Makes this the only value of the name: in the place of the first that it had, or at the end.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let mut query = Query::from([("a", "1"), ("b", "2"), ("a", "3")]);
    /// query.set("a", "4");
    /// assert_eq!(query.to_string(), "a=4&b=2");
    /// ```
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.pairs.iter().position(|(its, _)| *its == name) {
            None => self.pairs.push((name, value)),
            Some(first) => {
                self.pairs[first].1 = value;
                let mut at = 0;
                self.pairs.retain(|(its, _)| {
                    at += 1;
                    at <= first + 1 || *its != name
                });
            }
        }
    }

    /// Adds a value at the end, beside those that the name has.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let mut query = Query::from([("a", "1")]);
    /// query.append("a", "2");
    /// assert_eq!(query.to_string(), "a=1&a=2");
    /// ```
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.pairs.push((name.into(), value.into()));
    }

    /// Removes all values of the name, and answers the last.
    ///
    /// ```
    /// use libprocess::http::Query;
    ///
    /// let mut query = Query::from([("a", "1"), ("b", ""), ("a", "2")]);
    /// assert_eq!(query.remove("a").as_deref(), Some("2"));
    /// assert_eq!(query.remove("a"), None);
    /// assert_eq!(query.to_string(), "b");
    /// ```
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let removed = self.pairs.extract_if(.., |(its, _)| its == name);
        removed.last().map(|(_, value)| value)
    }
}

impl FromStr for Query {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        text.split(['&', ';'])
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((percent::decode(name)?, percent::decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(|pairs| Self { pairs })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            if index != 0 {
                f.write_str("&")?;
            }
            fmt::Display::fmt(&utf8_percent_encode(name, &ESCAPED_IN_URL), f)?;
            // Without its `=`, an empty name would be nothing.
            if !value.is_empty() || name.is_empty() {
                write!(f, "={}", utf8_percent_encode(value, &ESCAPED_IN_URL))?;
            }
        }
        Ok(())
    }
}

/// Names and values of a [`Query`], in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(std::slice::Iter<'a, (String, String)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .next()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0
            .next_back()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Query {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Query {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Query {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut query = Self::new();
        query.extend(pairs);
        query
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Query {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        self.pairs.extend(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Query {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::random::{ROUNDS, Random};

    #[test]
    fn queries_are_encoded_and_decoded() {
        for (pairs, text) in [
            (vec![], ""),
            (vec![("foo", "bar")], "foo=bar"),
            (
                vec![("a()", "b%20"), ("c~/asdf", "%asdf")],
                "a()=b%2520&c%7E%2Fasdf=%25asdf",
            ),
            (
                vec![("c~/asdf", "%asdf"), ("a()", "b%20")],
                "c%7E%2Fasdf=%25asdf&a()=b%2520",
            ),
            (vec![("d", "")], "d"),
            (vec![("a&b=c", "d&e=fg")], "a%26b%3Dc=d%26e%3Dfg"),
        ] {
            let query: Query = pairs.into_iter().collect();
            assert_eq!(encode(&query), text);
            assert_eq!(decode(text), Ok(query), "{text}");
        }
    }

    #[test]
    fn what_others_write_is_read() {
        for (text, pairs) in [
            (
                "foo=1&bar=%20&baz&foo=3",
                vec![("foo", "1"), ("bar", " "), ("baz", ""), ("foo", "3")],
            ),
            ("a=1;b=2", vec![("a", "1"), ("b", "2")]),
            (";&a&&;b;", vec![("a", ""), ("b", "")]),
            ("a=b=c", vec![("a", "b=c")]),
            ("a=", vec![("a", "")]),
            ("=b", vec![("", "b")]),
            ("=", vec![("", "")]),
            ("a+b=c+d", vec![("a b", "c d")]),
            ("é=€", vec![("é", "€")]),
        ] {
            assert_eq!(decode(text), Ok(pairs.into_iter().collect()), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for text in ["%", "a=%", "%1=a", "a=1&b=%zz", "a=%FF"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_value_counts() {
        let mut query = Query::from([("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(query.get("a"), Some("3"));
        assert_eq!(query.get("c"), None);
        query.set("c", "4");
        query.set("b", "5");
        assert_eq!(query.to_string(), "a=1&b=5&a=3&c=4");
        query.set("a", "6");
        assert_eq!(query.to_string(), "a=6&b=5&c=4");
        assert_eq!(query.iter().next_back(), Some(("c", "4")));
        assert_eq!(query.iter().len(), 3);
    }

    #[test]
    fn a_control_character_is_escaped() {
        assert_eq!(Query::from([("\x7f", "\r\n")]).to_string(), "%7F=%0D%0A");
    }

    #[test]
    fn what_is_printed_reads_back() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let query: Query = (0..random.below(5))
                .map(|_| (random.text(6), random.text(6)))
                .collect();
            assert_eq!(query.to_string().parse(), Ok(query), "seed {seed}");
        }
    }

    #[test]
    fn no_text_panics() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            for text in [
                random.text(30),
                random.pieces(&["&", ";", "=", "%", "%41", "%ff", "a", "+"], 12),
            ] {
                if let Ok(query) = decode(&text) {
                    assert_eq!(decode(&encode(&query)), Ok(query), "seed {seed}: {text}");
                }
            }
        }
    }
}
