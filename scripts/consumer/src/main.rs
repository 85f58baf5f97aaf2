//! A user's program: prints what it was built with, and uses the interface once.

use libprocess::{Context, MessageEvent, Process, dispatch, post, spawn, terminate, wait};

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
