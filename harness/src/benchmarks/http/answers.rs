//! Requests that are sent together, and their answers, of which each is checked.
//!
//! An answer that has the same bytes as one that was read and found good before is as good: so most cost a comparison, and only those that differ, as they do once a second in the date, are read.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use libprocess::Time;

use crate::failure::Failure;
use crate::load::{Conversation, Taken};
use crate::server::{BODY, CONTENT_TYPE, PATH};

/// An answer has its end before this.
const LONGEST: usize = 4 * 1024;
/// How far the date of the last answer may be from the clock when all are there: servers may make it once a second, and this thread may have waited for its core.
const LATE: Duration = Duration::from_secs(5);

/// A conversation with a server of HTTP.
pub(super) struct Pipeline {
    depth: u64,
    /// Answers say that the connection ends with them.
    closes: bool,
    /// As many requests as the depth, all the same.
    batch: Vec<u8>,
    /// Bytes of each.
    request: usize,
    /// The last one that was read; empty before.
    good: Vec<u8>,
    /// Of that.
    date: Option<Time>,
}

/// Requests that were sent together.
#[derive(Default)]
pub(super) struct Exchange {
    requests: usize,
    /// The beginning of an answer, whose end has not come.
    incomplete: Vec<u8>,
}

/// An answer that is read.
struct Answer {
    date: Time,
    length: usize,
}

impl Pipeline {
    /// Of so many requests at a time, to this server.
    pub(super) fn new(server: SocketAddr, depth: u64) -> Self {
        Self::of(server, depth, false)
    }

    /// Of one request, which says that it is the last on its connection (RFC 9112, section 9.6).
    pub(super) fn closing(server: SocketAddr) -> Self {
        Self::of(server, 1, true)
    }

    fn of(server: SocketAddr, depth: u64, closes: bool) -> Self {
        let close = if closes { "Connection: close\r\n" } else { "" };
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: {server}\r\n{close}\r\n");
        Self {
            depth,
            closes,
            batch: (0..depth).flat_map(|_| request.bytes()).collect(),
            request: request.len(),
            good: Vec::new(),
            date: None,
        }
    }

    /// Whether the server goes with the time, once all answers are there.
    ///
    /// # Errors
    ///
    /// The last answer has another date than now.
    pub(super) fn check_date(&self) -> Result<(), Failure> {
        self.check_date_at(SystemTime::now().into())
    }

    fn check_date_at(&self, now: Time) -> Result<(), Failure> {
        match self.date {
            Some(date) if (now - date).max(date - now) <= LATE => Ok(()),
            _ => Err(wrong("the last one's date is not of now", &self.good)),
        }
    }

    /// The length of the answer that the bytes begin with, if all of it is there.
    fn next(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        if !self.good.is_empty() && bytes.starts_with(&self.good) {
            return Ok(Some(self.good.len()));
        }
        self.read_one_that_differs(bytes)
    }

    #[cold]
    #[inline(never)]
    fn read_one_that_differs(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let answer = read(bytes, self.closes).map_err(|problem| wrong(problem, bytes))?;
        let Some(answer) = answer else {
            if bytes.len() > LONGEST {
                return Err(wrong("it does not end", bytes));
            }
            return Ok(None);
        };
        self.good.clear();
        self.good.extend_from_slice(&bytes[..answer.length]);
        self.date = Some(answer.date);
        Ok(Some(answer.length))
    }
}

impl Conversation for Pipeline {
    type Exchange = Exchange;

    fn depth(&self) -> u64 {
        self.depth
    }

    fn begin(&self, _number: u64, requests: u64) -> Exchange {
        Exchange {
            requests: requests as usize,
            incomplete: Vec::new(),
        }
    }

    fn requests<'a>(&'a self, exchange: &'a Exchange) -> &'a [u8] {
        &self.batch[..exchange.requests * self.request]
    }

    fn take(
        &mut self,
        exchange: &mut Exchange,
        unanswered: u64,
        received: &[u8],
    ) -> Result<Taken, Failure> {
        let mut together = std::mem::take(&mut exchange.incomplete);
        let mut rest = if together.is_empty() {
            received
        } else {
            together.extend_from_slice(received);
            &together
        };
        let mut answers = 0;
        while answers < unanswered
            && let Some(length) = self.next(rest)?
        {
            rest = &rest[length..];
            answers += 1;
        }
        let surplus = if answers == unanswered {
            rest.len()
        } else {
            exchange.incomplete = rest.to_vec();
            0
        };
        Ok(Taken { answers, surplus })
    }
}

