//! A chat room as a web service, to show bodies that are streamed: who listens hears what is said while he listens, and who recites is heard while he does.
//!
//! ```text
//! cargo run --release -p libprocess --example chat                     # at 127.0.0.1 and a free port
//! LIBPROCESS_PORT=5050 cargo run --release -p libprocess --example chat
//! curl -N localhost:5050/chat/listen                                   # or, in a browser, http://localhost:5050/chat
//! curl -d 'Hello!' localhost:5050/chat/say                             # Heard by 1
//! curl -T - localhost:5050/chat/recite                                 # what is typed, line by line
//! curl localhost:5050/chat/listeners                                   # 1
//! curl -X POST localhost:5050/chat/quit
//! ```
//!
//! Each who listens has a pipe: the room writes to all of them, and waits for none. Who does not keep up finds his pipe full one day, and is dropped.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use libprocess::http::{
    Body, Pipe, PipeReader, PipeWriter, Request, Response, RouteOptions, ok, text,
};
use libprocess::{
    Context, Future, FutureError, Pid, Process, Promise, Runtime, SpawnOptions, defer_with, delay,
    dispatch, spawn_async, terminate, wait,
};

/// What a member may be behind.
const BEHIND: usize = 16 << 10;
/// The longest that is said.
const LONGEST: usize = 1 << 10;
/// How often nothing is said, for the sake of proxies, and to notice who has gone: one who only closes is told from one who listens by what is sent to him.
const PULSE: Duration = Duration::from_secs(15);
/// For how long members may go on to read what was said, when the room closes.
const GRACE: Duration = Duration::from_secs(1);

/// What is said is put into the page as text, by `textContent`, and so never read as HTML.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Chat</title>
<p><span id="listeners">0</span> listening</p>
<form id="form"><input id="text" maxlength="200" autofocus autocomplete="off"> <button>Say</button></form>
<ul id="said"></ul>
<script>
  const at = (id) => document.getElementById(id);
  const events = new EventSource("/chat/listen");
  events.onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    at("said").append(line);
  };
  events.addEventListener("listeners", (event) => { at("listeners").textContent = event.data; });
  at("form").onsubmit = (event) => {
    event.preventDefault();
    fetch("/chat/say", { method: "POST", body: at("text").value });
    at("text").value = "";
  };
</script>
</html>
"#;

struct Chat {
    members: HashMap<u64, PipeWriter>,
    next: u64,
    should_quit: Promise<()>,
}

impl Process for Chat {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route("/", "The room, for a browser.", Self::page);
        cx.route(
            "/listen",
            "What is said from now on, as server-sent events.",
            Self::listen,
        );
        cx.route("/say", "POST: says the body, which is text.", Self::say);
        let streamed = RouteOptions::new().stream_requests(true);
        cx.route_with(
            streamed,
            "/recite",
            "Says each line of the body, as it comes.",
            Self::recite,
        );
        cx.route("/listeners", "How many listen.", Self::listeners);
        cx.route("/quit", "POST: closes the room.", Self::quit);
        delay(PULSE, cx.pid(), Self::pulse, ());
    }
}

impl Chat {
    fn page(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        Response::new(Body::of_type("text/html; charset=utf-8", PAGE))
    }

    fn listen(&mut self, _request: &Request, cx: &mut Context<Self>) -> Response {
        let Pipe { writer, reader } = Pipe::with_capacity(BEHIND);
        let number = self.next;
        self.next += 1;
        writer.reader_closed().on_ready({
            let left = defer_with(cx.pid(), move |chat: &mut Self, _cx, ()| chat.leave(number));
            move |()| left(()).detach()
        });
        self.members.insert(number, writer);
        self.tell_how_many();
        let mut response = Response::new(Body::stream(reader).with_type("text/event-stream"));
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        response
    }

    fn leave(&mut self, number: u64) {
        // Unless he was dropped.
        if self.members.remove(&number).is_some() {
            self.tell_how_many();
        }
    }

