//! What the tests of sockets share: each runs on both reactors, and with faults.

use std::net::SocketAddr;
use std::time::Duration;

use libprocess::{ReactorKind, Runtime};

/// Long enough for a machine that does other things; a test that gets there has failed.
pub const LONG: Duration = Duration::from_secs(20);

/// How many seeds of faults each test of `on_each` is run with; `scripts/verify` has more.
pub const FAULTS: u64 = 3;

pub fn any() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// The reactors that were built in.
pub const REACTORS: &[ReactorKind] = if cfg!(feature = "io-uring") {
    &[ReactorKind::IoUring, ReactorKind::Epoll]
} else {
    &[ReactorKind::Epoll]
};

/// `None`: the kind was not built in. What was built in must be had: these tests are about it.
pub fn runtime(kind: ReactorKind, workers: usize, faults: Option<u64>) -> Option<Runtime> {
    let mut builder = Runtime::builder().workers(workers).reactor(kind);
    if let Some(seed) = faults {
        builder = builder.io_faults(seed);
    }
    match builder.build() {
        Ok(runtime) => Some(runtime),
        Err(error) if !cfg!(feature = "io-uring") => {
            assert!(error.to_string().contains("io-uring"), "{error}");
            None
        }
        Err(error) => panic!("{kind}: {error}"),
    }
}

/// Runs `f` in a process of a runtime of each kind and size, so that its sockets are of that runtime.
pub fn on_each<F, Out>(f: F)
where
    F: Fn() -> Out + Copy + Send + 'static,
    Out: std::future::Future<Output = ()> + Send + 'static,
{
    // Without faults, and with those of some seeds.
    let seeds = (0..FAULTS * super::scale() as u64).map(Some);
    for faults in std::iter::once(None).chain(seeds) {
        for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
            for workers in [1, 3] {
                let Some(runtime) = runtime(kind, workers, faults) else {
                    continue;
                };
                // Inside of the runtime, for the sake of the sockets that `f` makes.
                let done = runtime.spawn_async(async move { f().await });
                done.get_timeout(LONG).unwrap_or_else(|error| {
                    panic!("{kind}, {workers} workers, faults {faults:?}: {error}")
                });
                assert_eq!(runtime.stats().reactor, Some(kind));
            }
        }
    }
}
