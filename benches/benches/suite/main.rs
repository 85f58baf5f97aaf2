//! All groups of benchmarks. The library of this package tells what they measure.
//!
//! `cargo test` runs this program, too: each benchmark once, and their names are compared with those of `names/suite.txt`.

mod codec;
mod dispatch;
mod event_queue;
mod future;
mod message;
mod run_queue;
mod semaphore;
mod spawn;
mod timer;

use std::time::Duration;

use criterion::Criterion;
use libprocess_benches::names;

fn main() {
    // Few and short: on a shared machine a long measurement only meets more of the neighbours.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    eprintln!("libprocess with {}", libprocess::build_features());
    names::check(include_str!("../../names/suite.txt"));
    semaphore::benchmarks(&mut criterion);
    run_queue::benchmarks(&mut criterion);
    event_queue::benchmarks(&mut criterion);
    dispatch::benchmarks(&mut criterion);
    spawn::benchmarks(&mut criterion);
    message::benchmarks(&mut criterion);
    future::benchmarks(&mut criterion);
    timer::benchmarks(&mut criterion);
    codec::benchmarks(&mut criterion);
    criterion.final_summary();
}
