//! What it costs to read and write what goes between programs: HTTP, messages of other runtimes, protobuf, and the values in them.
//!
//! The decoders and encoders of HTTP are the library's own affair, so they are measured where anybody gets at them: at the two ends of a connection. So that hardly anything else is measured, many
//! requests go together, and the runtime has one worker. What is left of the sockets and the scheduler is in `no_codec`, which carries as many bytes as `get` and does not look at them: the difference
//! is the codec's. (`--cfg fuzzing` would show it alone, but changes what is built, and a benchmark that needs it would be run by nobody; to count its instructions there is `scripts/http-instructions`.)

mod client;
mod message;
mod protobuf;
mod server;
mod values;
mod wire;

use criterion::{Criterion, Throughput};
use libprocess::{Runtime, RuntimeBuilder};

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    server::benchmarks(&mut group);
    client::benchmarks(&mut group);
    message::benchmarks(&mut group);
    protobuf::benchmarks(&mut group);
    values::benchmarks(&mut group);
    group.finish();
}

fn start(builder: RuntimeBuilder) -> Runtime {
    builder.workers(1).build().expect("the runtime starts")
}
