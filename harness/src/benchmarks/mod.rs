//! The benchmarks, a file for each area.

pub(crate) mod client_server;
pub(crate) mod clock;
pub(crate) mod dispatch;
pub(crate) mod dispatch_defer;
pub(crate) mod event_queue;
pub(crate) mod fairness;
pub(crate) mod fan_in;
pub(crate) mod futures;
pub(crate) mod hand_over;
pub(crate) mod http;
pub(crate) mod links;
pub(crate) mod net;
pub(crate) mod ping_pong;
pub(crate) mod protobuf;
pub(crate) mod remote;
pub(crate) mod savina;
pub(crate) mod skynet;
pub(crate) mod spawn;
pub(crate) mod spawn_life;
pub(crate) mod spawn_million;
pub(crate) mod throughput;
pub(crate) mod timer_latency;
