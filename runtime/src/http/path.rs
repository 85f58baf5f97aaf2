//! Paths, taken apart by a pattern.

use ::percent_encoding::percent_decode_str;

use super::percent::{DecodeError, check_escapes, excerpt, text_of};

/// The segments of a path by the names that a pattern gives them; made by [`parse`].
///
/// A name of the pattern that the path does not reach has no segment.
///
/// # Cost
///
/// Borrows from the pattern and from the path. Finding a name looks at each.
///
/// ```
/// use libprocess::http::path;
///
/// let segments = path::parse("/tasks/{task}", "/tasks/42")?;
/// assert_eq!(segments.get("task"), Some("42"));
/// # Ok::<(), libprocess::http::PathError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments<'pattern, 'path> {
    pairs: Vec<(&'pattern str, &'path str)>,
}

impl<'pattern, 'path> Segments<'pattern, 'path> {
    /// The segment of that name, the last if the pattern has the name several times.
    ///
    /// It is as it stands in the path: [`decode`] it, if it may have escapes.
    ///
    /// ```
    /// use libprocess::http::path;
    ///
    /// let segments = path::parse("/files/{name}", "/files/a%2Fb").unwrap();
    /// assert_eq!(segments.get("name"), Some("a%2Fb"));
    /// assert_eq!(segments.get("name").map(path::decode), Some(Ok("a/b".to_owned())));
    /// assert_eq!(segments.get("files"), Some("files"));
    /// assert_eq!(segments.get("other"), None);
    /// ```
    pub fn get(&self, name: &str) -> Option<&'path str> {
        let mut backwards = self.pairs.iter().rev();
        backwards
            .find(|(its, _)| *its == name)
            .map(|(_, segment)| *segment)
    }

    /// Names and segments in the order of the path.
    ///
    /// ```
    /// use libprocess::http::path;
    ///
    /// let segments = path::parse("/tasks/{task}/files/{file}", "/tasks/7").unwrap();
    /// assert_eq!(segments.iter().collect::<Vec<_>>(), [("tasks", "tasks"), ("task", "7")]);
    /// ```
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&'pattern str, &'path str)> + '_ {
        self.pairs.iter().copied()
    }

    /// How many segments the path has.
    ///
    /// ```
    /// assert_eq!(libprocess::http::path::parse("/a/{b}/{c}", "/a/7").unwrap().len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether the path has none.
    ///
    /// ```
    /// assert!(libprocess::http::path::parse("/a", "/").unwrap().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// The path is not one that the pattern describes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A segment is another than the pattern has there.
    #[error("the path has `{found}` where the pattern wants `{expected}`")]
    Segment {
        /// The segment of the pattern.
        expected: String,
        /// The segment of the path; its beginning, if it is long.
        found: String,
    },
    /// The path has more segments than the pattern.
    #[error("the path goes on with `{suffix}` where the pattern ends: leave that off")]
    Suffix {
        /// What is too much; its beginning, if it is long.
        suffix: String,
    },
}

/// Decodes a segment of a path, in which `+` is a plus: other than in a query, of which [`decode`](super::decode) makes a space.
///
/// # Errors
///
/// [`DecodeError::Malformed`] if a `%` has not two hexadecimal digits, [`DecodeError::NotUtf8`] if the result is not text.
///
/// # Cost
///
/// As of [`decode`](super::decode).
///
/// ```
/// use libprocess::http::path;
///
/// assert_eq!(path::decode("c%2B%2B+rust")?, "c+++rust");
/// assert!(path::decode("100%").is_err());
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn decode(segment: &str) -> Result<String, DecodeError> {
    check_escapes(segment.as_bytes())?;
    text_of(percent_decode_str(segment).collect())
}

/// Takes a path apart by a pattern: `/tasks/{task}` gives the second segment the name `task`, and the first, which has to be `tasks`, the
/// name `tasks`.
///
/// The path may end before the pattern does: ask for the last name that you need. Slashes at either end, and more than one between two
/// segments, mean nothing.
///
/// # Errors
///
/// [`PathError::Segment`], if the path has another segment where the pattern names one; [`PathError::Suffix`], if it has more segments
/// than the pattern.
///
/// # Cost
///
/// One pass over both, and one vector.
///
/// ```
/// use libprocess::http::path;
///
/// let pattern = "/tasks/{task}/files/{file}";
/// let segments = path::parse(pattern, "/tasks/42/files/3")?;
/// assert_eq!((segments.get("task"), segments.get("file")), (Some("42"), Some("3")));
///
/// let task = path::parse(pattern, "/tasks/42")?;
/// assert_eq!((task.get("task"), task.get("file")), (Some("42"), None));
///
/// assert!(path::parse(pattern, "/jobs/42").is_err());
/// assert!(path::parse(pattern, "/tasks/42/files/3/lines").is_err());
/// # Ok::<(), libprocess::http::PathError>(())
/// ```
pub fn parse<'pattern, 'path>(
    pattern: &'pattern str,
    path: &'path str,
) -> Result<Segments<'pattern, 'path>, PathError> {
    let mut names = segments_of(pattern);
    let mut pairs = Vec::new();
    for segment in segments_of(path) {
        let Some(name) = names.next() else {
            let suffix: Vec<_> = segments_of(path).skip(pairs.len()).collect();
            return Err(PathError::Suffix {
                suffix: excerpt(&suffix.join("/")),
            });
        };
        let variable = name
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'));
        if variable.is_none() && name != segment {
            return Err(PathError::Segment {
                expected: name.to_owned(),
                found: excerpt(segment),
            });
        }
        pairs.push((variable.unwrap_or(name), segment));
    }
    Ok(Segments { pairs })
}

fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::random::{ROUNDS, Random};

    const PATTERN: &str = "/tasks/{task}/files/{file}";

    fn pairs(path: &str) -> Vec<(&'static str, &str)> {
        parse(PATTERN, path).unwrap().iter().collect()
    }

    #[test]
    fn a_path_may_end_before_its_pattern() {
        let whole = [
            ("tasks", "tasks"),
            ("task", "42"),
            ("files", "files"),
            ("file", "3"),
        ];
        assert_eq!(pairs("/tasks/42/files/3"), whole);
        assert_eq!(pairs("/tasks/42/files"), whole[..3]);
        assert_eq!(pairs("/tasks/42"), whole[..2]);
        assert_eq!(pairs("tasks"), whole[..1]);
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("//tasks///42/"), whole[..2]);
    }

    #[test]
    fn another_segment_is_an_error() {
        for (path, wanted, had) in [
            ("/foo/42/files", "tasks", "foo"),
            ("/tasks/42/bar", "files", "bar"),
            ("/Tasks", "tasks", "Tasks"),
        ] {
            let expected = PathError::Segment {
                expected: wanted.to_owned(),
                found: had.to_owned(),
            };
            assert_eq!(parse(PATTERN, path), Err(expected), "{path}");
        }
    }

    #[test]
    fn more_segments_than_the_pattern_has_are_an_error() {
        let error = parse(PATTERN, "/tasks/42/files/3/foo/bar").unwrap_err();
        let expected = PathError::Suffix {
            suffix: "foo/bar".to_owned(),
        };
        assert_eq!(error, expected);
        assert!(error.to_string().contains("`foo/bar`"));
        assert!(parse("", "/a").is_err());
        assert_eq!(parse("", "/").map(|segments| segments.len()), Ok(0));
    }

    #[test]
    fn braces_are_names_only_as_a_pair() {
        let segments = parse("{a}/{}/{b/c}/{{d}}", "1/2/{b/c}/3").unwrap();
        assert_eq!(
            segments.iter().collect::<Vec<_>>(),
            [
                ("a", "1"),
                ("", "2"),
                ("{b", "{b"),
                ("c}", "c}"),
                ("{d}", "3")
            ]
        );
        assert!(parse("{", "a").is_err());
    }

    #[test]
    fn the_last_of_a_name_counts() {
        assert_eq!(parse("{a}/{a}", "1/2").unwrap().get("a"), Some("2"));
    }

    #[test]
    fn a_path_that_was_made_by_its_pattern_is_taken_apart() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let mut made = (String::new(), String::new(), Vec::new());
            for index in 0..random.below(6) {
                let mut segment = random.text(5).replace('/', "");
                segment.insert(0, '!');
                if random.below(2) == 0 {
                    made.0 += &format!("/{{{index}}}");
                    made.2.push((index.to_string(), segment.clone()));
                } else {
                    made.0 += &format!("/{segment}");
                    made.2.push((segment.clone(), segment.clone()));
                }
                made.1 += &format!("/{segment}");
            }
            let found: Vec<_> = parse(&made.0, &made.1)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
                .iter()
                .map(|(name, segment)| (name.to_owned(), segment.to_owned()))
                .collect();
            assert_eq!(found, made.2, "seed {seed}");
        }
    }

    #[test]
    fn no_text_panics() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let pieces = ["/", "{", "}", "a", "é", "{a}", "/a"];
            let (pattern, path) = (random.pieces(&pieces, 8), random.pieces(&pieces, 8));
            if let Ok(segments) = parse(&pattern, &path) {
                assert_eq!(segments.len(), segments_of(&path).count(), "seed {seed}");
            }
            let _ = parse(&random.text(20), &random.text(20));
        }
    }
}
