//! Two hosts, and a link between them that has troubles: what is said of messages and links in `docs/remote.md` holds there.
//!
//! `scripts/netns` makes the hosts, which are network namespaces, and runs these tests on one of them; the tests run this program again on the other, and have the script make trouble. It is real trouble, told by the kernel in its own time:
//! so these tests wait for it, and none is run but by the script.

#[path = "../common/mod.rs"]
mod common;

mod hosts;
mod receiver;
mod senders;

use std::time::{Duration, Instant};

use libprocess::{RemoteOptions, Runtime};
use rustix::process::Signal;

use common::serving::until;
use hosts::{Other, Trouble, seconds, tcp};
use senders::Senders;

/// Of each sender, in one go.
const MESSAGES: u64 = 500;
/// A message that is one of many, and one of which a few are more than the kernel takes.
const SMALL: usize = 200;
const LARGE: usize = 256 << 10;
/// What machines that do other things may add to a time that was configured.
const MARGIN: Duration = Duration::from_secs(2);

fn runtime(options: RemoteOptions) -> Runtime {
    // Where, and with which reactor, the script says.
    let runtime = Runtime::builder().workers(2).remote(options).build();
    runtime.expect("a runtime")
}

/// Senders that are linked to the receiver of another host, which has heard of each.
fn linked<'a>(runtime: &'a Runtime, other: &Other) -> Senders<'a> {
    let senders = Senders::new(runtime, other.receiver());
    senders.link();
    senders.send(1, SMALL);
    senders.have_arrived(1);
    senders
}

/// That they hear of the exit when that time is over, with what a heartbeat may have begun before, and not much later.
fn hear_exit_within(time: Duration, begin: Instant, senders: &Senders<'_>) {
    senders.hear_exit();
    let took = begin.elapsed();
    println!("exited after {took:?}, where {time:?} are allowed");
    assert!(took > time / 2 && took < time + MARGIN, "{took:?}");
}

/// That so many messages are dead letters, and no more.
fn lost_are(count: u64, runtime: &Runtime) {
    let stats = runtime.stats();
    let last = stats.last_dead_letters.last();
    assert_eq!(stats.dead_letters, count, "the last one is {last:?}");
}

/// That all is well with the next connection, and that what was lost with the last one does not come after all.
fn go_on(senders: &Senders<'_>) {
    senders.link();
    senders.send(MESSAGES, SMALL);
    senders.have_arrived(1 + MESSAGES);
    senders.have_heard_no_exit();
}

/// That messages sent over such a link arrive, each once and in order.
fn all_arrive(words: &str) {
    let other = Other::start();
    let runtime = runtime(RemoteOptions::new());
    let senders = linked(&runtime, &other);
    let _trouble = Trouble::new(words);
    let messages = MESSAGES * seconds().as_secs();
    senders.send(messages, SMALL);
    senders.have_arrived(1 + messages);
    senders.have_heard_no_exit();
    lost_are(0, &runtime);
}

#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn messages_keep_their_order_where_packets_do_not() {
    let overtaken = || tcp("TCPOFOQueue") + tcp("TCPSACKReorder");
    let before = overtaken();
    all_arrive("delay 20ms 5ms reorder 25%");
    println!("{} packets overtaken", overtaken() - before);
    assert!(overtaken() > before, "no packet was overtaken");
}

#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn messages_arrive_where_packets_are_lost() {
    let before = tcp("RetransSegs");
    all_arrive("loss 10%");
    println!("{} packets sent again", tcp("RetransSegs") - before);
    assert!(tcp("RetransSegs") > before, "no packet was lost");
}

#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn hosts_that_are_cut_off_for_a_while_lose_nothing() {
    let other = Other::start();
    let runtime = runtime(RemoteOptions::new());
    let senders = linked(&runtime, &other);
    let before = tcp("RetransSegs");
    let cut = Trouble::new("loss 100%");
    senders.send(MESSAGES, SMALL);
    std::thread::sleep(seconds());
    assert!(tcp("RetransSegs") > before, "the link was not cut");
    drop(cut);
    senders.have_arrived(1 + MESSAGES);
    senders.have_heard_no_exit();
    lost_are(0, &runtime);
}

