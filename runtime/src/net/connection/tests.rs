//! What comes in, in which order, and what comes no more.

use super::super::socket::any_address;
use super::*;

fn piece(number: u32, text: &'static str, more: bool) -> Completed {
    Completed {
        kind: Kind::Receive,
        number,
        result: Ok(Outcome::Received(Bytes::from_static(text.as_bytes()))),
        more,
        data: None,
    }
}

/// As when a worker looks after the port of another one, which is just about to tell of what it found before.
#[test]
fn pieces_that_come_out_of_turn_are_put_in_order() {
    let socket = socket_for(&any_address("127.0.0.1:0".parse().expect("an address")));
    let connection = Connection::new(Home::current(), socket.expect("a socket"));
    let (promise, waiting) = Promise::pair();
    {
        // As `receive`, without an operation.
        let mut inbound = lock_std(&connection.inbound);
        inbound.waiting.push(promise);
        assert!(inbound.next_place(&connection.home).is_some());
    }
    connection.clone().complete(piece(2, "c", true));
    connection.clone().complete(piece(1, "b", true));
    assert!(waiting.is_pending());
    connection.clone().complete(piece(0, "a", true));
    assert_eq!(waiting.get(), Ok(Bytes::from("a")));
    connection.clone().complete(piece(4, "", false));
    connection.clone().complete(piece(3, "d", true));
    let rest = std::iter::from_fn(|| connection.receive().get().ok());
    let rest: Vec<_> = rest.take_while(|bytes| !bytes.is_empty()).collect();
    assert_eq!(rest, ["b", "c", "d"]);
}

/// It was, for who polls, and had to be cancelled.
#[test]
fn nothing_is_received_behind_the_end() {
    let socket = socket_for(&any_address("127.0.0.1:0".parse().expect("an address")));
    let connection = Connection::new(Home::current(), socket.expect("a socket"));
    {
        // As `poll_receive`, without an operation.
        let mut inbound = lock_std(&connection.inbound);
        inbound.waiting.watch(Waker::noop());
        assert!(inbound.next_place(&connection.home).is_some());
    }
    connection.clone().complete(piece(0, "", false));
    let begun = lock_std(&connection.inbound).waiting.close();
    assert!(begun.is_none(), "another receive is under way");
    let end = connection.poll_receive(Waker::noop());
    assert_eq!(end, Poll::Ready(Ok(Bytes::new())));
}
