//! Spans of `tracing` around handlers: what a subscriber sees of a line that a handler logs.
#![cfg(feature = "tracing-spans")]

mod common;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Log, lock};
use libprocess::{Context, Process, Runtime, await_ready, dispatch, post};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes each event with the spans that enclose it.
struct Recording {
    log: Log,
    spans: Mutex<HashMap<u64, String>>,
    next: AtomicU64,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Recording {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() || metadata.target() == "test"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        span.record(&mut fields);
        let metadata = span.metadata();
        let text = format!("{}:{}{}", metadata.target(), metadata.name(), fields.0);
        lock(&self.spans).insert(id, text);
        Id::from_u64(id)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = lock(&self.spans);
        let entered: Vec<_> = ENTERED.with_borrow(|entered| {
            let texts = entered.iter().map(|id| spans[id].clone());
            texts.collect()
        });
        self.log
            .add(format!("[{}]{}", entered.join(", "), fields.0));
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let last = ENTERED.with_borrow_mut(Vec::pop);
        assert_eq!(last, Some(span.into_u64()), "spans are left in turn");
    }
}

struct Speaking;

impl Process for Speaking {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        tracing::info!(target: "test", "begins");
        cx.install(
            "hello",
            |_, _event, _cx| tracing::info!(target: "test", "hears"),
        );
    }

    fn finalize(&mut self, _cx: &mut Context<Self>) {
        tracing::info!(target: "test", "ends");
    }
}

impl Speaking {
    fn speak(&mut self) {
        tracing::info!(target: "test", "speaks");
    }
}

/// One test, as there is one subscriber for all threads.
#[test]
fn a_line_of_a_handler_is_in_its_span() {
    let log = Log::default();
    tracing::subscriber::set_global_default(Recording {
        log: log.clone(),
        spans: Mutex::default(),
        next: AtomicU64::new(1),
    })
    .unwrap();
    for telemetry in [false, true] {
        let runtime = Runtime::builder()
            .workers(1)
            .telemetry(telemetry)
            // A span tells what is known of an address, and does not ask for one.
            .listen_nowhere()
            .build()
            .unwrap();
        let speaking = runtime.spawn_named("speaker", Speaking).unwrap();
        let process = format!("libprocess:serve process={speaking}");
        post(speaking, "hello", "");
        await_ready!(dispatch(speaking, Speaking::speak, ()));
        runtime.terminate(speaking);
        assert!(runtime.wait(speaking).has_ended());
        tracing::info!(target: "test", "elsewhere");
        let entries = log.entries();
        let lines = &entries[entries.len() - 5..];
        let method = std::any::type_name_of_val(&Speaking::speak);
        assert_eq!(
            lines,
            [
                format!("[{process} event=(initialize)] message=begins"),
                format!("[{process} event=hello] message=hears"),
                format!("[{process} event={method}] message=speaks"),
                format!("[{process} event=(finalize)] message=ends"),
                "[] message=elsewhere".to_owned(),
            ]
        );
    }
}
