//! Ctrl-C, kills and disks that take no more: what is finished is told and kept, and what was saved before is not harmed.
//!
//! # Safety
//!
//! Calls into the C library, all with numbers and structs of ours that live for the time of the call.

mod common;
#[path = "common/signals.rs"]
mod signals;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use common::Folder;

const FIRST: &str = "Future.ThenChain";
/// Takes minutes where the first one takes a second, and shows how far it is.
const ENDLESS: &str = "Big";

/// A run whose first benchmark ends, and whose second one does not.
const RUN: [&str; 9] = [
    "run", FIRST, ENDLESS, "--repeat", "300000", "--runs", "1", "--warmup", "0",
];

/// A terminal, of which this is the side of whoever sits before it.
struct Terminal {
    screen: File,
    /// The program's side.
    line: OwnedFd,
    seen: Vec<u8>,
}

impl Terminal {
    fn new() -> Self {
        let (mut screen, mut line) = (-1, -1);
        let size = libc::winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: two numbers that are filled in, and a size that is read.
        let result = unsafe {
            libc::openpty(
                &raw mut screen,
                &raw mut line,
                std::ptr::null_mut(),
                std::ptr::null(),
                &raw const size,
            )
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both have just been opened, and nobody else has them.
        let (screen, line) = unsafe { (File::from_raw_fd(screen), OwnedFd::from_raw_fd(line)) };
        Self {
            screen,
            line,
            seen: Vec::new(),
        }
    }

    fn start(&self, folder: &Folder, arguments: &[&str]) -> Child {
        let side = || Stdio::from(self.line.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        signals::heard(&mut command)
            .args(arguments)
            .current_dir(&folder.0)
            .stdin(side())
            .stdout(side())
            .stderr(side());
        // SAFETY: two system calls, which are allowed between fork and exec. It becomes the terminal's own session, so that Ctrl-C is for it.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        command.spawn().unwrap()
    }

    /// Looks at the screen until that is there.
    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let read = self.screen.read(&mut buffer).unwrap();
            self.seen.extend_from_slice(&buffer[..read]);
        }
    }

    fn type_control_c(&mut self) {
        std::io::Write::write_all(&mut self.screen, b"\x03").unwrap();
    }

    /// What is on the screen when the program has ended, line by line.
    fn rest(mut self) -> Vec<String> {
        drop(self.line);
        let mut buffer = [0; 4096];
        // The end of what was written is an error, not an end of file.
        while let Ok(read) = self.screen.read(&mut buffer)
            && read > 0
        {
            self.seen.extend_from_slice(&buffer[..read]);
        }
        lines(&String::from_utf8_lossy(&self.seen))
    }

    fn modes(&self) -> Vec<u64> {
        // SAFETY: all fields are integers, for which zero is a value.
        let mut modes: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: a struct of ours that is filled in.
        let result = unsafe { libc::tcgetattr(self.line.as_raw_fd(), &raw mut modes) };
        assert_eq!(result, 0);
        [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag]
            .map(u64::from)
            .to_vec()
    }
}

/// What a terminal makes of it, as far as progress bars go: `\r` goes back, `ESC [ 2 K` wipes the line. Other sequences would show.
fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    let text = text.replace("\x1b[2K", "\x1a");
    for character in text.chars() {
        let line = lines.last_mut().unwrap();
        match character {
            '\n' => {
                lines.push(String::new());
                column = 0;
            }
            '\r' => column = 0,
            '\x1a' => line.clear(),
            character => {
                let mut written: Vec<char> = line.chars().collect();
                written.resize(written.len().max(column + 1), ' ');
                written[column] = character;
                *line = written.into_iter().collect();
                column += 1;
            }
        }
    }
    lines
}

fn saved(folder: &Folder, name: &str) -> Option<Vec<String>> {
    let text = std::fs::read(local(folder).join(format!("{name}.json"))).ok()?;
    let saved: Value = serde_json::from_slice(&text).unwrap();
    let results = saved["results"].as_array().unwrap().iter();
    Some(
        results
            .map(|result| result["benchmark"].as_str().unwrap().to_owned())
            .collect(),
    )
}

fn local(folder: &Folder) -> PathBuf {
    folder.0.join("results/local")
}

fn files(folder: &Folder) -> Vec<String> {
    let files = std::fs::read_dir(local(folder)).unwrap();
    let mut files: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files
}

fn ended_by(status: ExitStatus, signal: libc::c_int) {
    assert_eq!(status.signal(), Some(signal), "{status}");
}

#[test]
fn control_c_tells_what_is_finished_and_leaves_the_terminal_clean() {
    let folder = Folder::new("control-c");
    std::fs::create_dir_all(local(&folder)).unwrap();
    std::fs::write(local(&folder).join("kept.json"), "of before").unwrap();
    let mut terminal = Terminal::new();
    let modes = terminal.modes();
    let mut program = terminal.start(&folder, &[&RUN[..], &["--save", "kept"]].concat());
    terminal.wait_for("Big, run 1 of 1 [");
    terminal.type_control_c();
    ended_by(program.wait().unwrap(), libc::SIGINT);

    assert_eq!(terminal.modes(), modes);
    let screen = terminal.rest();
    let text = screen.join("\n");
    assert!(
        !text.contains("run 1 of 1 [") && !text.contains('\x1b'),
        "{text:?}"
    );
    assert_eq!(screen.last().unwrap(), "", "{text}");
    let at = |needle: &str| {
        text.find(needle)
            .unwrap_or_else(|| panic!("{needle}: {text}"))
    };
    let told = at("interrupted: 1 of 2 results finished:");
    assert!(at("  result  ") < told, "{text}");
    assert!(at("  Future.ThenChain: ") > told, "{text}");
    assert!(at("kept.interrupted.json") > told, "{text}");
    // What was complete is not replaced by what is not.
    assert_eq!(files(&folder), ["kept.interrupted.json", "kept.json"]);
    let kept = std::fs::read_to_string(local(&folder).join("kept.json")).unwrap();
    assert_eq!(kept, "of before");
    assert_eq!(saved(&folder, "kept.interrupted").unwrap(), [FIRST]);
    let shown = folder.harness(&["show", "kept.interrupted"]);
    assert!(common::stdout(&shown).contains(FIRST), "{shown:?}");
}

