//! The process `__links__`: what two of these runtimes tell each other of links, beside what the connection tells.
//!
//! # Who speaks it
//!
//! A C++ libprocess knows nothing of this, and sees nothing of it on the connections of messages and links. So a runtime that links to a process elsewhere asks first, over a connection of its own, as any web client would:
//! `GET /__links__`. Whoever answers with [`VERSION`] has this process; all others answer something else, and are asked nothing more for as long as that link's connection stays.
//!
//! # What is said
//!
//! Messages from this process to its like, so that they keep their order with all others between the two: a process's `exited` comes behind what it has sent. The *token* is a random number for each connection of the linker's; what comes
//! for one that is past is ignored. Each link of a connection has a number.
//!
//! ```text
//! linker ── link: token, number and id, ... ───►  is anybody called so? then links to that process
//!        ◄─ renewed: token ────────────────────   (answers link and renew)
//!        ◄─ exited: token, number, reason, ... ──  it has ended, or there is none; said again with renewals
//!        ── unlink: token, number, ... ────────►  was told; or nobody is linked any more
//!        ── renew: token ──────────────────────►  every 10 s
//!        ◄─ unknown: token ────────────────────   all is to be said again
//! ```
//!
//! # What can go wrong
//!
//! - *A message is lost*, as when a connection breaks: an exit is told until that is acknowledged, and an unknown token has everything said again.
//! - *The linker is gone.* What was not renewed for a minute is forgotten.
//! - *The other one is gone*, or cannot reach the linker any more: where links were answered for before, and six renewals are not, the connection counts as broken. (They are counted, as a paused clock may leap.)
//! - *Somebody asks to be told of very much.* Links are kept up to [`MOST`]; for those beyond there is the connection alone.

use std::collections::{HashMap, HashSet};
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;

use super::Remote;
use crate::clock::Time;
use crate::exchange::{not_found, ok};
use crate::functions::clock;
use crate::http::{decode, encode};
use crate::process::{
    Context, ExitReason, ExitedEvent, HttpEvent, Message, MessageEvent, Process, RawPid, Upid,
    delay_with, find_process,
};

/// The id of the process.
pub(super) const LINKS: &str = "__links__";
/// What it answers to who asks whether it is there.
pub(super) const VERSION: &str = "libprocess links 1";

/// How often a linker renews.
pub(super) const RENEWAL: Duration = Duration::from_secs(10);
/// After how many that were not answered the other is taken to be gone.
pub(super) const UNANSWERED: u32 = 6;
/// After how long without a renewal a linker is forgotten.
const EXPIRY: Duration = Duration::from_secs(60);

/// Links of others that are kept.
const MOST: usize = 100_000;

/// See the module.
pub(super) struct Links {
    remote: Weak<Remote>,
    linkers: HashMap<u64, Linker>,
    /// Which links there are to a process of this runtime: token and number.
    watched: HashMap<RawPid, HashSet<(u64, u64)>>,
    /// How many there are in all.
    count: usize,
    expires: bool,
}

/// A runtime that has linked to processes of this one, by one of its connections.
struct Linker {
    who: Upid,
    renewed: Time,
    /// When it was last told again of those that have ended.
    reminded: Time,
    links: HashMap<u64, State>,
}

enum State {
    Alive(RawPid),
    /// The linker has not said yet that it knows.
    Ended(ExitReason),
}

impl Links {
    pub(super) fn new(remote: Weak<Remote>) -> Self {
        Self {
            remote,
            linkers: HashMap::new(),
            watched: HashMap::new(),
            count: 0,
            expires: false,
        }
    }

