//! What the tests of sockets share: each runs on both reactors, on io_uring as it was in Linux 5.10, and with faults.

use std::net::SocketAddr;
use std::time::Duration;

use libprocess::IoUringFeature;
use libprocess::net::{TcpListener, TcpStream};
use libprocess::{ReactorKind, Runtime, RuntimeBuilder};

/// Long enough for a machine that does other things; a test that gets there has failed.
pub const LONG: Duration = Duration::from_secs(20);

/// How many seeds of faults each test of `on_each` is run with; `scripts/verify` has more. One to sanitizers, with which all takes several times as long.
pub const FAULTS: u64 = if cfg!(any(libprocess_tsan, libprocess_asan)) {
    1
} else {
    3
};

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
    build(Runtime::builder(), kind, workers, faults)
}

/// As `runtime`, on io_uring without these.
pub fn runtime_without(
    features: impl IntoIterator<Item = IoUringFeature>,
    workers: usize,
    faults: Option<u64>,
) -> Option<Runtime> {
    let builder = Runtime::builder().io_uring_without(features);
    build(builder, ReactorKind::IoUring, workers, faults)
}

/// What Linux 5.10 does not have: what is here the oldest that is used, and has long-term support.
pub fn newer_than_5_10() -> impl Iterator<Item = IoUringFeature> {
    let features = IoUringFeature::ALL.into_iter();
    features.filter(|feature| feature.since() > (5, 10))
}

fn build(
    builder: RuntimeBuilder,
    kind: ReactorKind,
    workers: usize,
    faults: Option<u64>,
) -> Option<Runtime> {
    let mut builder = builder.workers(workers).reactor(kind);
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
        for workers in [1, 3] {
            for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
                if let Some(runtime) = runtime(kind, workers, faults) {
                    let name = format!("{kind}, {workers} workers, faults {faults:?}");
                    run_on(&runtime, kind, &name, f);
                }
            }
            // Most of what faults do is above the driver: one seed of them.
            let few_faults = faults.is_none_or(|seed| seed == 0);
            if few_faults && let Some(runtime) = runtime_without(newer_than_5_10(), workers, faults)
            {
                let name = format!("io_uring of 5.10, {workers} workers, faults {faults:?}");
                run_on(&runtime, ReactorKind::IoUring, &name, f);
            }
        }
    }
}

fn run_on<F, Out>(runtime: &Runtime, kind: ReactorKind, name: &str, f: F)
where
    F: Fn() -> Out + Copy + Send + 'static,
    Out: std::future::Future<Output = ()> + Send + 'static,
{
    // Inside of the runtime, for the sake of the sockets that `f` makes.
    let done = runtime.spawn_async(async move { f().await });
    done.get_timeout(LONG)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(runtime.stats().reactor, Some(kind), "{name}");
}

/// Both ends of a connection.
pub async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(any()).expect("a listener");
    let connecting = TcpStream::connect(listener.local_address().expect("an address"));
    let server = listener.accept().await.expect("a connection");
    (connecting.await.expect("a connection"), server)
}

/// So many bytes, in however many pieces.
pub async fn receive_exactly(stream: &TcpStream, length: usize) -> Vec<u8> {
    receive_the_rest(stream, Vec::new(), length).await
}

/// As `receive_exactly`, where some have come.
pub async fn receive_the_rest(stream: &TcpStream, mut all: Vec<u8>, length: usize) -> Vec<u8> {
    while all.len() < length {
        let bytes = stream.receive().await.expect("bytes");
        assert!(!bytes.is_empty(), "the stream ended behind {all:?}");
        all.extend_from_slice(&bytes);
    }
    assert_eq!(all.len(), length, "more came than was sent");
    all
}
