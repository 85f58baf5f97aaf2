//! Ping-pong between two programs: messages, and links by which each hears of the other's end.
//!
//! ```text
//! cargo run --release -p libprocess --example ping_pong_remote -- ponger          # prints who it is, as ponger@127.0.0.1:40123
//! cargo run --release -p libprocess --example ping_pong_remote -- pinger ponger@127.0.0.1:40123
//! cargo run --release -p libprocess --example ping_pong_remote -- pinger ponger@127.0.0.1:40123 1000000     # as many pings
//! ```
//!
//! Kill the ponger meanwhile, and the pinger says that it exited; kill the pinger, and the ponger does. The ponger ends with its standard input, so with Ctrl-D. Between two machines, say in `LIBPROCESS_IP` at which address
//! each is found: an answer goes to where the question says that it is from, so the pinger listens as well.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libprocess::{
    Context, ExitedEvent, MessageEvent, Process, Promise, Runtime, SpawnOptions, Upid,
};

const USAGE: &str = "give `ponger`, or `pinger`, who is pinged and how often: `pinger ponger@127.0.0.1:40123 10000`";
/// How often is pinged unless told.
const PINGS: usize = 10_000;

/// Answers pings, and says who comes and goes.
struct Ponger;

impl Process for Ponger {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("ping", |_, event: MessageEvent, cx| {
            cx.send(&event.from, "pong", event.body.clone());
        });
        cx.install("hello", |_, event: MessageEvent, cx| {
            println!("{} says hello", event.from);
            cx.link(&event.from);
        });
    }

    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        println!("{} exited: {}", event.pid, event.reason);
    }
}

/// How long the round trips took; an error: why there are not more.
type Pinged = Result<Vec<Duration>, String>;

/// One ping at a time.
struct Pinger {
    ponger: Upid,
    pings: usize,
    sent_at: Instant,
    times: Vec<Duration>,
    pinged: Promise<Pinged>,
}

impl Process for Pinger {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("pong", Self::on_pong);
        // Before the first message: so none is sent of whose loss nobody hears.
        cx.link(&self.ponger);
        cx.send(&self.ponger, "hello", "");
        self.ping(cx);
    }

    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        let (pid, reason, pongs) = (event.pid, event.reason, self.times.len());
        let why = format!(
            "{pid} exited: {reason}, after {pongs} of {} round trips",
            self.pings
        );
        self.pinged.set(Err(why));
    }
}

impl Pinger {
    fn ping(&mut self, cx: &mut Context<Self>) {
        self.sent_at = Instant::now();
        cx.send(&self.ponger, "ping", "");
    }

    fn on_pong(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        self.times.push(self.sent_at.elapsed());
        if self.times.len() < self.pings {
            self.ping(cx);
        } else {
            self.pinged.set(Ok(std::mem::take(&mut self.times)));
        }
    }
}

/// One that others can answer.
fn runtime() -> Result<Runtime, Box<dyn Error>> {
    let runtime = Runtime::builder().name("ping_pong").build()?;
    runtime.address().ok_or("the runtime cannot listen")?;
    Ok(runtime)
}

fn ponger() -> Result<(), Box<dyn Error>> {
    let runtime = runtime()?;
    println!("{}", runtime.spawn_named("ponger", Ponger)?);
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    runtime.shutdown();
    Ok(())
}

fn pinger(ponger: Upid, pings: usize) -> Result<(), Box<dyn Error>> {
    if pings == 0 {
        return Err(USAGE.into());
    }
    let runtime = runtime()?;
    let (promise, pinged) = Promise::pair();
    println!("Pinging {ponger}");
    let options = SpawnOptions::new().name("pinger");
    let pinger = Pinger {
        ponger,
        pings,
        sent_at: Instant::now(),
        times: Vec::new(),
        pinged: promise,
    };
    runtime.spawn_with(options, pinger)?;
    let mut times = pinged.get()??;
    // Which tells the ponger, as it ends the connection.
    runtime.shutdown();

    times.sort_unstable();
    let at = |percent| times[(times.len() - 1) * percent / 100];
    println!(
        "{} round trips: half within {:?}, 99 % within {:?}",
        times.len(),
        at(50),
        at(99)
    );
    Ok(())
}

/// What the command line, without the program's name, asks for.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match *arguments {
        ["ponger"] => ponger(),
        ["pinger", to] => pinger(to.parse()?, PINGS),
        ["pinger", to, pings] => pinger(to.parse()?, pings.parse().map_err(|_| USAGE)?),
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
