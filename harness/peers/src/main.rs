//! The harness's workloads on other actor libraries and languages, side by side: `peers --help`.
//!
//! | module | noun |
//! |---|---|
//! | `cli` | the command line |
//! | `workload`, `roles`, `trial` | what is done, by which actors, and what came out |
//! | `peers` | those who do it: libraries in Rust, and programs in other languages |
//! | `versions` | which versions of them |
//! | `child`, `rounds` | measurements in processes of their own, and in turn |
//! | `report` | telling it |

mod child;
mod cli;
mod peers;
mod report;
mod roles;
mod rounds;
mod trial;
mod versions;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, MeasureArguments};
use peers::Place;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::List) => report::list(),
        Some(Command::Measure(arguments)) => measure(arguments),
        None => rounds::compare(&cli.run),
    }
}

/// One job, for the program that measures.
fn measure(arguments: &MeasureArguments) -> ExitCode {
    let Place::Here(work) = arguments.peer.place() else {
        eprintln!("error: {} is a program of its own", arguments.peer.name());
        return ExitCode::from(2);
    };
    // A task that panics would end alone, and the others wait for it.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        std::process::abort();
    }));
    let measured = work(&arguments.job());
    println!("{}", serde_json::json!(measured));
    ExitCode::SUCCESS
}
