//! A client and its destination.

use std::sync::Arc;

use libprocess::{Context, MessageEvent, Process, Upid};

use super::latch::Latch;
use super::work::Work;

#[derive(Default)]
pub(super) struct Destination {
    pub(super) pings: u64,
    pub(super) strangers: u64,
}

impl Process for Destination {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        if event.name == "ping" {
            self.pings += 1;
            cx.send(&event.from, "pong", "");
        } else {
            self.strangers += 1;
        }
    }
}

pub(super) struct Client {
    destination: Upid,
    work: Work,
    latch: Arc<Latch>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) strangers: u64,
}

impl Client {
    pub(super) fn new(destination: Upid, work: Work, latch: Arc<Latch>) -> Self {
        Self {
            destination,
            work,
            latch,
            sent: 0,
            received: 0,
            strangers: 0,
        }
    }

    fn ping(&mut self, cx: &mut Context<Self>) {
        cx.send(&self.destination, "ping", "");
        self.sent += 1;
    }
}

impl Process for Client {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        if event.name == "pong" {
            self.received += 1;
            if self.sent < self.work.repeats {
                self.ping(cx);
            } else if self.received >= self.work.repeats {
                self.latch.count_down();
            }
        } else if event.name == "run" {
            for _ in 0..self.work.window {
                self.ping(cx);
            }
        } else {
            self.strangers += 1;
        }
    }
}