#[test]
fn a_run_in_a_process_of_its_own_ends_with_its_parent_and_wipes_its_bar() {
    let folder = Folder::new("own-process");
    let mut terminal = Terminal::new();
    let arguments = ["run", "Spawn.Million", "Spawn.Idle", "--repeat", "3000000"];
    let arguments = [&arguments[..], &["--runs", "1", "--save", "none"]].concat();
    let mut program = terminal.start(&folder, &arguments);
    terminal.wait_for("Spawn.Idle [");
    terminal.type_control_c();
    ended_by(program.wait().unwrap(), libc::SIGINT);
    let screen = terminal.rest();
    let text = screen.join("\n");
    assert!(
        text.contains("interrupted: 0 of 2 results finished\nnothing is saved"),
        "{text}"
    );
    assert!(
        !text.contains("Spawn.Idle [") && !text.contains('\x1b'),
        "{text:?}"
    );
    assert!(files(&folder).is_empty());
}

#[test]
fn lines_for_programs_are_whole_whenever_the_end_comes() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let folder = Folder::new(&format!("signal-{signal}"));
        let mut program = signals::heard(&mut Command::new(env!("CARGO_BIN_EXE_harness")))
            .args([&RUN[..], &["--json"]].concat())
            .current_dir(&folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = program.stdout.take().unwrap();
        let mut text = vec![0];
        // The first byte of a line: the rest of it is under way.
        output.read_exact(&mut text).unwrap();
        // SAFETY: two numbers. The program was not waited for, so the number is its own.
        let result = unsafe { libc::kill(program.id().cast_signed(), signal) };
        assert_eq!(result, 0);
        output.read_to_end(&mut text).unwrap();
        let ended = program.wait_with_output().unwrap();
        ended_by(ended.status, signal);
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["benchmark"], FIRST);
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert!(errors.contains("interrupted: 1 of 2 results"), "{errors}");
        assert!(!local(&folder).exists());
    }
}

#[test]
fn a_signal_that_is_not_to_be_heard_is_not() {
    let folder = Folder::new("ignored");
    let harness = env!("CARGO_BIN_EXE_harness");
    let line = format!(
        "trap '' INT; exec {harness} run {FIRST} ThreadRing --repeat 300000 --runs 1 --warmup 0 --json"
    );
    let mut program = Command::new("sh")
        .args(["-c", &line])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = program.stdout.take().unwrap();
    let mut text = vec![0];
    output.read_exact(&mut text).unwrap();
    // SAFETY: two numbers. The program was not waited for, so the number is its own.
    let result = unsafe { libc::kill(program.id().cast_signed(), libc::SIGINT) };
    assert_eq!(result, 0);
    output.read_to_end(&mut text).unwrap();
    assert!(program.wait().unwrap().success());
    assert_eq!(String::from_utf8(text).unwrap().lines().count(), 2);
}

#[test]
fn a_disk_that_takes_no_more_harms_nothing() {
    let folder = Folder::new("full");
    let run = |prefix: &str| {
        let harness = env!("CARGO_BIN_EXE_harness");
        let line = format!(
            "{prefix} exec {harness} run Dispatch.Get --repeat 100 --runs 1 --warmup 0 --save kept"
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(&folder.0);
        shell.output().unwrap()
    };
    assert!(run("").status.success());
    let kept = std::fs::read(local(&folder).join("kept.json")).unwrap();
    // No file may have more than 512 or 1,024 bytes, and who writes more has an error, as on a disk that is full.
    let output = run("trap '' XFSZ; ulimit -f 1;");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = common::stderr(&output);
    assert!(errors.contains("cannot be saved to"), "{errors}");
    assert!(errors.contains("kept.json: File too large"), "{errors}");
    assert_eq!(files(&folder), ["kept.json"]);
    assert_eq!(
        std::fs::read(local(&folder).join("kept.json")).unwrap(),
        kept
    );
}

#[test]
fn what_a_killed_writer_has_left_is_removed_by_the_next() {
    let folder = Folder::new("litter");
    std::fs::create_dir_all(local(&folder)).unwrap();
    // Of a program that is there, of one that cannot be there, and of another result's.
    let ours = format!("kept.json.{}.tmp", std::process::id());
    for name in [
        &ours,
        "kept.json.4294967295.tmp",
        "other.json.4294967295.tmp",
    ] {
        std::fs::write(local(&folder).join(name), "{").unwrap();
    }
    let arguments = ["run", "Dispatch.Get", "--repeat", "10", "--runs", "1"];
    let output = folder.harness(&[&arguments[..], &["--warmup", "0", "--save", "kept"]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        files(&folder),
        ["kept.json", &ours, "other.json.4294967295.tmp"]
    );
}
