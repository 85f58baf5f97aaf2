//! The driver by itself, as on kernels of all ages: what a runtime would only notice as a long wait.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{self, SendFlags, SocketFlags};

use super::set_up::ENTRIES;
use super::*;
use crate::reactor::{Nobody, Socket};

fn driver_without(features: &[IoUringFeature]) -> (IoUringDriver, Arc<Waker>) {
    let mut lacking = Lacking::default();
    features.iter().for_each(|&feature| lacking.add(feature));
    let waker = Arc::new(Waker::new().expect("a waker"));
    match IoUringDriver::new(Arc::clone(&waker), lacking) {
        Ok(driver) => (driver, waker),
        Err(refusal) => panic!("{}", refusal.reason),
    }
}

/// Nothing taken away; each alone; and what kernels of each age lack.
fn on_each(test: impl Fn(IoUringDriver, Arc<Waker>)) {
    let all = IoUringFeature::ALL;
    let singly = all.iter().map(std::slice::from_ref);
    let by_age = (0..all.len()).map(|oldest| &all[oldest..]);
    for features in std::iter::once(&all[..0]).chain(singly).chain(by_age) {
        println!("without {features:?}");
        let (driver, waker) = driver_without(features);
        test(driver, waker);
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    let (family, flags) = (net::AddressFamily::UNIX, SocketFlags::empty());
    net::socketpair(family, net::SocketType::STREAM, flags, None).expect("a pair")
}

fn begin(driver: &mut IoUringDriver, socket: Arc<Socket>, action: Action) -> OperationId {
    let id = OperationId::new();
    let done = driver.begin(Operation {
        id,
        socket,
        action,
        handler: Arc::new(Nobody),
    });
    assert!(done.is_none());
    id
}

/// Sleeps and looks until that operation has a completion.
fn completion_of(driver: &mut IoUringDriver, id: OperationId) -> Completed {
    let mut completions = VecDeque::new();
    loop {
        driver.park(None);
        driver.turn(false, 1, &mut completions);
        if let Some(completion) = completions.pop_front()
            && completion.id == id
        {
            return completion.completed;
        }
    }
}

/// Sleeps until the deadline, as often as it ends before. Gives how many sleeps there were.
fn sleep_until(driver: &mut IoUringDriver, deadline: Instant) -> usize {
    let mut sleeps = 0;
    let mut completions = VecDeque::new();
    while Instant::now() < deadline {
        driver.park(Some(deadline));
        driver.turn(false, 1, &mut completions);
        assert!(completions.is_empty(), "nothing happens meanwhile");
        sleeps += 1;
    }
    sleeps
}

const SHORT: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3_600);
/// Each sleep may end early for what came before it, but not again and again.
const SLEEPS: usize = 8;

#[test]
fn a_sleep_ends_at_its_deadline_and_is_one() {
    on_each(|mut driver, _waker| {
        let (one, _other) = pair();
        let receive = begin(&mut driver, Socket::unix(one), Action::Receive);
        for _ in 0..5 {
            let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
            assert!(sleeps <= SLEEPS, "{sleeps} sleeps");
        }
        assert!(driver.operations.number_of(receive).is_some());
        driver.end(&mut VecDeque::new());
    });
}

/// The far deadline's timer is still there where something was done before the kernel had it: a sleep with a near one must not wait for it.
#[test]
fn a_near_deadline_comes_after_a_far_one() {
    on_each(|mut driver, _waker| {
        let (one, _other) = pair();
        let socket = Socket::unix(one);
        for _ in 0..5 {
            let send = Action::Send(Box::new(Data::One(Bytes::from_static(b"hello"))));
            let send = begin(&mut driver, Arc::clone(&socket), send);
            // In the same call, and done first.
            driver.park(Some(Instant::now() + HOUR));
            let completed = completion_of(&mut driver, send);
            assert!(completed.result.is_ok(), "{completed:?}");
            let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
            assert!(sleeps <= SLEEPS, "{sleeps} sleeps");
        }
        driver.end(&mut VecDeque::new());
    });
}

