//! The list of benchmarks.

use std::fmt::Display;

use crate::benchmark::Benchmark;
use crate::benchmarks::client_server::ClientServer;
use crate::benchmarks::clock::Timers;
use crate::benchmarks::dispatch::{DispatchAwait, DispatchGet};
use crate::benchmarks::dispatch_defer::DispatchDefer;
use crate::benchmarks::fan_in::FanIn;
use crate::benchmarks::futures::ThenChain;
use crate::benchmarks::hand_over::HandOver;
use crate::benchmarks::http::Http;
use crate::benchmarks::links::{LargeNumberOfLinks, LinkExits};
use crate::benchmarks::net::Net;
use crate::benchmarks::ping_pong::PingPong;
use crate::benchmarks::protobuf::INSTALL_HANDLER;
use crate::benchmarks::remote::Remote;
use crate::benchmarks::savina::thread_ring::ThreadRing;
use crate::benchmarks::skynet::Skynet;
use crate::benchmarks::spawn::{SpawnIdle, SpawnTerminate};
use crate::benchmarks::spawn_life::SpawnLife;
use crate::benchmarks::spawn_million::SpawnMillion;
use crate::benchmarks::throughput::{self, ThroughputPerformance};
use crate::benchmarks::timer_latency::TimerLatency;

use crate::benchmarks::event_queue::MpscLinkedQueue;
use crate::benchmarks::fairness::Fairness;
use crate::benchmarks::savina::banking::Banking;
use crate::benchmarks::savina::big::Big;
use crate::benchmarks::savina::chameneos::Chameneos;
use crate::benchmarks::savina::counting::Counting;
use crate::benchmarks::savina::fork_join::{ForkJoinCreation, ForkJoinThroughput};
use crate::benchmarks::savina::philosophers::Philosophers;
use crate::filter::Filter;
use crate::server::{EchoServer, HttpServer, RemoteServer};

/// All of them, in the order in which they run.
pub(crate) static BENCHMARKS: [&dyn Benchmark; 67] = [
    &ThroughputPerformance,
    &DispatchDefer::Movable,
    &DispatchDefer::Copyable,
    &SpawnIdle,
    &SpawnTerminate,
    &SpawnLife,
    &DispatchGet,
    &DispatchAwait,
    &ThenChain,
    &Timers,
    &PingPong::Worker,
    &PingPong::Workers,
    &PingPong::Thread,
    &TimerLatency,
    &HandOver,
    &ThreadRing,
    &Skynet,
    &FanIn,
    &SpawnMillion,
    &ClientServer,
    &LargeNumberOfLinks,
    &LinkExits,
    &Counting,
    &ForkJoinThroughput,
    &ForkJoinCreation,
    &Big,
    &Chameneos,
    &Banking,
    &Philosophers,
    &Fairness,
    &INSTALL_HANDLER[0],
    &INSTALL_HANDLER[1],
    &INSTALL_HANDLER[2],
    &INSTALL_HANDLER[3],
    &INSTALL_HANDLER[4],
    &INSTALL_HANDLER[5],
    &INSTALL_HANDLER[6],
    &INSTALL_HANDLER[7],
    &INSTALL_HANDLER[8],
    &INSTALL_HANDLER[9],
    &MpscLinkedQueue::Contended,
    &MpscLinkedQueue::Empty,
    &MpscLinkedQueue::NonContendedRead,
    &Http::Plaintext(HttpServer::Epoll),
    &Http::Plaintext(HttpServer::Hyper),
    &Http::Plaintext(HttpServer::CannedEpoll),
    &Http::Connect(HttpServer::Epoll),
    &Http::Connect(HttpServer::Hyper),
    &Http::Connect(HttpServer::CannedEpoll),
    &Http::Close(HttpServer::Epoll),
    &Http::Close(HttpServer::Hyper),
    &Http::Close(HttpServer::CannedEpoll),
    &Remote::Throughput(RemoteServer::Epoll),
    &Remote::PingPong(RemoteServer::Epoll),
    // Last, as some need a kernel that allows io_uring: where it does not, all else has run.
    &Net::Echo(EchoServer::IoUring),
    &Net::Echo(EchoServer::Epoll),
    &Net::Echo(EchoServer::CannedIoUring),
    &Net::Echo(EchoServer::CannedEpoll),
    &Net::Connect(EchoServer::IoUring),
    &Net::Connect(EchoServer::Epoll),
    &Net::Connect(EchoServer::CannedIoUring),
    &Net::Connect(EchoServer::CannedEpoll),
    &Http::Plaintext(HttpServer::IoUring),
    &Http::Connect(HttpServer::IoUring),
    &Http::Close(HttpServer::IoUring),
    &Remote::Throughput(RemoteServer::IoUring),
    &Remote::PingPong(RemoteServer::IoUring),
];

