//! A process to fill the mailbox of.

use super::{Gate, gate};
use libprocess::{
    Context, MessageEvent, Pid, Process, ProcessHandle, SpawnOptions, Upid, dispatch_with,
};

pub fn bounded(capacity: u32) -> SpawnOptions {
    SpawnOptions::new().mailbox_capacity(capacity)
}

/// Keeps what it was told, in order.
#[derive(Default)]
pub struct Store {
    pub told: Vec<String>,
}

impl Process for Store {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.told.push(event.name.to_string());
    }

    fn exited(&mut self, _pid: &Upid, _cx: &mut Context<Self>) {
        self.told.push("exited".to_owned());
    }
}

impl Store {
    pub fn put(&mut self, entry: String) -> usize {
        self.told.push(entry);
        self.told.len()
    }
}

/// Has the process stand at a gate: from here on everything waits.
pub fn stop<P: Process>(pid: Pid<P>) -> Gate {
    let (gate, stop) = gate();
    drop(dispatch_with(pid, move |_, _| stop()));
    gate.wait_until_reached();
    gate
}

/// Terminates behind what is pending, and gives what the store was told.
pub fn told(store: ProcessHandle<Store>) -> Vec<String> {
    store.terminate_after_pending();
    store.join().unwrap().told
}