/// ThreadSanitizer does not see the scopes of std's threads.
#[cfg_attr(libprocess_tsan, ignore)]
#[test]
fn what_comes_ends_a_sleep_with_a_far_deadline() {
    on_each(|mut driver, waker| {
        let (one, other) = pair();
        let socket = Socket::unix(one);
        let mut completions = VecDeque::new();
        for round in 0..5 {
            if driver.operations.is_empty() {
                begin(&mut driver, Arc::clone(&socket), Action::Receive);
            }
            std::thread::scope(|scope| {
                scope.spawn(|| net::send(&other, b"hello", SendFlags::NOSIGNAL).expect("sent"));
                while completions.is_empty() {
                    driver.park(Some(Instant::now() + HOUR));
                    driver.turn(false, 1, &mut completions);
                }
            });
            let completion = completions.pop_front().expect("one");
            match completion.completed.result {
                Ok(Outcome::Received(bytes)) => assert_eq!(bytes, "hello", "round {round}"),
                other => panic!("round {round}: {other:?}"),
            }
            // Nothing comes but the waker's use, which is seen again each time.
            let woken = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // Relaxed: the scope's end publishes it, and until then it is only looked for.
                    woken.store(true, std::sync::atomic::Ordering::Relaxed);
                    waker.wake();
                });
                while !woken.load(std::sync::atomic::Ordering::Relaxed) {
                    driver.park(Some(Instant::now() + HOUR));
                    driver.turn(false, 1, &mut completions);
                }
            });
            // It was written once, so that it does not end sleep after sleep.
            let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
            assert!(sleeps <= SLEEPS, "round {round}: {sleeps} sleeps");
        }
        driver.end(&mut VecDeque::new());
    });
}

/// What the kernel has no room for goes before the timer, and the sleep with it comes after.
#[test]
fn a_full_queue_of_submissions_does_not_take_the_deadline_away() {
    on_each(|mut driver, _waker| {
        let pairs: Vec<_> = (0..3 * ENTRIES)
            .map(|_| pair())
            .map(|(one, other)| (Socket::unix(one), other))
            .collect();
        for (socket, _other) in &pairs {
            begin(&mut driver, Arc::clone(socket), Action::Receive);
        }
        let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
        // Each receive that is refused at first ends a submission.
        let most = SLEEPS + 2 * pairs.len();
        assert!(sleeps <= most, "{sleeps} sleeps");
        let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
        assert!(sleeps <= SLEEPS, "{sleeps} sleeps");
        driver.end(&mut VecDeque::new());
        assert!(driver.is_idle());
    });
}

/// As after a call that took nothing: the timer would be behind what waits for room.
#[test]
fn a_backlog_goes_before_a_timer() {
    let (mut driver, _waker) = driver_without(&[IoUringFeature::WaitWithTimeout]);
    let pairs: Vec<_> = (0..ENTRIES).map(|_| pair()).collect();
    let mut others = Vec::new();
    for (one, other) in pairs {
        begin(&mut driver, Socket::unix(one), Action::Receive);
        others.push(other);
    }
    assert!(driver.ring.submission().is_full());
    let nothing = opcode::Nop::new().build().user_data(NOBODY);
    driver.backlog.push_back(nothing);
    let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
    assert!(sleeps <= SLEEPS, "{sleeps} sleeps");
    driver.end(&mut VecDeque::new());
}

/// A signal ends the call that waits, but not the timer.
#[test]
fn interrupted_sleeps_leave_one_timer() {
    let (mut driver, _waker) = driver_without(&[IoUringFeature::WaitWithTimeout]);
    let timer = driver.timer.as_mut().expect("it was taken away");
    let submissions = |timer: &mut Timer, left: Duration| {
        let now = Instant::now();
        let entries = timer.set(now + left, now);
        entries.into_iter().flatten().collect::<Vec<_>>()
    };
    // As if each call were interrupted: nothing is waited for.
    let mut under_way = Vec::new();
    for nearer in 0..100 {
        let left = HOUR - Duration::from_secs(nearer);
        under_way.extend(submissions(timer, left));
    }
    for submission in under_way {
        driver.push(submission);
        driver.submit();
    }
    driver.reap(DONE);
    let timer = driver.timer.as_mut().expect("it was taken away");
    assert!(submissions(timer, HOUR).is_empty(), "one is under way");
    let sleeps = sleep_until(&mut driver, Instant::now() + SHORT);
    assert!(sleeps <= SLEEPS, "{sleeps} sleeps");
}

/// What is left in the ring is neither lost nor slept over.
#[test]
fn what_one_turn_does_not_take_the_next_ones_have() {
    const SOCKETS: usize = 100;
    const MOST: usize = 3;
    on_each(|mut driver, _waker| {
        let mut peers = Vec::new();
        let mut waiting = HashSet::new();
        for _ in 0..SOCKETS {
            let (one, other) = pair();
            waiting.insert(begin(&mut driver, Socket::unix(one), Action::Receive));
            net::send(&other, b"x", SendFlags::NOSIGNAL).expect("sent");
            peers.push(other);
        }
        let mut completions = VecDeque::new();
        while !waiting.is_empty() {
            driver.park(None);
            driver.turn(false, MOST, &mut completions);
            assert!(completions.len() <= MOST);
            for completion in completions.drain(..) {
                assert!(waiting.remove(&completion.id), "it is told once");
            }
        }
        driver.end(&mut VecDeque::new());
    });
}