/// The one that runs without a filter.
pub(crate) const DEFAULT: &str = throughput::NAME;

/// Nothing has a name that any of the filters lets through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} matches {}; there are:{}", .filters.join(" or "), list(there))]
pub(crate) struct NoMatch {
    what: &'static str,
    filters: Vec<String>,
    there: Vec<String>,
}

impl NoMatch {
    pub(crate) fn of(name: &str) -> Self {
        Self::new("benchmark", &[name], all())
    }

    /// None of these names.
    pub(crate) fn among(filters: &[Filter], there: Vec<String>) -> Self {
        Self::new("benchmark", filters, there)
    }

    /// As [`among`](Self::among), of what the gate counts.
    pub(crate) fn of_regions(filters: &[impl Display], there: Vec<String>) -> Self {
        Self::new("region", filters, there)
    }

    fn new(what: &'static str, filters: &[impl Display], there: Vec<String>) -> Self {
        Self {
            what,
            filters: filters.iter().map(|filter| format!("`{filter}`")).collect(),
            there,
        }
    }
}

fn all() -> Vec<String> {
    BENCHMARKS
        .iter()
        .map(|benchmark| benchmark.name().to_owned())
        .collect()
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  {name}")).collect()
}

/// Those that any of the filters lets through; without a filter, the default one.
pub(crate) fn select(filters: &[Filter]) -> Result<Vec<&'static dyn Benchmark>, NoMatch> {
    let selected: Vec<&dyn Benchmark> = BENCHMARKS
        .into_iter()
        .filter(|benchmark| match filters {
            [] => benchmark.name() == DEFAULT,
            filters => filters
                .iter()
                .any(|filter| filter.matches(benchmark.name())),
        })
        .collect();
    if selected.is_empty() {
        return Err(NoMatch::among(filters, all()));
    }
    Ok(selected)
}

/// The name of a benchmark over a reactor, without what it has for that reactor, if anything.
pub(crate) fn without_reactor(benchmark: &str) -> &str {
    let without = |ending| benchmark.strip_suffix(ending);
    let mut endings = [".IoUring", ".Epoll"].into_iter();
    endings.find_map(without).unwrap_or(benchmark)
}

/// The one of exactly this name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Benchmark> {
    BENCHMARKS
        .into_iter()
        .find(|benchmark| benchmark.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(filters: &[&str]) -> Vec<&'static str> {
        let filters: Vec<Filter> = filters
            .iter()
            .map(|filter| filter.parse().unwrap())
            .collect();
        select(&filters)
            .unwrap()
            .iter()
            .map(|benchmark| benchmark.name())
            .collect()
    }

    #[test]
    fn each_name_is_there_once() {
        let names: BTreeSet<&str> = BENCHMARKS
            .iter()
            .map(|benchmark| benchmark.name())
            .collect();
        assert_eq!(names.len(), BENCHMARKS.len());
    }

    #[test]
    fn without_a_filter_the_main_job_runs() {
        assert_eq!(
            names(&[]),
            ["ProcessTest.Process_BENCHMARK_ThroughputPerformance"]
        );
        assert_eq!(names(&["ProcessTest.*ThroughputPerformance"]), names(&[]));
    }

    #[test]
    fn filters_add_up() {
        assert_eq!(
            names(&["Dispatch.*", "Spawn.*-*.Idle"]),
            [
                "Spawn.Terminate",
                "Spawn.Life",
                "Dispatch.Get",
                "Dispatch.Await",
                "Spawn.Million"
            ]
        );
    }

    #[test]
    fn nothing_selected_is_an_error_that_lists_what_there_is() {
        let error = select(&["Nothing.*".parse().unwrap()])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("`Nothing.*`"), "{error}");
        for benchmark in BENCHMARKS {
            assert!(error.contains(benchmark.name()), "{error}");
        }
    }

    #[test]
    fn each_is_found_by_its_name() {
        for benchmark in BENCHMARKS {
            assert_eq!(find(benchmark.name()).unwrap().name(), benchmark.name());
        }
        assert!(find("Spawn.*").is_none());
    }
}
