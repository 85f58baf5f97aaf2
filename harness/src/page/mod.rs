//! The report: one page with the plots and the numbers of many results, and the plots as files.
//!
//! | step | module |
//! |---|---|
//! | which files | `input` |
//! | what may stand in one plot, and on one line | `group` |
//! | the plots of each kind, with their tables and caveats | `choices`, `scaling`, `latencies`, `history`; `figure` is what they have in common |
//! | where marks are | `axis`, `bars`, `lines`, which make a `scene` |
//! | marks on the page, and in files | `svg`, `plots` |
//! | the page around them | `html`, `markup`, `words` |
//!
//! All is made before anything is written, and each file is written whole. The same results make the same page, byte for byte: it tells when they
//! were saved, and not when it was made.
//!
//! Files of results are not trusted: their texts are escaped where they become a part of the page, their numbers cannot make a plot without end,
//! and the page forbids itself scripts and everything that would be loaded.

mod axis;
mod bars;
mod choices;
mod figure;
mod group;
mod history;
mod html;
mod input;
mod latencies;
mod lines;
mod markup;
mod plots;
mod scaling;
mod scene;
mod svg;
mod words;

#[cfg(test)]
mod example;

pub(crate) use input::NoResults;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::ReportArguments;
use crate::failure::Failure;
use crate::format::count;
use crate::save::{self, SaveError};
use figure::{Figure, Section};
use group::Entry;
use input::Input;

/// The page, where nobody says where.
const PAGE: &str = "report.html";

pub(crate) fn report(arguments: &ReportArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let input = Input::gather(arguments)?;
    let sections = sections(&input);
    let page = html::page(&input, &sections);
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    if let Some(folder) = &arguments.plots {
        for (section, figure) in figures(&sections) {
            for format in arguments.formats() {
                let name = format!("{}.{}", figure.id, format.ending());
                files.push((folder.join(name), plots::draw(section, figure, format)));
            }
        }
        make_folder(folder)?;
    }
    let path = match &arguments.output {
        Some(path) => path.clone(),
        None => {
            let folder = save::folder()?;
            make_folder(&folder)?;
            folder.join(PAGE)
        }
    };
    for (path, contents) in &files {
        save::write(path, contents).map_err(|error| SaveError::new(path, error))?;
    }
    save::write(&path, page.as_bytes()).map_err(|error| SaveError::new(&path, error))?;
    for left_out in &input.left_out {
        eprintln!("left out: {left_out}");
    }
    // A pipe or a terminal has the page, and nothing else is to be in it.
    if path.is_file() {
        let results: usize = input
            .sources
            .iter()
            .map(|source| source.saved.results.len())
            .sum();
        writeln!(
            output,
            "{}: {} of {} in {}",
            path.display(),
            count(figures(&sections).count() as u64, "plot"),
            count(results as u64, "result"),
            count(input.sources.len() as u64, "file")
        )?;
        if let Some(folder) = &arguments.plots {
            let files = count(files.len() as u64, "file");
            writeln!(output, "{}: {files} of plots", folder.display())?;
        }
        output.flush()?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), SaveError> {
    fs::create_dir_all(folder).map_err(|error| SaveError::new(folder, error))
}

fn sections(input: &Input) -> [Section; 4] {
    let entries = |all: bool| -> Vec<Entry<'_>> {
        let sources = input
            .sources
            .iter()
            .filter(|source| all || source.asked_for);
        sources
            .flat_map(|source| {
                let records = source.saved.results.iter();
                records.map(move |record| Entry { source, record })
            })
            .collect()
    };
    let asked_for = entries(false);
    [
        choices::section(&asked_for),
        scaling::section(&asked_for),
        latencies::section(&asked_for),
        history::section(&entries(true)),
    ]
}

fn figures(sections: &[Section]) -> impl Iterator<Item = (&Section, &Figure)> {
    sections
        .iter()
        .flat_map(|section| section.figures.iter().map(move |figure| (section, figure)))
}
