//! A slot's next tenant never gets what was meant for the one before.

mod common;

use common::{lock, runtime, scale};
use libprocess::{Context, MessageEvent, Pid, Process, post, terminate, wait};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Checks that each message carries its own number.
struct Tenant {
    number: u64,
    foreign: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
}

impl Process for Tenant {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let number = u64::from_le_bytes(event.body[..].try_into().unwrap());
        self.served.fetch_add(1, Ordering::Relaxed);
        if number != self.number {
            self.foreign.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A pid, and the number of the process that it names.
type Known = (Pid<Tenant>, u64);

#[test]
fn stale_pids_reach_nobody() {
    let tenants = 1_000 * scale() as u64;
    let runtime = runtime(2);
    let (foreign, served) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let current: Arc<Mutex<Option<Known>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let (current, stop) = (Arc::clone(&current), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut posted = 0;
                let mut known = None;
                while !stop.load(Ordering::Relaxed) {
                    // A pid that was read now and then is stale for most of its posts.
                    if posted % 16 == 0 {
                        known = *lock(&current);
                    }
                    if let Some((pid, number)) = known {
                        post(pid, "numbered", number.to_le_bytes().to_vec());
                    }
                    posted += 1;
                }
            })
        })
        .collect();
    for number in 0..tenants {
        let tenant = Tenant {
            number,
            foreign: Arc::clone(&foreign),
            served: Arc::clone(&served),
        };
        let pid = runtime.spawn(tenant);
        *lock(&current) = Some((pid, number));
        terminate(pid);
        wait(pid);
    }
    stop.store(true, Ordering::Relaxed);
    for poster in posters {
        poster.join().unwrap();
    }
    assert_eq!(
        foreign.load(Ordering::Relaxed),
        0,
        "a message reached a later tenant"
    );
    assert!(
        runtime.stats().dead_letters > 0,
        "no pid was stale: the race was not hit"
    );
}
