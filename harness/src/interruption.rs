//! Ctrl-C while benchmarks run: what was finished is told and kept, and this program ends.
//!
//! A run cannot be called off: its processes are spread over a runtime whose threads are busy. So the thread that measures goes on, and another one, which waits for a signal from the beginning, wipes
//! the progress bar, tells and saves what is finished, and ends the program as the signal would have. Reports are written and results are added under a lock that this thread takes before it does so:
//! nobody reads half a line. If that takes long, as nobody reads the report, a second signal ends the program at once.
//!
//! # Safety
//!
//! Calls into the C library. The handler of signals touches atomics and `errno` and calls `write`, all of which are allowed in a handler. `write` reads a byte of ours. `raise` takes a number.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::benchmark::{Benchmark, Sample};
use crate::format::count;
use crate::isolated;
use crate::parameters::Parameters;
use crate::progress;
use crate::record::Record;
use crate::report::{self, Report};
use crate::save::Destination;
use crate::signals;

/// How long after a failure a signal may still come that has caused it: Ctrl-C is for our children, too, whose end may be seen first.
const AFTERMATH: Duration = Duration::from_millis(200);

/// Where the handler writes the number of the signal, and the drop of a watch a zero. Never closed: a handler may be at it at any time.
static PIPE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();
/// Whether somebody watches. Relaxed: there is nothing that goes with it, as the pipe is there before.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Whether a signal has come. Relaxed: as above.
static CAME: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(signal: libc::c_int) {
    CAME.store(true, Ordering::Relaxed);
    let Some((_, pipe)) = PIPE.get() else { return };
    let byte = u8::try_from(signal).unwrap_or(0);
    // SAFETY: this thread's own `errno`, which is put back for whoever was interrupted.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: one byte of ours. There is room, as each signal is handled once.
    let _written = unsafe { libc::write(pipe.as_raw_fd(), (&raw const byte).cast(), 1) };
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// What is done, and what is to become of it.
struct Finished {
    records: Vec<Record>,
    /// How many there are to be.
    total: usize,
    destination: Option<Destination>,
}

/// Waits for signals, until it is dropped.
pub(crate) struct Interruption {
    finished: Arc<Mutex<Finished>>,
    /// Of this program's first one; others in the same process have no signals.
    watch: Option<Watch>,
}

struct Watch {
    pipe: &'static PipeWriter,
    before: Vec<libc::sigaction>,
    thread: Option<JoinHandle<()>>,
}

impl Interruption {
    /// So many results are to come.
    pub(crate) fn watch(total: usize, destination: Option<Destination>) -> io::Result<Self> {
        let finished = Finished {
            records: Vec::with_capacity(total),
            total,
            destination,
        };
        let finished = Arc::new(Mutex::new(finished));
        Ok(Self {
            watch: Watch::begin(Arc::clone(&finished))?,
            finished,
        })
    }

    /// Reports to `report`, and adds what is finished.
    pub(crate) fn guard<'a>(&'a self, report: &'a mut dyn Report) -> Guarded<'a> {
        Guarded {
            finished: &self.finished,
            report,
        }
    }

    /// After a failure: does not return if it is that of a signal.
    pub(crate) fn outlast(&self) {
        if self.watch.is_none() {
            return;
        }
        thread::sleep(AFTERMATH);
        while CAME.load(Ordering::Relaxed) {
            // The other thread ends the program.
            thread::park();
        }
    }

    /// All is done: the results, and where they are to be saved.
    pub(crate) fn finish(mut self) -> (Vec<Record>, Option<Destination>) {
        // From here on a signal ends the program as if nobody had waited for it: a save is whole or not at all.
        self.watch = None;
        let mut finished = lock(&self.finished);
        (
            std::mem::take(&mut finished.records),
            finished.destination.take(),
        )
    }
}

fn lock(finished: &Mutex<Finished>) -> MutexGuard<'_, Finished> {
    // Who panicked was reporting: what is finished is as good as before.
    finished.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// `None` if there is one.
    fn begin(finished: Arc<Mutex<Finished>>) -> io::Result<Option<Self>> {
        let (reader, writer) = pipe()?;
        if WATCHED.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        let mut watch = Self {
            pipe: writer,
            before: Vec::new(),
            thread: None,
        };
        let thread = thread::Builder::new().name("harness-signals".to_owned());
        // If it does not start, the drop of the watch lets the next one try.
        let thread = thread.spawn(move || wait_for_signal(reader, &finished))?;
        watch.thread = Some(thread);
        watch.before = signals::ENDS.map(handle).to_vec();
        Ok(Some(watch))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (signal, before) in signals::ENDS.into_iter().zip(&self.before) {
            signals::put_back(signal, before);
        }
        if let Some(thread) = self.thread.take() {
            let mut pipe = self.pipe;
            pipe.write_all(&[0])
                .expect("the pipe is open, and has room");
            // A panic of it was printed, and is nobody's loss.
            let _ended = thread.join();
        }
        WATCHED.store(false, Ordering::Relaxed);
    }
}

