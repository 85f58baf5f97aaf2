//! A user's program: prints what it was built with, and uses the interface once.

use libprocess::{Context, MessageEvent, Process, dispatch, post, spawn, terminate, wait};

/// What the library is to say that it was built with, if scripts/features tells: so that a build need not be run to be asked.
const _: () = {
    const fn same(one: &str, other: &str) -> bool {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let mut at = 0;
        while at < one.len() && at < other.len() && one[at] == other[at] {
            at += 1;
        }
        at == one.len() && at == other.len()
    }
    const fn expects(expected: Option<&str>, name: &str) -> bool {
        match expected {
            Some(expected) => same(expected, name),
            None => true,
        }
    }
    let built = libprocess::build_features();
    assert!(expects(option_env!("EXPECTED_RUN_QUEUE"), built.run_queue));
    assert!(expects(
        option_env!("EXPECTED_EVENT_QUEUE"),
        built.event_queue
    ));
    assert!(expects(option_env!("EXPECTED_SEMAPHORE"), built.semaphore));
    let spans = if built.tracing_spans { "yes" } else { "no" };
    assert!(expects(option_env!("EXPECTED_SPANS"), spans));
};

#[derive(Default)]
struct Adder {
    sum: i64,
}

impl Process for Adder {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("add", Self::on_add);
    }
}

impl Adder {
    fn on_add(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.sum += i64::from(event.body[0]);
    }

    fn sum(&mut self) -> i64 {
        self.sum
    }
}

fn main() -> Result<(), libprocess::FutureError> {
    println!("{}", libprocess::build_features());
    let adder = spawn(Adder::default());
    for _ in 0..1_000 {
        post(adder, "add", vec![2]);
    }
    let twice = dispatch(adder, Adder::sum, ()).then(|sum| sum * 2);
    assert_eq!(twice.get()?, 4_000);
    terminate(adder);
    assert!(wait(adder).has_ended());
    Ok(())
}
