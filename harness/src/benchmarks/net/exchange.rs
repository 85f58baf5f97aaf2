//! One request and its answer, which is the same bytes.

use crate::failure::Failure;
use crate::load::{Conversation, Taken};

/// Requests that follow each other differ; one that has as many behind it as this is as it was. A prime: no size is a multiple of it.
const CYCLE: usize = 251;

/// A conversation with an echo: what requests have in them, made before, so that none costs its making, and what was wrong with answers.
pub(super) struct Echoes {
    pattern: Vec<u8>,
    size: usize,
    /// Pieces of answers that were not as they were to be.
    pub(super) different: u64,
}

/// A request that is under way.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    number: u64,
    received: usize,
}

impl Echoes {
    /// Of so many bytes each.
    pub(super) fn new(size: usize) -> Self {
        let pattern = (0..size + CYCLE).map(|index| (index % CYCLE) as u8);
        Self {
            pattern: pattern.collect(),
            size,
            different: 0,
        }
    }

    fn body(&self, number: u64) -> &[u8] {
        let from = (number % CYCLE as u64) as usize;
        &self.pattern[from..from + self.size]
    }
}

impl Conversation for Echoes {
    type Exchange = Exchange;

    fn depth(&self) -> u64 {
        1
    }

    fn begin(&self, number: u64, _one: u64) -> Exchange {
        let received = 0;
        Exchange { number, received }
    }

    fn requests<'a>(&'a self, exchange: &'a Exchange) -> &'a [u8] {
        self.body(exchange.number)
    }

    fn take(
        &mut self,
        exchange: &mut Exchange,
        _one: u64,
        received: &[u8],
    ) -> Result<Taken, Failure> {
        let expected = &self.body(exchange.number)[exchange.received..];
        let (answer, surplus) = received.split_at(received.len().min(expected.len()));
        let differs = answer != &expected[..answer.len()];
        let last = answer.len() == expected.len();
        exchange.received += answer.len();
        self.different += u64::from(differs);
        Ok(Taken {
            answers: u64::from(last),
            surplus: surplus.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(answers: u64, surplus: usize) -> Taken {
        Taken { answers, surplus }
    }

    #[test]
    fn an_answer_may_come_in_pieces() {
        let mut echoes = Echoes::new(5);
        let mut exchange = echoes.begin(7, 1);
        assert_eq!(echoes.requests(&exchange), [7, 8, 9, 10, 11]);
        let piece = echoes.take(&mut exchange, 1, &[7, 8]).unwrap();
        assert_eq!(piece, taken(0, 0));
        let piece = echoes.take(&mut exchange, 1, &[9, 10, 11]).unwrap();
        assert_eq!(piece, taken(1, 0));
        assert_eq!(echoes.different, 0);
    }

    #[test]
    fn what_is_wrong_is_seen() {
        for (number, wrong) in [(0, [0, 2].as_slice()), (1, &[0, 1, 2])] {
            let mut echoes = Echoes::new(3);
            let mut exchange = echoes.begin(number, 1);
            echoes.take(&mut exchange, 1, wrong).unwrap();
            assert_eq!(echoes.different, 1);
        }
        let mut echoes = Echoes::new(3);
        let mut exchange = echoes.begin(0, 1);
        let piece = echoes.take(&mut exchange, 1, &[0, 1, 2, 3]).unwrap();
        assert_eq!(piece, taken(1, 1));
    }
}