    fn link(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        let Some((token, lines)) = parse(&event.body) else {
            return;
        };
        if event.from.id().as_deref() != Some(LINKS) {
            // What is kept of who asks is to be short.
            return;
        }
        let now = clock().now();
        let mut linker = self.linkers.remove(&token).unwrap_or_else(|| Linker {
            who: event.from.clone(),
            renewed: now,
            reminded: now,
            links: HashMap::new(),
        });
        linker.renewed = now;
        let mut told = Vec::new();
        for (number, id) in lines.filter_map(numbered) {
            if self.count >= MOST || linker.links.contains_key(&number) {
                continue;
            }
            self.count += 1;
            let state = match find_process(&id) {
                Some(pid) => {
                    self.watched.entry(pid).or_default().insert((token, number));
                    // If it ends meanwhile, that is told like any other end.
                    cx.link(Upid::local(pid));
                    State::Alive(pid)
                }
                None => {
                    told.push(ended(number, &ExitReason::Unknown));
                    State::Ended(ExitReason::Unknown)
                }
            };
            linker.links.insert(number, state);
        }
        cx.send(&linker.who, "renewed", text(token, []));
        for body in texts(token, told) {
            cx.send(&linker.who, "exited", body);
        }
        // There are so never more of these than of links.
        if !linker.links.is_empty() {
            self.linkers.insert(token, linker);
            self.expire_later(cx);
        }
    }

    fn renew(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        let Some((token, _)) = parse(&event.body) else {
            return;
        };
        let Some(linker) = self.linkers.get_mut(&token) else {
            return cx.send(&event.from, "unknown", text(token, []));
        };
        let now = clock().now();
        linker.renewed = now;
        cx.send(&linker.who, "renewed", text(token, []));
        // Whoever renews all the time is not told more for that.
        if now < linker.reminded + RENEWAL / 2 {
            return;
        }
        linker.reminded = now;
        let lines = linker
            .links
            .iter()
            .filter_map(|(number, state)| match state {
                State::Ended(reason) => Some(ended(*number, reason)),
                State::Alive(_) => None,
            });
        for body in texts(token, lines) {
            cx.send(&linker.who, "exited", body);
        }
    }

    fn unlink(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let Some((token, lines)) = parse(&event.body) else {
            return;
        };
        let Some(mut linker) = self.linkers.remove(&token) else {
            return;
        };
        for number in lines.filter_map(|line| line.parse().ok()) {
            if let Some(state) = linker.links.remove(&number) {
                self.forget(token, number, &state);
            }
        }
        if !linker.links.is_empty() {
            self.linkers.insert(token, linker);
        }
    }

    /// A link is no more.
    fn forget(&mut self, token: u64, number: u64, state: &State) {
        self.count -= 1;
        if let State::Alive(pid) = state
            && let Some(links) = self.watched.get_mut(pid)
        {
            links.remove(&(token, number));
            if links.is_empty() {
                self.watched.remove(pid);
            }
        }
    }

    fn expire_later(&mut self, cx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.expires, true) {
            delay_with(EXPIRY, cx.pid(), Self::expire);
        }
    }

    /// Forgets those that have not renewed for long.
    fn expire(&mut self, cx: &mut Context<Self>) {
        self.expires = false;
        let now = clock().now();
        let gone: Vec<_> = self
            .linkers
            .extract_if(|_, linker| now >= linker.renewed + EXPIRY)
            .collect();
        for (token, linker) in gone {
            for (number, state) in &linker.links {
                self.forget(token, *number, state);
            }
        }
        if !self.linkers.is_empty() {
            self.expire_later(cx);
        }
    }

    /// Of the other side, to this as a linker.
    fn renewed(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        if let Some((token, _)) = parse(&event.body)
            && let Some(remote) = self.remote.upgrade()
            && let Some(peer) = remote.of_token(token)
        {
            peer.renewed(token);
        }
    }

    fn unknown(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        if let Some((token, _)) = parse(&event.body)
            && let Some(remote) = self.remote.upgrade()
            && let Some(peer) = remote.of_token(token)
        {
            peer.renewed(token);
            remote.in_current(&peer, |manager| peer.say_links(manager, token));
        }
    }

    fn told(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let Some((token, lines)) = parse(&event.body) else {
            return;
        };
        let Some(remote) = self.remote.upgrade() else {
            return;
        };
        let Some(peer) = remote.of_token(token) else {
            return;
        };
        let ends = lines.filter_map(numbered).map(|(number, reason)| {
            let reason = match reason.split_once(' ') {
                None if reason == "terminated" => ExitReason::Terminated,
                Some(("panicked", message)) => ExitReason::Panicked(message.into()),
                _ => ExitReason::Unknown,
            };
            (number, reason)
        });
        remote.in_current(&peer, |manager| peer.told(manager, token, ends));
    }
}

