//! Who receives, on the other host: it looks at the numbers of messages.

use std::collections::HashMap;

use libprocess::{Context, MessageEvent, Process, Upid};

#[derive(Default)]
pub(crate) struct Receiver(HashMap<Upid, Heard>);

/// What was heard of one sender, who numbers his messages from 1.
#[derive(Default)]
struct Heard {
    last: u64,
    count: u64,
    /// Those that came twice, or behind a later one.
    disordered: u64,
}

impl Process for Receiver {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("number", Self::on_number);
        cx.install("count", |receiver, event: MessageEvent, cx| {
            let heard = receiver.0.entry(event.from.clone()).or_default();
            let counted = format!("{} {}", heard.count, heard.disordered);
            cx.send(&event.from, "counted", counted);
        });
    }
}

impl Receiver {
    fn on_number(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let heard = self.0.entry(event.from.clone()).or_default();
        let (number, _) = event.body.split_first_chunk().expect("a number");
        let number = u64::from_be_bytes(*number);
        heard.count += 1;
        heard.disordered += u64::from(number <= heard.last);
        heard.last = heard.last.max(number);
    }
}
