use super::super::{AT_ONCE, Nobody};
use super::*;
use rustix::net::SendFlags;

fn driver() -> Epoll {
    let waker = Arc::new(Waker::new().expect("a waker"));
    Epoll::new(waker).expect("a driver")
}

fn receive(driver: &mut Epoll, end: OwnedFd) -> OperationId {
    let id = OperationId::new();
    let done = driver.begin(Operation {
        id,
        socket: Socket::unix(end),
        action: Action::Receive,
        handler: Arc::new(Nobody),
    });
    assert!(done.is_none());
    id
}

fn pair() -> (OwnedFd, OwnedFd) {
    let (family, flags) = (net::AddressFamily::UNIX, SocketFlags::NONBLOCK);
    net::socketpair(family, net::SocketType::STREAM, flags, None).expect("a pair")
}

/// More of them than are served in a turn.
#[test]
fn those_with_always_more_to_read_do_not_keep_others_from_being_heard_of() {
    let mut driver = driver();
    let busy: Vec<_> = (0..2 * TURN)
        .map(|_| {
            let (one, other) = pair();
            receive(&mut driver, one);
            other
        })
        .collect();
    let (one, quiet) = pair();
    let quiet_receive = receive(&mut driver, one);
    let refill = |completions: &mut VecDeque<Completion>| {
        completions.clear();
        for peer in &busy {
            // As much as there is room for.
            while net::send(peer, &[0; BUFFER], SendFlags::NOSIGNAL).is_ok() {}
        }
    };
    let mut completions = VecDeque::new();
    for _ in 0..20 {
        refill(&mut completions);
        driver.turn(true, TURN, &mut completions);
    }
    net::send(&quiet, b"hello", SendFlags::NOSIGNAL).expect("sent");
    let heard = (0..20).any(|_| {
        refill(&mut completions);
        driver.turn(true, TURN, &mut completions);
        completions
            .iter()
            .any(|completion| completion.id == quiet_receive)
    });
    assert!(heard, "the kernel was not asked");
}

#[test]
fn an_operation_that_epoll_refuses_to_watch_fails() {
    let mut driver = driver();
    let (one, _other) = pair();
    // No epoll, so it refuses all.
    driver.epoll = rustix::io::dup(&one).expect("a descriptor");
    let id = receive(&mut driver, one);
    let mut completions = VecDeque::new();
    driver.turn(true, TURN, &mut completions);
    assert!(completions.is_empty(), "it has come to wait");
    driver.park(None);
    driver.turn(false, TURN, &mut completions);
    let completion = completions.pop_front().expect("told");
    assert_eq!(completion.id, id);
    assert!(completion.completed.result.is_err() && !completion.completed.more);
    assert!(driver.is_idle());
}

/// One that is answered and closed at once costs no call for it.
#[test]
fn a_socket_is_watched_only_once_it_waits() {
    let mut driver = driver();
    let (one, other) = pair();
    let id = receive(&mut driver, one);
    net::send(&other, b"hello", SendFlags::NOSIGNAL).expect("sent");
    let mut completions = VecDeque::new();
    driver.turn(true, TURN, &mut completions);
    assert_eq!(
        completions.pop_front().map(|completion| completion.id),
        Some(id)
    );
    assert!(!driver.sources.iter_mut().any(|source| source.registered));
    let mut next = || {
        driver.turn(true, TURN, &mut completions);
        completions.pop_front()
    };
    assert!(next().is_none(), "nothing more has come");
    net::send(&other, b"more", SendFlags::NOSIGNAL).expect("sent");
    // It is registered with this question, and told of what came before it.
    assert_eq!(next().map(|completion| completion.id), Some(id));
    assert!(driver.sources.iter_mut().all(|source| source.registered));
}

#[test]
fn only_so_many_sends_are_done_at_once() {
    let mut driver = driver();
    let (one, _other) = pair();
    let socket = Socket::unix(one);
    let send = |driver: &mut Epoll| {
        let pieces = [IoSlice::new(b"x")];
        driver.send_now(&socket, &pieces, Behind::Unknown)
    };
    for _ in 0..AT_ONCE {
        assert_eq!(send(&mut driver).expect("sent").expect("room"), 1);
    }
    assert!(send(&mut driver).is_none(), "the others' turn");
    driver.turn(false, TURN, &mut VecDeque::new());
    assert!(send(&mut driver).is_some());
}

#[test]
fn what_is_not_sent_at_once_is_sent_when_there_is_room() {
    let mut driver = driver();
    let (one, other) = pair();
    let socket = Socket::unix(one);
    let mut expected = 0;
    let data = [0; BUFFER];
    while let Some(sent) = driver.send_now(&socket, &[IoSlice::new(&data)], Behind::Unknown) {
        expected += sent.expect("a peer that reads");
    }
    let begun = driver.begin(Operation {
        id: OperationId::new(),
        socket,
        action: Action::Send(Box::new(Data::One(Bytes::from_static(b"behind")))),
        handler: Arc::new(Nobody),
    });
    assert!(begun.is_none());
    let mut completions = VecDeque::new();
    for _ in 0..3 {
        driver.turn(true, TURN, &mut completions);
        assert!(completions.is_empty(), "there is no room");
    }
    let mut buffer = vec![0; BUFFER];
    let mut read = || net::recv(&other, &mut buffer[..], RecvFlags::DONTWAIT);
    while expected > 0 {
        expected -= read().expect("what was sent").0;
    }
    let sent = std::iter::from_fn(|| {
        driver.turn(true, TURN, &mut completions);
        Some(completions.pop_front())
    });
    let completion = sent.take(3).flatten().next().expect("sent");
    assert!(matches!(completion.completed.result, Ok(Outcome::Sent(6))));
    assert_eq!(read().expect("the rest").0, 6);
}