fn pipe() -> io::Result<&'static (PipeReader, PipeWriter)> {
    if let Some(pipe) = PIPE.get() {
        return Ok(pipe);
    }
    let pipe = io::pipe()?;
    Ok(PIPE.get_or_init(|| pipe))
}

/// Has this program not hear of Ctrl-C, nor of the end of its terminal: it is somebody's child, and is told to end in another way.
pub(crate) fn ignore() {
    signals::ignore(libc::SIGINT);
    signals::ignore(libc::SIGHUP);
}

/// Has the signal handled, once: the next one does what it did before there was a handler.
fn handle(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: the handler does only what handlers may.
    unsafe { signals::handle(signal, on_signal, libc::SA_RESTART | libc::SA_RESETHAND) }
}

/// The other thread: returns if there was no signal.
fn wait_for_signal(mut pipe: &PipeReader, finished: &Mutex<Finished>) {
    let mut signal = [0];
    pipe.read_exact(&mut signal)
        .expect("the pipe has no end, as it is never closed");
    if signal == [0] {
        return;
    }
    // Nothing is reported from here on.
    let finished = lock(finished);
    isolated::end_child();
    progress::wipe();
    finished.tell();
    let signal = libc::c_int::from(signal[0]);
    // SAFETY: a number. It ends this program, as its handler is the one that was there before.
    unsafe { libc::raise(signal) };
    // Somebody else had a handler for it.
    std::process::exit(128 + signal);
}

impl Finished {
    /// To standard error, as the report is in the middle of a benchmark, or of JSON.
    fn tell(&self) {
        eprintln!(
            "\ninterrupted: {} of {} finished{}",
            self.records.len(),
            count(self.total as u64, "result"),
            if self.records.is_empty() { "" } else { ":" }
        );
        for record in &self.records {
            eprintln!("  {}: {}", record.benchmark, report::result(record));
        }
        let Some(destination) = &self.destination else {
            return;
        };
        if self.records.is_empty() {
            return eprintln!("nothing is saved");
        }
        let destination = destination.interrupted();
        match destination.save(self.records.clone()) {
            Ok(()) => eprintln!("saved to {}", destination.path().display()),
            Err(error) => eprintln!("error: {error}"),
        }
    }
}

/// A report that no signal cuts off in the middle.
pub(crate) struct Guarded<'a> {
    finished: &'a Mutex<Finished>,
    report: &'a mut dyn Report,
}

impl Report for Guarded<'_> {
    fn start(&mut self, benchmark: &dyn Benchmark, parameters: &Parameters) -> io::Result<()> {
        let _whole = lock(self.finished);
        self.report.start(benchmark, parameters)
    }

    fn run(
        &mut self,
        benchmark: &dyn Benchmark,
        number: usize,
        runs: usize,
        sample: &Sample,
    ) -> io::Result<()> {
        let _whole = lock(self.finished);
        self.report.run(benchmark, number, runs, sample)
    }

    fn finish(&mut self, record: &Record) -> io::Result<()> {
        let mut finished = lock(self.finished);
        self.report.finish(record)?;
        finished.records.push(record.clone());
        Ok(())
    }

    fn saved(&mut self, path: &Path) -> io::Result<()> {
        let _whole = lock(self.finished);
        self.report.saved(path)
    }
}
