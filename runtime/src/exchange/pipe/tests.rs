use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;
use std::thread;

use super::*;
use crate::exchange::random::Random;

/// What a pipe should be: pieces, and who waits.
#[derive(Default)]
struct Model {
    pieces: VecDeque<Bytes>,
    end: Option<bool>,
    reads: VecDeque<Future<Bytes>>,
    room: Vec<Future<()>>,
    is_closed: bool,
}

const CAPACITY: usize = 10;

impl Model {
    fn held(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Each read that waits has what came first, and no other.
    fn serve(&mut self) {
        while let Some(read) = self.reads.pop_front() {
            if read.is_discarded() {
                continue;
            }
            if self.is_closed {
                assert!(read.is_failed());
            } else if let Some(piece) = self.pieces.pop_front() {
                assert_eq!(read.get(), Ok(piece));
            } else {
                match self.end {
                    Some(true) => assert_eq!(read.get(), Ok(Bytes::new())),
                    Some(false) => assert!(read.is_failed()),
                    None => {
                        assert!(read.is_pending(), "there is nothing for it");
                        self.reads.push_front(read);
                        break;
                    }
                }
            }
        }
        let gone = self.is_closed || self.end.is_some();
        let has_room = self.held() < CAPACITY;
        self.room.retain(|room| {
            assert_eq!(room.is_pending(), !gone && !has_room);
            room.is_pending()
        });
    }
}

#[test]
fn whatever_is_done_in_whatever_order_all_is_read_once() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let Pipe { writer, reader } = Pipe::with_capacity(CAPACITY);
        let mut model = Model::default();
        for step in 0..60_u8 {
            match random.below(20) {
                0..8 => {
                    let piece = Bytes::from(vec![step; random.below(8)]);
                    let written = writer.try_write(piece.clone());
                    if model.is_closed || model.end.is_some() {
                        assert_eq!(written, Err(TryWriteError::Closed(piece)));
                    } else if model.held() >= CAPACITY {
                        assert_eq!(written, Err(TryWriteError::Full(piece)));
                    } else {
                        assert_eq!(written, Ok(()));
                        if !piece.is_empty() {
                            model.pieces.push_back(piece);
                        }
                    }
                }
                8..15 => model.reads.push_back(reader.read()),
                15 => {
                    if let Some(read) = model.reads.back() {
                        read.discard();
                    }
                }
                16..18 => {
                    let room = writer.room();
                    assert_eq!(room.is_failed(), model.is_closed || model.end.is_some());
                    if !room.is_failed() {
                        model.room.push(room);
                    }
                }
                18 if random.below(8) == 0 => {
                    let first = match random.below(2) {
                        0 => writer.close(),
                        _ => writer.fail("for a test"),
                    };
                    assert_eq!(first, model.end.is_none());
                    let fails = reader
                        .0
                        .0
                        .with(|state| matches!(state.end, Some(End::Failed(_))));
                    model.end.get_or_insert(!fails);
                }
                19 if random.below(16) == 0 => {
                    reader.close();
                    model.is_closed = true;
                    model.pieces.clear();
                }
                _ => {}
            }
            model.serve();
            assert_eq!(writer.reader_closed().is_ready(), model.is_closed);
        }
    }
}

#[test]
fn all_of_it_is_read_at_once() {
    let Pipe { writer, reader } = Pipe::with_capacity(4);
    writer.write("to be").detach();
    let all = reader.read_all(20);
    // It takes what comes, so there is always room.
    writer.try_write(" continued").expect("room");
    writer.try_write(".").expect("room");
    assert!(reader.read_all(20).is_failed(), "somebody else has asked");
    writer.close();
    assert_eq!(all.get(), Ok("to be continued.".into()));

    let Pipe { writer, reader } = Pipe::new();
    let all = reader.read_all(3);
    writer.try_write("more").expect("room");
    assert!(all.is_failed(), "too much");
}

#[test]
fn who_drops_the_writer_breaks_the_body_off() {
    let Pipe { writer, reader } = Pipe::new();
    let other = writer.clone();
    drop(writer);
    let read = reader.read();
    assert!(read.is_pending());
    drop(other);
    assert!(read.is_failed());
}