impl Process for Links {
    fn prefix() -> &'static str {
        LINKS
    }

    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("link", Self::link);
        cx.install("renew", Self::renew);
        cx.install("unlink", Self::unlink);
        cx.install("renewed", Self::renewed);
        cx.install("unknown", Self::unknown);
        cx.install("exited", Self::told);
    }

    /// Not by a route, which people would be told of.
    fn consume_http(&mut self, event: HttpEvent, _cx: &mut Context<Self>) {
        let is_asked = event.route().is_some_and(|route| route.is_empty());
        let response = if is_asked { ok(VERSION) } else { not_found() };
        event.into_exchange().response.set(response);
    }

    fn consume_exited(&mut self, event: ExitedEvent, cx: &mut Context<Self>) {
        let Some(pid) = event.pid.as_local() else {
            return;
        };
        for (token, number) in self.watched.remove(&pid).unwrap_or_default() {
            if let Some(linker) = self.linkers.get_mut(&token) {
                let body = text(token, [ended(number, &event.reason)]);
                cx.send(&linker.who, "exited", body);
                let state = State::Ended(event.reason.clone());
                linker.links.insert(number, state);
            }
        }
    }
}

/// The token that a body begins with, and the lines behind it.
fn parse(body: &Bytes) -> Option<(u64, std::str::Lines<'_>)> {
    let mut lines = std::str::from_utf8(body).ok()?.lines();
    let token = lines.next()?.parse().ok()?;
    Some((token, lines))
}

/// A number, and a text that may be any.
fn numbered(line: &str) -> Option<(u64, String)> {
    let (number, text) = line.split_once(' ')?;
    Some((number.parse().ok()?, decode(text).ok()?))
}

/// What [`parse`] reads.
fn text(token: u64, lines: impl IntoIterator<Item = String>) -> String {
    let mut text = token.to_string();
    for line in lines {
        text.push('\n');
        text += &line;
    }
    text
}

/// As [`text`], as several if it would be long: a peer may take less than this one sends.
fn texts(token: u64, lines: impl IntoIterator<Item = String>) -> Vec<String> {
    const LONG: usize = 16 << 10;
    let mut texts = Vec::new();
    for line in lines {
        match texts.last_mut() {
            Some(last) if String::len(last) < LONG => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => texts.push(text(token, [line])),
        }
    }
    texts
}

/// The longest message of a panic that is told.
const LONGEST_REASON: usize = 1 << 10;

/// The line of a link whose process has ended.
fn ended(number: u64, reason: &ExitReason) -> String {
    let reason = match reason {
        ExitReason::Terminated => "terminated".to_owned(),
        ExitReason::Panicked(message) => {
            let mut end = message.len().min(LONGEST_REASON);
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            format!("panicked {}", &message[..end])
        }
        _ => "unknown".to_owned(),
    };
    format!("{number} {}", encode(&reason))
}

/// What a linker says, by its own process of this kind.
fn message(from: &Upid, name: &'static str, body: String) -> Message {
    Message {
        name: name.into(),
        from: from.clone(),
        body: body.into(),
    }
}

fn messages(
    from: &Upid,
    name: &'static str,
    token: u64,
    lines: impl IntoIterator<Item = String>,
) -> Vec<Message> {
    let bodies = texts(token, lines).into_iter();
    bodies.map(|body| message(from, name, body)).collect()
}

pub(super) fn link_messages<'a>(
    from: &Upid,
    token: u64,
    links: impl IntoIterator<Item = (u64, &'a str)>,
) -> Vec<Message> {
    let links = links.into_iter();
    let lines = links.map(|(number, id)| format!("{number} {}", encode(id)));
    messages(from, "link", token, lines)
}

pub(super) fn unlink_messages(
    from: &Upid,
    token: u64,
    numbers: impl IntoIterator<Item = u64>,
) -> Vec<Message> {
    let lines = numbers.into_iter().map(|number| number.to_string());
    messages(from, "unlink", token, lines)
}

pub(super) fn renew_message(from: &Upid, token: u64) -> Message {
    message(from, "renew", text(token, []))
}