    fn say(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        if request.method() != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "POST what is to be said\n");
        }
        match std::str::from_utf8(request.body().as_ref()) {
            Ok(said) if (1..=LONGEST).contains(&said.len()) => {
                self.tell(event_of(said));
                ok(format!("Heard by {}\n", self.members.len()))
            }
            _ => text(StatusCode::BAD_REQUEST, "A line of text is said\n"),
        }
    }

    fn recite(&mut self, request: &Request, cx: &mut Context<Self>) -> Future<Response> {
        // A body of no bytes is not streamed.
        let Some(reader) = request.body().reader().cloned() else {
            return Future::ready(ok("Said 0 lines\n"));
        };
        let recited = recite(reader, cx.pid());
        spawn_async(async move {
            match recited.await {
                Ok(lines) => ok(format!("Said {lines} lines\n")),
                Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
            }
        })
    }

    fn said(&mut self, line: String) {
        self.tell(event_of(&line));
    }

    fn listeners(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        ok(format!("{}\n", self.members.len()))
    }

    fn quit(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        if request.method() != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "POST, to close the room\n");
        }
        // To those who listen it is the end of what they read.
        for (_, member) in self.members.drain() {
            member.close();
        }
        self.should_quit.set(());
        ok("The room closes\n")
    }

    fn pulse(&mut self, cx: &mut Context<Self>) {
        self.tell(": \n\n".into());
        delay(PULSE, cx.pid(), Self::pulse, ());
    }

    /// Whoever is dropped by that makes fewer of them, which is told to the others.
    fn tell(&mut self, event: Bytes) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let members = self.members.len();
            self.members.retain(|_, member| {
                let is_told = member.try_write(event.clone()).is_ok();
                if !is_told {
                    // As if his connection was lost: what he has is not all.
                    member.fail("the member does not keep up");
                }
                is_told
            });
            if self.members.len() < members {
                next = Some(self.how_many());
            }
        }
    }

    fn tell_how_many(&mut self) {
        self.tell(self.how_many());
    }

    fn how_many(&self) -> Bytes {
        format!("event: listeners\ndata: {}\n\n", self.members.len()).into()
    }
}

/// A line is said before more is read: so whoever recites faster than the room takes it is held up.
async fn recite(reader: PipeReader, chat: Pid<Chat>) -> Result<usize, FutureError> {
    let (mut lines, mut line) = (0, Vec::new());
    loop {
        let piece = reader.read().await?;
        let is_end = piece.is_empty();
        for byte in piece {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == LONGEST {
                dispatch(chat, Chat::said, (text_of(&mut line),)).await?;
                lines += 1;
            }
        }
        if is_end {
            if !line.is_empty() {
                dispatch(chat, Chat::said, (text_of(&mut line),)).await?;
                lines += 1;
            }
            return Ok(lines);
        }
    }
}

/// Takes it, whatever it is.
fn text_of(line: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(line).into_owned();
    line.clear();
    text
}

/// A line for each line of it: else whoever says something could say what looks like other events.
fn event_of(said: &str) -> Bytes {
    let mut event = String::new();
    for line in said.split(['\r', '\n']) {
        // Into a string it does not fail.
        let _ = writeln!(event, "data: {line}");
    }
    event.push('\n');
    event.into()
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().name("chat").build()?;
    let address = runtime.address().ok_or("the runtime cannot listen")?;

    let (should_quit, quits) = Promise::pair();
    let options = SpawnOptions::new().name("chat");
    let room = Chat {
        members: HashMap::new(),
        next: 0,
        should_quit,
    };
    let chat = runtime.spawn_with(options, room)?;
    println!("The room is at http://{address}/chat");
    println!("POST to /chat/quit to close it");

    quits.get()?;
    println!("Closing");
    runtime.stop_serving(GRACE).get()?;
    terminate(chat);
    wait(chat);
    runtime.shutdown();
    Ok(())
}