/// Bytes come while the cancellation is under way, at any moment of it.
#[test]
fn a_cancelled_receive_ends_whatever_comes_meanwhile() {
    const ROUNDS: usize = 20_000;
    /// More pieces than may come between a cancellation and its end.
    const MOST: usize = 10_000;
    let (mut driver, _waker) = driver_without(&[]);
    let (one, other) = pair();
    let sending = AtomicBool::new(true);
    let goes_on = std::thread::scope(|scope| {
        scope.spawn(|| {
            while sending.load(Ordering::Relaxed) {
                let _full = net::send(&other, b"x", SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                (0..200).for_each(|_| std::hint::spin_loop());
            }
        });
        let socket = Socket::unix(one);
        let goes_on = (0..ROUNDS).find(|_| {
            let id = begin(&mut driver, Arc::clone(&socket), Action::Receive);
            driver.cancel(socket.id(), id);
            (0..MOST).all(|_| completion_of(&mut driver, id).more)
        });
        sending.store(false, Ordering::Relaxed);
        goes_on
    });
    assert_eq!(goes_on, None, "the round in which it did not end");
}

/// What the kernel may still write to is given back by nobody: not with the driver, and not by whoever has no more time for it.
#[test]
fn what_the_kernel_does_not_give_back_stays_its_own() {
    on_each(|mut driver, _waker| {
        let (one, other) = pair();
        let socket = Socket::unix(one);
        let receive = begin(&mut driver, Arc::clone(&socket), Action::Receive);
        driver.park(Some(Instant::now()));
        assert!(driver.operations.number_of(receive).is_some());
        let mut completions = VecDeque::new();
        driver.end_within(Duration::ZERO, &mut completions);
        assert!(completions.is_empty(), "nobody waited for any");
        assert!(driver.operations.number_of(receive).is_none());
        drop(driver);
        // Where the ring's end does not end the receive at once, this goes where it may.
        let _sent = net::send(&other, b"late", SendFlags::NOSIGNAL);
        assert_eq!(Arc::strong_count(&socket), 2, "the operation has it");
    });
}

/// Before there is any socket.
#[test]
fn what_is_missing_is_found() {
    for feature in IoUringFeature::ALL {
        let (driver, _waker) = driver_without(&[feature]);
        let found = driver.done_without();
        assert!(found.has(feature), "{feature:?} in {found:?}");
        let (whole, _waker) = driver_without(&[]);
        let needs_it = |one| match feature {
            IoUringFeature::BufferRings => [
                IoUringFeature::MultishotReceive,
                IoUringFeature::IncrementalBuffers,
            ]
            .contains(&one),
            _ => false,
        };
        for other in found.features().filter(|&one| one != feature) {
            assert!(
                needs_it(other) || whole.done_without().has(other),
                "{other:?} without {feature:?}"
            );
        }
    }
}

/// By which `scripts/old-kernels` sees what a kernel has that is run there.
#[test]
fn what_the_kernel_has_is_found() {
    let (mut driver, waker) = driver_without(&[]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _client = std::net::TcpStream::connect(listener.local_addr().expect("an address"));
    let accept = begin(&mut driver, Socket::tcp(listener.into()), Action::Accept);
    assert!(completion_of(&mut driver, accept).result.is_ok());
    let (one, other) = pair();
    net::send(&other, b"hello", SendFlags::NOSIGNAL).expect("sent");
    let receive = begin(&mut driver, Socket::unix(one), Action::Receive);
    assert!(completion_of(&mut driver, receive).result.is_ok());
    waker.wake();
    sleep_until(&mut driver, Instant::now() + SHORT);
    let without = driver.done_without();
    let has = |feature| !without.has(feature);
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse().ok());
    let version = (numbers.next().expect("one"), numbers.next().expect("two"));
    for feature in IoUringFeature::ALL {
        let (major, minor) = feature.since();
        let found = if has(feature) { "has" } else { "lacks" };
        println!("io_uring {found} {feature:?}, of {major}.{minor}");
        // An older kernel may have it all the same: they are given parts of later ones.
        assert!(has(feature) || feature.since() > version, "{release}");
    }
    driver.end(&mut VecDeque::new());
}
