//! The values of which heads and URLs are made: from text, and to text.

use std::hint::black_box;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use libprocess::http::{Url, decode, encode, query};
use libprocess::{Time, Upid};

pub(super) fn benchmarks(group: &mut BenchmarkGroup<'_, WallTime>) {
    let escaped = "an%20article%20on%20%C3%A4ctors%2C%20%26c.";
    let plain = "an article on äctors, &c.";
    group.bench_function("value/percent_encode", |bencher| {
        bencher.iter(|| assert_eq!(encode(black_box(plain)), escaped));
    });
    group.bench_function("value/percent_decode", |bencher| {
        bencher.iter(|| assert_eq!(decode(black_box(escaped)).as_deref(), Ok(plain)));
    });
    group.bench_function("value/query", |bencher| {
        bencher.iter(|| {
            let read = query::decode(black_box("page=2&order=newest&of=%C3%A4ctors"));
            let read = read.expect("it is one");
            assert_eq!((read.len(), read.get("of")), (3, Some("äctors")));
        });
    });
    group.bench_function("value/url", |bencher| {
        bencher.iter(|| {
            let url = black_box("https://www.example.org:8443/articles/2026?page=2#top");
            let url: Url = url.parse().expect("it is one");
            assert_eq!((url.port(), url.path()), (Some(8_443), "/articles/2026"));
        });
    });
    group.bench_function("value/upid", |bencher| {
        bencher.iter(|| {
            let text = "registrar(1)@127.0.0.1:5050";
            let upid: Upid = black_box(text).parse().expect("it is one");
            assert_eq!(upid.to_string(), text);
        });
    });
    group.bench_function("value/date", |bencher| {
        bencher.iter(|| {
            let text = "Fri, 27 Nov 2026 12:00:00 GMT";
            let time = Time::parse_rfc1123(black_box(text)).expect("it is one");
            assert_eq!(time.rfc1123().to_string(), text);
        });
    });
}
