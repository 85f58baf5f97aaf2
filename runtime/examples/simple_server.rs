//! The server of libprocess's introduction: a process that adds two numbers over HTTP, and can be told to quit.
//!
//! ```text
//! cargo run --release -p libprocess --example simple_server                     # at 127.0.0.1 and a free port
//! LIBPROCESS_PORT=5050 cargo run --release -p libprocess --example simple_server
//! curl 'localhost:5050/simple/add?a=99&b=101'                                   # {"result":200}
//! curl localhost:5050/simple/quit
//! ```

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use libprocess::http::{Body, Request, Response, ok, query, text};
use libprocess::{Context, Process, Promise, Runtime, SpawnOptions, terminate, wait};

struct SimpleProcess {
    should_quit: Promise<bool>,
}

impl Process for SimpleProcess {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route("/add", "Adds the two query arguments, a and b.", Self::add);
        cx.route("/quit", "Shuts the server down.", Self::quit);
    }
}

impl SimpleProcess {
    fn add(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        match sum(request.uri().query().unwrap_or_default()) {
            Ok(sum) => {
                let result = format!(r#"{{"result":{sum}}}"#);
                Response::new(Body::of_type("application/json", result))
            }
            Err(what) => text(StatusCode::BAD_REQUEST, what + "\n"),
        }
    }

    fn quit(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        self.should_quit.set(true);
        ok("Shutting down server\n")
    }
}

fn sum(text: &str) -> Result<i64, String> {
    let arguments = query::decode(text).map_err(|error| error.to_string())?;
    let number = |name| {
        let value = arguments.get(name).unwrap_or_default();
        let number: Result<i64, _> = value.parse();
        number.map_err(|_| format!("{name} must be a number, as in add?a=99&b=101"))
    };
    let sum = number("a")?.checked_add(number("b")?);
    sum.ok_or_else(|| "the sum is too large".to_owned())
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().name("simple").build()?;
    let address = runtime.address().ok_or("the runtime cannot listen")?;

    let (should_quit, quits) = Promise::pair();
    let options = SpawnOptions::new().name("simple");
    let simple = runtime.spawn_with(options, SimpleProcess { should_quit })?;
    println!("Running server on http://{address}/simple");
    println!("Use /quit to terminate the server");

    quits.get()?;
    println!("Shutting down");
    // Who asked for it is still to hear of it.
    runtime.stop_serving(Duration::from_secs(1)).get()?;
    terminate(simple);
    wait(simple);
    runtime.shutdown();
    Ok(())
}