fn wrong(problem: &'static str, bytes: &[u8]) -> Failure {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    Failure::WrongAnswer {
        problem,
        answer: String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The answer that the bytes begin with, or `None` where its end has not come.
fn read(bytes: &[u8], closes: bool) -> Result<Option<Answer>, &'static str> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = bytes.windows(END.len()).position(|window| window == END) else {
        return Ok(None);
    };
    let head_text = std::str::from_utf8(&bytes[..head]).map_err(|_| "its head is no text")?;
    let mut lines = head_text.split("\r\n");
    if lines.next() != Some("HTTP/1.1 200 OK") {
        return Err("its status is not 200");
    }
    let (mut length, mut date, mut content_type, mut connection) = (None, None, None, None);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a header has no name")?;
        let place = match name.to_ascii_lowercase().as_str() {
            "content-length" => &mut length,
            "content-type" => &mut content_type,
            "date" => &mut date,
            "server" => return Err("it names the server, which the others do not"),
            "transfer-encoding" => return Err("its body is not of one piece"),
            "connection" => &mut connection,
            _ => continue,
        };
        if place.replace(value.trim()).is_some() {
            return Err("a header is there twice");
        }
    }
    match connection {
        None if closes => return Err("it does not end the connection"),
        Some(value) if !closes || !value.eq_ignore_ascii_case("close") => {
            return Err("it says something else of the connection");
        }
        _ => {}
    }
    if content_type != Some(CONTENT_TYPE) {
        return Err("its type is not that of the text");
    }
    let length: usize = length
        .and_then(|value| value.parse().ok())
        .ok_or("it does not say how long it is")?;
    if length != BODY.len() {
        return Err("its length is not that of the text");
    }
    let date = date.ok_or("it has no date")?;
    let date = Time::parse_rfc1123(date).map_err(|_| "its date is none")?;
    let body = &bytes[head + END.len()..];
    let Some(body) = body.get(..length) else {
        return Ok(None);
    };
    if body != BODY.as_bytes() {
        return Err("it is not the text");
    }
    let length = head + END.len() + length;
    Ok(Some(Answer { date, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 13\r\n\
                          date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nHello, World!";

    fn pipeline(depth: u64) -> Pipeline {
        Pipeline::new(([127, 0, 0, 1], 4321).into(), depth)
    }

    fn taken(answers: u64, surplus: usize) -> Taken {
        Taken { answers, surplus }
    }

    #[test]
    fn requests_are_as_many_as_are_begun() {
        let pipeline = pipeline(3);
        let request = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:4321\r\n\r\n";
        for count in 1..=3 {
            let exchange = pipeline.begin(0, count as u64);
            let expected = request.repeat(count);
            assert_eq!(pipeline.requests(&exchange), expected.as_bytes());
        }
    }

    #[test]
    fn answers_are_counted_wherever_they_are_cut() {
        let answers = ANSWER.repeat(2) + &ANSWER.replace(":37", ":38").repeat(2);
        for size in 1..=answers.len() {
            let mut pipeline = pipeline(4);
            let mut exchange = pipeline.begin(0, 4);
            let mut unanswered = 4;
            for piece in answers.as_bytes().chunks(size) {
                let taken = pipeline.take(&mut exchange, unanswered, piece).unwrap();
                assert_eq!(taken.surplus, 0);
                unanswered -= taken.answers;
            }
            assert_eq!(unanswered, 0, "in pieces of {size}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_surplus() {
        let mut pipeline = pipeline(2);
        let mut exchange = pipeline.begin(0, 2);
        let answers = ANSWER.repeat(3);
        let piece = pipeline.take(&mut exchange, 2, answers.as_bytes()).unwrap();
        assert_eq!(piece, taken(2, ANSWER.len()));
    }

    #[test]
    fn what_is_wrong_fails_also_behind_good_ones() {
        for (from, to) in [
            ("200 OK", "500 Internal Server Error"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("text/plain", "text/html"),
            ("content-type: text/plain\r\n", ""),
            ("Content-Length: 13", "Content-Length: 12"),
            ("Content-Length: 13", "Content-Length: x"),
            ("Content-Length: 13\r\n", ""),
            ("Length: 13", "Length: 13\r\nContent-Length: 13"),
            ("Content-Length: 13", "Transfer-Encoding: chunked"),
            ("Length: 13", "Length: 13\r\nConnection: close"),
            ("Length: 13", "Length: 13\r\nServer: x"),
            ("Length: 13", "Length: 13\r\nx"),
            ("date: Sun", "date: Mon"),
            ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""),
            ("World!", "World?"),
        ] {
            let bad = ANSWER.replace(from, to);
            assert_ne!(bad, ANSWER);
            let mut pipeline = pipeline(2);
            let mut exchange = pipeline.begin(0, 2);
            let both = format!("{ANSWER}{bad}");
            let outcome = pipeline.take(&mut exchange, 2, both.as_bytes());
            assert!(
                matches!(outcome, Err(Failure::WrongAnswer { .. })),
                "{to}: {outcome:?}"
            );
        }
    }

    #[test]
    fn the_last_answer_says_so() {
        let closing = |answer: &str| {
            let mut pipeline = Pipeline::closing(([127, 0, 0, 1], 4321).into());
            let mut exchange = pipeline.begin(0, 1);
            pipeline.take(&mut exchange, 1, answer.as_bytes())
        };
        assert!(closing(ANSWER).is_err());
        let last = ANSWER.replace("Length: 13", "Length: 13\r\nconnection: close");
        assert_eq!(closing(&last).unwrap(), taken(1, 0));
    }

    #[test]
    fn an_answer_without_an_end_is_given_up() {
        let mut pipeline = pipeline(1);
        let mut exchange = pipeline.begin(0, 1);
        let endless = [b'x'; LONGEST + 1];
        assert!(pipeline.take(&mut exchange, 1, &endless).is_err());
    }

    #[test]
    fn the_date_has_to_be_of_now() {
        let mut pipeline = pipeline(1);
        let now = Time::parse_rfc1123("Sun, 06 Nov 1994 08:49:38 GMT").unwrap();
        assert!(pipeline.check_date_at(now).is_err());
        let mut exchange = pipeline.begin(0, 1);
        let piece = pipeline.take(&mut exchange, 1, ANSWER.as_bytes()).unwrap();
        assert_eq!(piece, taken(1, 0));
        assert!(pipeline.check_date_at(now).is_ok());
        assert!(pipeline.check_date_at(now + 2 * LATE).is_err());
        assert!(pipeline.check_date_at(now - 2 * LATE).is_err());
    }
}
