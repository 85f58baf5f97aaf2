//! The examples that are servers, run as their users run them.

#![cfg(not(any(libprocess_tsan, libprocess_asan)))]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::answers;
use common::sockets::LONG;

/// An example that runs, with nothing on its standard input. It is ended with this.
struct Running(Child);

impl Running {
    /// Builds it first, if that was not done: as CI builds all examples, so that nothing is built twice.
    fn new(example: &str, arguments: &[&str]) -> Self {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--example", example]);
        // Beside this program, whichever profile it is of.
        build.args((!cfg!(debug_assertions)).then_some("--release"));
        // With the library that this program has.
        let optional = [
            ("tracing-spans", cfg!(feature = "tracing-spans")),
            ("futures-io", cfg!(feature = "futures-io")),
            ("tokio", cfg!(feature = "tokio")),
            ("protobuf", cfg!(feature = "protobuf")),
        ];
        for (feature, _) in optional.into_iter().filter(|(_, has)| *has) {
            build.args(["--features", &format!("libprocess/{feature}")]);
        }
        // What cargo tells a test of itself is another build to what depends on it.
        for (name, _) in std::env::vars_os() {
            let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"].map(str::as_bytes);
            if of_package
                .iter()
                .any(|start| name.as_encoded_bytes().starts_with(start))
            {
                build.env_remove(name);
            }
        }
        assert!(build.status().expect("cargo").success());
        let tests = std::env::current_exe().expect("this program");
        let folder = tests.parent().and_then(Path::parent).expect("the target");
        let mut command = Command::new(folder.join("examples").join(example));
        command
            .args(arguments)
            .env("LIBPROCESS_PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self(command.spawn().expect("an example"))
    }

    /// The address in the first line that it prints.
    fn address(&mut self) -> SocketAddr {
        let stdout = self.0.stdout.as_mut().expect("a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let mut words =
            line.split(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter));
        words
            .find_map(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// It ends by itself, and says that it has done what it was for.
    fn ends(mut self) {
        drop(self.0.stdin.take());
        let status = self.0.wait().expect("its end");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If it has not ended.
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("a time-out");
    stream
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    answers::rest(&mut stream)
}

#[test]
fn the_introductions_server_adds_and_quits() {
    let mut server = Running::new("simple_server", &[]);
    let address = server.address();
    let sum = get(address, "/simple/add?a=99&b=101");
    assert_eq!(answers::status(&sum), 200, "{sum}");
    assert_eq!(answers::body(&sum), r#"{"result":200}"#);
    let none = get(address, "/simple/add?a=99");
    assert_eq!(answers::status(&none), 400, "{none}");
    assert_eq!(answers::status(&get(address, "/simple/quit")), 200);
    server.ends();
}

#[test]
fn the_echo_server_echoes_and_ends_with_its_input() {
    let mut server = Running::new("echo", &["127.0.0.1:0"]);
    let address = server.address();
    let mut streams = [connect(address), connect(address)];
    for stream in &mut streams {
        stream.write_all(b"to be continued").expect("sent");
    }
    for stream in &mut streams {
        let mut got = [0; 15];
        stream.read_exact(&mut got).expect("an answer");
        assert_eq!(&got, b"to be continued");
    }
    server.ends();
}
