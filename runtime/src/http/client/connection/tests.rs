//! A connection's queue by itself: what a driver and those who ask would do at odd moments.

use super::*;

#[test]
fn a_late_discard_takes_nothing_from_the_next_request() {
    let shared = Shared {
        state: Mutex::default(),
        owner: Some((Weak::new(), "a".into())),
    };
    let ask = || {
        let awaited = Awaited {
            promise: None,
            asked: Asked::default(),
            closes: false,
            deadline: Time::MAX,
        };
        let encoded = encode(&::http::Request::default(), "a");
        shared.push(encoded, awaited).expect("taken")
    };
    let next = || shared.next(true, Waker::noop());
    let first = ask();
    assert!(next().1.is_some());
    shared.answered();
    let second = ask();
    shared.take_back(first);
    assert!(matches!(next(), (EndWhen::Never, Some(_))));
    shared.take_back(second);
    assert!(matches!(next(), (EndWhen::Now, None)));
}
