//! Answers that are made before: an HTTP server that looks at nothing of its requests but where they end.

use std::time::{SystemTime, UNIX_EPOCH};

use libprocess::Time;

use super::{BODY, CONTENT_TYPE};
use crate::server::epoll::Reply;

/// What is behind a request without a body.
const END: &[u8; 4] = b"\r\n\r\n";
/// As it is behind a request that ends its connection.
const LAST: &[u8] = b"Connection: close\r\n\r\n";
/// What of a request's end may have come before the rest of it.
const BEGINNING: usize = END.len() - 1;

/// The same answer as often as there were ends of requests.
#[derive(Default)]
pub(super) struct Plaintext {
    /// Since 1970: when the answer was made.
    second: u64,
    answer: String,
    /// To a request that ends its connection.
    last: String,
    /// The answer, as often as was needed at a time so far.
    copies: Vec<u8>,
}

impl Plaintext {
    /// An answer has the date, so it is good for a second.
    fn refresh(&mut self, now: SystemTime) {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since_epoch.as_secs() == self.second {
            return;
        }
        self.second = since_epoch.as_secs();
        self.copies.clear();
        let (length, date) = (BODY.len(), Time::from(now).rfc1123());
        let answer = |connection| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\nDate: {date}\r\n{connection}\r\n{BODY}"
            )
        };
        (self.answer, self.last) = (answer(""), answer("Connection: close\r\n"));
    }

    fn answers(&mut self, count: usize) -> &[u8] {
        let bytes = count * self.answer.len();
        while self.copies.len() < bytes {
            self.copies.extend_from_slice(self.answer.as_bytes());
        }
        &self.copies[..bytes]
    }
}

impl Reply for Plaintext {
    type Heard = Heard;

    fn reply<'a>(&'a mut self, heard: &mut Heard, received: &'a [u8]) -> &'a [u8] {
        self.refresh(SystemTime::now());
        let ends = heard.count_ends(received);
        // Such a request comes alone, and in one piece.
        heard.is_last = received.ends_with(LAST);
        if heard.is_last {
            return self.last.as_bytes();
        }
        self.answers(ends)
    }

    fn is_last(heard: &Heard) -> bool {
        heard.is_last
    }
}

/// What a connection has received.
#[derive(Default)]
pub(super) struct Heard {
    /// The last bytes, zero where there were none yet.
    last_bytes: [u8; BEGINNING],
    is_last: bool,
}

impl Heard {
    /// How many requests ended with this piece.
    fn count_ends(&mut self, received: &[u8]) -> usize {
        let first = received.len().min(BEGINNING);
        let mut seam = [0; 2 * BEGINNING];
        seam[..BEGINNING].copy_from_slice(&self.last_bytes);
        seam[BEGINNING..BEGINNING + first].copy_from_slice(&received[..first]);
        let last = match received.last_chunk() {
            Some(last) => last,
            None => seam[..BEGINNING + first]
                .last_chunk()
                .expect("it is longer"),
        };
        self.last_bytes = *last;
        count_ends(&seam[..BEGINNING + first]) + count_ends(received)
    }
}

fn count_ends(bytes: &[u8]) -> usize {
    bytes
        .windows(END.len())
        .filter(|&window| window == END)
        .count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_are_counted_wherever_they_are_cut() {
        let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
        for size in 1..=requests.len() {
            let mut heard = Heard::default();
            let counted: usize = requests
                .chunks(size)
                .map(|piece| heard.count_ends(piece))
                .sum();
            assert_eq!(counted, 3, "in pieces of {size}");
        }
    }

    #[test]
    fn an_answer_has_the_date_of_its_second() {
        let mut plaintext = Plaintext::default();
        plaintext.refresh(UNIX_EPOCH + Duration::from_millis(784_111_777_900));
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
                        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nHello, World!";
        assert_eq!(plaintext.answers(2), expected.repeat(2).as_bytes());
        plaintext.refresh(UNIX_EPOCH + Duration::from_secs(784_111_778));
        let expected = expected.replace(":37", ":38");
        assert_eq!(plaintext.answers(3), expected.repeat(3).as_bytes());
        assert_eq!(plaintext.answers(0), b"");
    }
}
