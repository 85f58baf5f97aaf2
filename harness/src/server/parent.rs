//! The parent's side of a server in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use super::Service;
use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::parameters::Parameters;

/// A child that serves. Its errors go where ours go.
///
/// # Drop
///
/// The child is killed: whoever has no quarrel with it calls [`stop`](Self::stop).
pub(crate) struct Server {
    service: Service,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Returns once it listens.
    pub(crate) fn start(service: Service, parameters: &Parameters) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::CannotIsolate)?;
        let arguments = ServeArguments {
            service,
            workers: parameters.workers,
            events_per_resume: parameters.events_per_resume,
            pin: parameters.pin,
        };
        let mut child = Command::new(program)
            .args(arguments.to_command_line())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(Failure::CannotIsolate)?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("it was asked to be a pipe");
        let mut server = Self {
            service,
            child,
            input,
            output: BufReader::new(output),
            address: super::ADDRESS,
        };
        server.address = server.read()?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For how long cores have worked for it so far.
    pub(crate) fn processor_time(&mut self) -> Result<Duration, Failure> {
        if let Some(input) = &mut self.input {
            // Where it has ended, the missing answer tells more than this error.
            let _asked = input.write_all(b"\n");
        }
        Ok(Duration::from_nanos(self.read()?))
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        self.input = None;
        let status = self.child.wait().map_err(Failure::CannotIsolate)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Server { status, hint: "" })
    }

    fn read<T: FromStr>(&mut self) -> Result<T, Failure> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        match line.trim_end().parse() {
            Ok(answer) => Ok(answer),
            Err(_) if read.is_ok() && !line.is_empty() => Err(Failure::ServerAnswer(line)),
            Err(_) => {
                self.input = None;
                let status = self.child.wait().map_err(Failure::CannotIsolate)?;
                let hint = self.service.hint();
                Err(Failure::Server { status, hint })
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended and was waited for.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
