//! The other end of a connection of the runtime: this thread, which knows what will come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How many requests go together: what they cost the sockets and the scheduler is shared by so many. Their answers are fewer bytes than a socket holds, so that nobody waits for them to be read; and a
/// client of the library has no more under way at a time.
pub(super) const BATCH: u64 = 128;

pub(super) struct Wire(TcpStream);

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Of an answer in several pieces the last one would wait for an acknowledgement.
        stream
            .set_nodelay(true)
            .expect("a TCP socket has that option");
        Self(stream)
    }

    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server listens"))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the other end is there");
    }

    pub(super) fn receive(&mut self, bytes: &mut [u8]) {
        self.0.read_exact(bytes).expect("the other end is there");
    }

    /// Everything until what has come ends so.
    pub(super) fn receive_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut received = Vec::new();
        while !received.ends_with(end) {
            let mut byte = [0];
            self.receive(&mut byte);
            received.extend(byte);
        }
        received
    }
}

/// The time of so many, of which at most [`BATCH`] go together.
pub(super) fn in_batches(count: u64, mut batch: impl FnMut(usize) -> Duration) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let now = left.min(BATCH);
        time += batch(now as usize);
        left -= now;
    }
    time
}

/// Requests that are all alike, and what answers them.
pub(super) struct Asking {
    wire: Wire,
    /// As many as go together.
    requests: Vec<u8>,
    request: usize,
    answer: Vec<u8>,
    answers: Vec<u8>,
}

impl Asking {
    /// Asks once, to see what answers: that ends with `end`, and is as long each time.
    pub(super) fn new(mut wire: Wire, request: &[u8], end: &[u8]) -> Self {
        wire.send(request);
        let answer = wire.receive_until(end);
        Self {
            wire,
            requests: request.repeat(BATCH as usize),
            request: request.len(),
            answers: vec![0; answer.len() * BATCH as usize],
            answer,
        }
    }

    pub(super) fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// The time of so many requests, and their answers, each of which is looked at.
    pub(super) fn ask(&mut self, count: u64) -> Duration {
        let (line, end) = (first_line(&self.answer), self.answer.len() - 4);
        in_batches(count, |now| {
            let answers = &mut self.answers[..self.answer.len() * now];
            let started = Instant::now();
            self.wire.send(&self.requests[..self.request * now]);
            self.wire.receive(answers);
            let time = started.elapsed();
            for answer in answers.chunks(self.answer.len()) {
                // What is between may change, as the date does.
                let alike = answer.starts_with(line) && answer[end..] == self.answer[end..];
                assert!(alike, "{:?}", String::from_utf8_lossy(answer));
            }
            time
        })
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    &bytes[..end.expect("an answer has lines")]
}