/// Within what `peer_timeout` says: messages are not acknowledged.
#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn a_host_that_is_cut_off_for_longer_has_exited() {
    let other = Other::start();
    let timeout = seconds();
    let options = RemoteOptions::new().peer_timeout(Some(timeout));
    let runtime = runtime(options.outbound_bytes(usize::MAX));
    let senders = linked(&runtime, &other);
    let cut = Trouble::new("loss 100%");
    let before = tcp("RetransSegs");
    let begin = Instant::now();
    // The kernel has as much of these as it takes; so what is sent then waits here for sure.
    senders.send(32, LARGE);
    until(|| tcp("RetransSegs") > before);
    senders.send(MESSAGES, SMALL);
    hear_exit_within(timeout, begin, &senders);
    until(|| runtime.stats().dead_letters >= MESSAGES * senders.len());
    drop(cut);
    go_on(&senders);
}

/// The same where nothing is said: the kernel asks.
#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn a_host_that_is_cut_off_in_silence_has_exited() {
    let other = Other::start();
    let timeout = seconds();
    let runtime = runtime(RemoteOptions::new().peer_timeout(Some(timeout)));
    let senders = linked(&runtime, &other);
    let begin = Instant::now();
    let cut = Trouble::new("loss 100%");
    hear_exit_within(timeout, begin, &senders);
    drop(cut);
    go_on(&senders);
}

/// A program that stands still, on a host that is well.
#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn what_waits_for_a_frozen_peer_is_bounded() {
    const MOST: usize = 1 << 20;
    /// Some are refused before the kernel's buffers have grown as large as they will.
    const ENOUGH: u64 = 1_000;
    let other = Other::start();
    let runtime = runtime(RemoteOptions::new().outbound_bytes(MOST));
    let senders = linked(&runtime, &other);
    other.signal(Signal::STOP);
    let before = resident_bytes();
    let mut taken = 0;
    let mut refused = 0;
    while refused < ENOUGH {
        if senders.try_send(SMALL) {
            taken += 1;
            refused = 0;
            assert!(taken < 100_000, "nothing is refused");
        } else {
            refused += 1;
        }
    }
    assert_eq!(runtime.stats().refused, 0, "who tries gets it back");
    // 128 MB for each.
    senders.send(512, LARGE);
    let refused = runtime.stats().refused;
    std::thread::sleep(seconds() / 2);
    let grown = resident_bytes().saturating_sub(before);
    println!(
        "{taken} small ones taken, {refused} of {} large ones refused, {grown} bytes more",
        512 * senders.len()
    );
    assert!(grown < 16 * MOST, "{grown} bytes more");
    senders.have_heard_no_exit();
    other.signal(Signal::CONT);
    let (arrived, disordered) = senders.counted();
    assert_eq!(disordered, 0);
    let sent = senders.len() * (1 + 512) + taken;
    assert_eq!(arrived, sent - refused);
    senders.have_heard_no_exit();
    lost_are(refused, &runtime);
}

/// Its host is well and answers for it, so only a question to the program tells; as long as that is answered, all is well.
#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn a_frozen_peer_whose_heart_is_listened_to_has_exited() {
    let other = Other::start();
    let time = seconds();
    let runtime = runtime(RemoteOptions::new().heartbeat(Some(time)));
    let senders = linked(&runtime, &other);
    std::thread::sleep(time * 3 / 2);
    senders.have_heard_no_exit();
    let begin = Instant::now();
    other.signal(Signal::STOP);
    hear_exit_within(time, begin, &senders);
    other.signal(Signal::CONT);
    go_on(&senders);
}

/// Where messages wait for it, its host's word that it lives does not count for longer than `peer_timeout`.
#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn a_frozen_peer_that_is_sent_to_has_exited() {
    let other = Other::start();
    let timeout = seconds();
    let options = RemoteOptions::new().peer_timeout(Some(timeout));
    let runtime = runtime(options.outbound_bytes(usize::MAX));
    let senders = linked(&runtime, &other);
    other.signal(Signal::STOP);
    let begin = Instant::now();
    senders.send(32, LARGE);
    hear_exit_within(timeout, begin, &senders);
}

#[test]
#[ignore = "needs two hosts: scripts/netns"]
fn a_peer_that_is_killed_has_exited_at_once() {
    let other = Other::start();
    let runtime = runtime(RemoteOptions::new());
    let senders = linked(&runtime, &other);
    senders.send(MESSAGES, SMALL);
    let begin = Instant::now();
    other.signal(Signal::KILL);
    hear_exit_within(Duration::ZERO, begin, &senders);
    drop(other);
    // There may be another.
    let other = Other::start();
    let senders = linked(&runtime, &other);
    senders.have_heard_no_exit();
}

/// What this process has in memory.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number of KiB")
        << 10
}
