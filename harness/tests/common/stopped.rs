//! Programs of a made-up checkout that stand still at a place, until this test has done something to whoever has started them.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};

use crate::common::Folder;

/// For such a program: it is at a place, and stands still if that is the one.
pub(crate) const STOP: &str = r#"
fn stop_at(place: &str) {
    if std::env::var("STOP_AT").as_deref() == Ok(place) {
        use std::io::Read;
        let socket = std::env::var("STOP_SOCKET").unwrap();
        let mut stopped = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stopped.read_to_end(&mut Vec::new()).unwrap();
    }
}
"#;

/// What has been run, as the programs have it written.
pub(crate) fn log(folder: &Folder) -> Vec<String> {
    let text = std::fs::read_to_string(folder.0.join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Starts it, calls `f` with its number while something stands still there, and gives what it has said when it has ended. `f` has the other side of what stands still: it goes on
/// when that is dropped.
pub(crate) fn while_stopped(
    folder: &Folder,
    place: &str,
    command: &mut Command,
    f: impl FnOnce(&str, UnixStream),
) -> Output {
    let socket = folder.0.join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let child = command
        .env("STOP_AT", place)
        .env("STOP_SOCKET", &socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            let output = child.wait_with_output().unwrap();
            // One that never came there does not keep the other thread waiting.
            let _nobody_waits = UnixStream::connect(&socket);
            output
        });
        let (stopped, _) = listener.accept().unwrap();
        f(&id, stopped);
        ended.join().unwrap()
    })
}

/// Sends it a signal, by its name with a dash.
pub(crate) fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args([signal, process]).status();
    assert!(sent.unwrap().success(), "{signal} to {process}");
}

/// Has it end, by this signal, while something stands still there, and gives what it said.
pub(crate) fn cancelled_at(
    folder: &Folder,
    place: &str,
    signal: &str,
    command: &mut Command,
) -> Output {
    while_stopped(folder, place, command, |process, mut stopped| {
        send(signal, process);
        // The child's child has ended too: it closes what it has stopped at.
        assert_eq!(stopped.read_to_end(&mut Vec::new()).unwrap(), 0);
    })
}