#[test]
fn reads_that_are_dropped_take_nothing() {
    let Pipe { writer, reader } = Pipe::new();
    drop(reader.read());
    let second = reader.read();
    writer.try_write("hello").expect("room");
    assert_eq!(second.get(), Ok("hello".into()));
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn who_polls_is_woken_once_there_is_something() {
    let Pipe { writer, reader } = Pipe::with_capacity(4);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let woken = || count.0.load(Relaxed);
    assert!(reader.poll_take(10, &waker).is_pending());
    assert!(writer.poll_room(&waker).is_ready());
    writer.try_write("hello").expect("room");
    assert_eq!(woken(), 1);
    assert!(writer.poll_room(&waker).is_pending());
    let Poll::Ready(Ok(taken)) = reader.poll_take(3, &waker) else {
        panic!("it is there");
    };
    assert_eq!(
        (taken.pieces.concat(), taken.end.is_some()),
        (b"hel".to_vec(), false)
    );
    assert_eq!(woken(), 2, "there is room");
    writer.close();
    let Poll::Ready(Ok(taken)) = reader.poll_take(3, &waker) else {
        panic!("it is there");
    };
    assert_eq!(
        (taken.pieces.concat(), taken.end.is_some()),
        (b"lo".to_vec(), true)
    );
}

#[test]
fn threads_lose_nothing() {
    two_write_and_two_read(false);
}

#[test]
fn threads_that_give_reads_up_lose_nothing() {
    two_write_and_two_read(true);
}

/// All is there once; and in the order of who wrote, if no read is given up: what was given to it comes back behind what came meanwhile.
fn two_write_and_two_read(one_gives_up: bool) {
    const PIECES: usize = 5_000;
    let Pipe { writer, reader } = Pipe::with_capacity(64);
    let (refused, given_up) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (read, kept) = thread::scope(|scope| {
        let writers = ["a", "b"].map(|who| {
            let (writer, refused) = (writer.clone(), &refused);
            scope.spawn(move || {
                for number in 0..PIECES {
                    let mut piece = Bytes::from(format!("{who}{number:05}"));
                    while let Err(TryWriteError::Full(again)) = writer.try_write(piece) {
                        piece = again;
                        refused.fetch_add(1, Relaxed);
                        writer.room().get().expect("somebody reads");
                    }
                }
            })
        });
        let reads = |gives_up: bool| {
            let (reader, given_up) = (reader.clone(), &given_up);
            scope.spawn(move || {
                let mut got = Vec::new();
                loop {
                    let read = reader.read();
                    if gives_up {
                        read.discard();
                    }
                    match read.get() {
                        Ok(piece) if piece.is_empty() => break got,
                        Ok(piece) => got.push(piece),
                        Err(_) => {
                            given_up.fetch_add(1, Relaxed);
                        }
                    }
                }
            })
        };
        let (read, kept) = (reads(false), reads(one_gives_up));
        for thread in writers {
            thread.join().expect("no panic");
        }
        writer.close();
        (
            read.join().expect("no panic"),
            kept.join().expect("no panic"),
        )
    });
    for got in [&read, &kept] {
        for who in [b'a', b'b'] {
            let of_one: Vec<_> = got.iter().filter(|piece| piece[0] == who).collect();
            assert!(
                one_gives_up || of_one.is_sorted(),
                "in the order of who wrote"
            );
        }
    }
    let mut all: Vec<_> = read.iter().chain(&kept).collect();
    all.sort_unstable();
    let written = ["a", "b"].map(|who| (0..PIECES).map(move |number| format!("{who}{number:05}")));
    let written: Vec<_> = written.into_iter().flatten().collect();
    assert!(
        all.iter()
            .zip(&written)
            .all(|(got, written)| *got == written)
    );
    assert_eq!(all.len(), written.len());
    assert!(refused.into_inner() > 0, "it was never full");
    assert_eq!(given_up.into_inner() > 0, one_gives_up);
}

/// The one who reads all of it is served before those who ask later, and gives back what he has if he gives up.
#[test]
fn all_of_it_comes_before_reads_that_come_later() {
    let Pipe { writer, reader } = Pipe::with_capacity(4);
    let all = reader.read_all(10);
    let later = reader.read();
    writer.try_write("to be").expect("room");
    assert!(later.is_pending());
    drop(all);
    assert_eq!(later.get(), Ok("to be".into()));
    let all = reader.read_all(10);
    let later = reader.read();
    writer.try_write("again").expect("room");
    writer.close();
    assert_eq!(all.get(), Ok("again".into()));
    assert_eq!(later.get(), Ok("".into()));
}

#[test]
fn who_gives_all_of_it_up_does_not_take_more() {
    let Pipe { writer, reader } = Pipe::with_capacity(4);
    let all = reader.read_all(1 << 20);
    writer.try_write("to be").expect("room");
    all.discard();
    assert!(all.is_discarded());
    assert!(writer.try_write("more").is_err(), "there is no room");
    assert!(reader.read_all(20).is_pending());
    assert_eq!(reader.read().get(), Ok("to be".into()));
}

/// Whatever is hung on a future may use the pipe, and what it holds may be one of its ends.
#[test]
fn callbacks_may_do_what_they_like() {
    let Pipe { writer, reader } = Pipe::with_capacity(4);
    writer.try_write("full").expect("room");
    let held = reader.clone();
    let room = writer.room();
    room.on_ready(move |()| drop(held));
    room.detach();
    drop(writer.room());
    let (told, callback) = (Arc::new(AtomicUsize::new(0)), writer.clone());
    let count = Arc::clone(&told);
    let room = writer.room();
    room.on_ready(move |()| {
        count.fetch_add(1, Relaxed);
        callback.try_write("more").expect("room");
    });
    // It is not given up by that.
    room.detach();
    let panics = writer.room();
    panics.on_ready(|()| panic!("for a test"));
    let last = writer.room();
    assert_eq!(reader.read().get(), Ok("full".into()));
    assert_eq!(told.load(Relaxed), 1);
    assert!(last.is_ready());
    assert_eq!(reader.read().get(), Ok("more".into()));
    let detached = reader.read();
    let count = Arc::clone(&told);
    detached.on_ready(move |_| {
        count.fetch_add(1, Relaxed);
    });
    detached.detach();
    writer.try_write("last").expect("room");
    assert_eq!(told.load(Relaxed), 2, "it is told, though nobody holds it");
}

#[test]
fn small_pieces_are_counted_too() {
    let Pipe { writer, reader } = Pipe::new();
    let taken = (0..10_000).take_while(|_| writer.try_write("x").is_ok());
    assert_eq!(taken.count(), 256);
    drop(reader);
}
