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
    for family in &families {
        // What cannot be told of one family is no reason to lose those before it.
        let (measured, why) = rounds::measure(family, &builds, arguments.rounds)
            .unwrap_or_else(|failure| (Vec::new(), Some(failure)));
        let of_this = Table::of(&family.name, &measured);
        for table in &of_this {
            if arguments.json {
                let line = serde_json::to_string(&table.printed())
                    .expect("a table can be written as JSON");
                writeln!(output, "{line}")?;
                output.flush()?;
            } else {
                text::print(table, Paint::wanted(), output)?;
            }
        }
        tables.extend(of_this);
        for one in measured {
            add(&mut all, one.saved);
        }
        if why.is_some() {
            ended = why;
            break;
        }
    }
    if let Some(mut saved) = all {
        // Each build has its own: they are in the variants.
        saved.machine.features = None;
        keep(arguments, destination.as_ref(), &saved, &tables, output)?;
    }
    ended.map_or(Ok(()), Err)
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

/// What was finished is kept, whether it is all or not.
fn keep(
    arguments: &MatrixArguments,
    destination: Option<&Destination>,
    saved: &Saved,
    tables: &[Table],
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut kept = |path: &Path| {
        if arguments.json {
            eprintln!("saved to {}", path.display());
            Ok(())
        } else {
            writeln!(output, "saved to {}", path.display())
        }
    };
    if let Some(destination) = destination {
        destination.write(saved)?;
        kept(destination.path())?;
    }
    if let Some(path) = &arguments.svg {
        save::replace(path, svg::draw(tables).as_bytes()).map_err(|error| PictureError {
            path: path.clone(),
            error,
        })?;
        kept(path)?;
    }
    Ok(())
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
