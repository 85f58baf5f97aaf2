mod hits;
// It waits by std's condition variables and scopes, which ThreadSanitizer does not see.
#[cfg(not(libprocess_tsan))]
mod threads;
mod wire;
mod world;

use crate::clock::Clock;
use hits::Hits;
use world::World;

const SEEDS: u64 = 8_000;

/// One that stands still: nothing here is decided by time.
fn paused_clock() -> Clock {
    let clock = Clock::new("answers".to_owned());
    clock.pause();
    clock
}

#[test]
fn all_is_sent_once_and_in_order_whatever_happens_when() {
    let clock = paused_clock();
    let mut all = Hits::default();
    for seed in 0..SEEDS {
        let run = std::panic::AssertUnwindSafe(|| World::run(seed, &clock));
        match std::panic::catch_unwind(run) {
            Ok(hits) => all.add(hits),
            Err(_) => panic!("seed {seed}"),
        }
    }
    all.assert_all();
}
