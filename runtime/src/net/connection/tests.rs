//! What comes in, in which order, and what comes no more.

use super::super::socket::any_address;
use super::*;
use crate::reactor::HANDLER_LINES;

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

/// Those in their turn have a short way, those out of it a long one, and each goes on where the other stopped.
#[test]
fn pieces_in_and_out_of_turn_go_to_those_who_wait_in_order() {
    let socket = socket_for(&any_address("127.0.0.1:0".parse().expect("an address")));
    let connection = Connection::new(Home::current(), socket.expect("a socket"));
    let (promises, waiting): (Vec<_>, Vec<_>) = (0..5).map(|_| Promise::pair()).unzip();
    {
        let mut inbound = lock_std(&connection.inbound);
        for promise in promises {
            inbound.waiting.push(promise);
        }
        assert!(inbound.next_place(&connection.home).is_some());
    }
    for (number, text) in [(0, "a"), (2, "c"), (1, "b"), (3, "d"), (4, "e")] {
        connection.clone().complete(piece(number, text, true));
    }
    let got: Vec<_> = waiting.into_iter().map(|piece| piece.get()).collect();
    assert_eq!(got, ["a", "b", "c", "d", "e"].map(|text| Ok(text.into())));
    connection.clone().complete(piece(5, "f", true));
    assert_eq!(connection.receive().get(), Ok(Bytes::from("f")));
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

fn outbound(pieces: &[&'static str]) -> Outbound {
    let data = pieces
        .iter()
        .map(|piece| Outgoing::Data(Bytes::from_static(piece.as_bytes()), None));
    Outbound {
        queue: data.chain([Outgoing::Shutdown(None)]).collect(),
        failed: None,
        is_shut: false,
        connecting: None,
        spare_data: None,
    }
}

fn pieces(data: &Data) -> Vec<&[u8]> {
    match data {
        Data::One(piece) => vec![piece],
        Data::Several(pieces) => pieces.iter().map(|piece| &piece[..]).collect(),
    }
}

/// The kernel may take any part of what it was given, and the rest is to go out behind it, once.
#[test]
fn what_a_send_did_not_take_is_sent_again() {
    let all = ["one", "two", "three"];
    for taken in 0..=all.concat().len() {
        let mut outbound = outbound(&all);
        let (mut ended, mut gone) = (Told::new(), Vec::new());
        let mut next = Ok(taken);
        while matches!(outbound.queue.front(), Some(Outgoing::Data(..))) {
            let data = outbound.take_next_data();
            let sent = next.unwrap_or(usize::MAX).min(pieces(&data).concat().len());
            gone.extend_from_slice(&pieces(&data).concat()[..sent]);
            outbound.take_back(data);
            outbound.sent(Ok(sent), &mut ended);
            next = Err(());
        }
        assert_eq!(gone, all.concat().as_bytes(), "{taken} at first");
        assert_eq!(outbound.queue.len(), 1, "the end");
    }
}

#[test]
fn the_memory_of_a_send_is_used_again() {
    let mut outbound = outbound(&["one"]);
    let first = outbound.take_next_data();
    let place = std::ptr::from_ref(&*first);
    assert_eq!(pieces(&first), [b"one"]);
    outbound.take_back(first);
    outbound.sent(Ok(1), &mut Told::new());
    let second = outbound.take_next_data();
    assert_eq!(pieces(&second), [b"ne"]);
    assert!(std::ptr::eq(place, &raw const *second));
}

/// Of a thousand that are served in turn, what were not fetched ahead would be waited for. The memory of one begins in the middle of a line, mostly.
#[test]
fn a_connection_is_fetched_with_its_counts() {
    let counts = 2 * size_of::<usize>();
    assert!(counts + size_of::<Connection>() <= HANDLER_LINES * 64);
}
