//! Every combination of run queue, event queue, semaphore and reactor, measured in turn: what to choose.
//!
//! Queues and semaphore are chosen when the library is built, so there are twelve builds. The reactor is chosen when a runtime starts, by each
//! benchmark that has sockets, whose name says which: the two names are rows of one table.

mod choice;
mod combination;
mod family;
mod heat;
mod rounds;
mod svg;
mod table;
mod text;

pub(crate) use combination::Undecided;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::combination::Combination;
use self::family::Family;
use self::rounds::Build;
use self::table::Table;
use self::text::Paint;
use crate::cli::MatrixArguments;
use crate::compare::children;
use crate::compare::revisions::Checkout;
use crate::compare::turns::{Harness, Scratch, add};
use crate::failure::Failure;
use crate::save::{self, Destination};
use crate::saved::Saved;

/// The picture cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("the heat map cannot be written to {}: {error}", .path.display())]
pub(crate) struct PictureError {
    path: PathBuf,
    error: io::Error,
}

pub(crate) fn matrix(arguments: &MatrixArguments, output: &mut dyn Write) -> Result<(), Failure> {
    children::take_signals();
    let checkout = Checkout::find()?;
    // Before anything is measured, so that no measurement is in vain.
    let destination = arguments
        .save
        .as_ref()
        .map(Destination::prepare)
        .transpose()?;
    if let Some(path) = &arguments.svg {
        can_be_written(path)?;
    }
    arguments.check_run()?;
    let scratch = Scratch::new(checkout.scratch())?;
    let (builds, families) = build(&checkout, &scratch, arguments)?;

    let mut tables: Vec<Table> = Vec::new();
    let mut all: Option<Saved> = None;
    let mut ended = None;
    // That nobody reads on is no reason to measure no more, where the results are kept.
    let mut unread = None;
    for family in &families {
        // What cannot be told of one family is no reason to lose those before it.
        let (measured, why) = rounds::measure(family, &builds, arguments.rounds)
            .unwrap_or_else(|failure| (Vec::new(), Some(failure)));
        let of_this = Table::of(&family.name, &measured);
        if unread.is_none() {
            unread = tell(arguments, &of_this, output).err();
        }
        tables.extend(of_this);
        for one in measured {
            add(&mut all, one.saved);
        }
        ended = why;
        let is_kept = arguments.save.is_some() || arguments.svg.is_some();
        if ended.is_some() || (unread.is_some() && !is_kept) {
            break;
        }
    }
    if let Some(mut saved) = all {
        // Each build has its own: they are in the variants.
        saved.machine.features = None;
        let places = Places {
            results: destination,
            picture: arguments.svg.clone(),
        };
        let places = if ended.is_some() {
            places.interrupted()
        } else {
            places
        };
        let kept = keep(arguments, &places, &saved, &tables, output);
        // A failed run before what comes of a reader who has gone.
        ended = ended.or(kept.err());
    }
    let ended = ended.or(unread.map(Failure::from));
    ended.map_or(Ok(()), Err)
}

fn tell(arguments: &MatrixArguments, tables: &[Table], output: &mut dyn Write) -> io::Result<()> {
    for table in tables {
        if arguments.json {
            let line =
                serde_json::to_string(&table.printed()).expect("a table can be written as JSON");
            writeln!(output, "{line}")?;
            output.flush()?;
        } else {
            text::print(table, Paint::wanted(), output)?;
        }
    }
    Ok(())
}

/// All combinations, one after the other, as what one build leaves is used by the next; and what is to be measured.
fn build<'a>(
    checkout: &Checkout,
    scratch: &'a Scratch,
    arguments: &'a MatrixArguments,
) -> Result<(Vec<Build<'a>>, Vec<Family>), Failure> {
    let tree = checkout.tree(None)?;
    let every = Combination::every();
    let mut builds = Vec::new();
    let mut families = Vec::new();
    for (index, combination) in every.iter().enumerate() {
        let features = combination.features();
        let program = checkout.kept(&format!("matrix/{}", combination.name()));
        let what = format!("{} of {}: {features}", index + 1, every.len());
        tree.build(Some(&features), &what, &program)?;
        let harness = Harness {
            program,
            scratch,
            arguments: &arguments.run,
        };
        if index == 0 {
            // Whoever has misspelt a name does not wait for the others.
            families = family::select(&arguments.filters, harness.list()?)?;
        }
        builds.push(Build {
            combination: *combination,
            harness,
        });
    }
    Ok((builds, families))
}

/// Where it is all kept, as far as that is wanted.
struct Places {
    results: Option<Destination>,
    picture: Option<PathBuf>,
}

impl Places {
    /// Beside them, for what is not all that was asked for: it does not take the place of what is.
    fn interrupted(&self) -> Self {
        Self {
            results: self.results.as_ref().map(Destination::interrupted),
            picture: self.picture.as_deref().map(beside),
        }
    }
}

/// As results are: `map.svg` is `map.interrupted.svg`. What is there and is no file, such as a pipe, has nothing to lose.
fn beside(path: &Path) -> PathBuf {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return path.to_owned();
    }
    // Beside what a link leads to, as `/dev/stdout` may lead to a file.
    let file = path.read_link().and_then(|_| path.canonicalize());
    let path = file.as_deref().unwrap_or(path);
    let mut extension = OsString::from("interrupted");
    if let Some(own) = path.extension() {
        extension.push(".");
        extension.push(own);
    }
    path.with_extension(extension)
}

/// What was finished is kept, whether it is all or not.
fn keep(
    arguments: &MatrixArguments,
    places: &Places,
    saved: &Saved,
    tables: &[Table],
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut written = Vec::new();
    if let Some(destination) = &places.results {
        destination.write(saved)?;
        written.push(destination.path());
    }
    let mut drawn = Ok(());
    if let Some(path) = &places.picture {
        match save::write(path, svg::draw(tables).as_bytes()) {
            Ok(()) => written.push(path),
            Err(error) => {
                let path = path.clone();
                drawn = Err(PictureError { path, error }.into());
            }
        }
    }
    // Behind both, as whoever reads may have gone.
    for path in written {
        if arguments.json {
            eprintln!("saved to {}", path.display());
        } else {
            writeln!(output, "saved to {}", path.display())?;
        }
    }
    drawn
}

/// The folder is there: all that can be known before the file is.
fn can_be_written(path: &Path) -> Result<(), PictureError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let looked = match folder.metadata() {
        Ok(found) if found.is_dir() && !path.is_dir() => return Ok(()),
        Ok(_) => io::ErrorKind::NotADirectory.into(),
        Err(error) => error,
    };
    Err(PictureError {
        path: path.to_owned(),
        error: looked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_picture_is_beside_it() {
        for (path, expected) in [
            ("nowhere/map.svg", "nowhere/map.interrupted.svg"),
            ("nowhere/v1.2.svg", "nowhere/v1.2.interrupted.svg"),
            ("nowhere/map", "nowhere/map.interrupted"),
            ("/dev/null", "/dev/null"),
        ] {
            assert_eq!(beside(Path::new(path)), Path::new(expected));
        }
    }
}
