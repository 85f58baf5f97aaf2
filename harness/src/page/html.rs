//! The page: an index, each plot with its table, every result, and what to make of it.

use super::figure::{Figure, Section, Table, distinct, named, slug};
use super::group::{self, Entry, is_whole};
use super::input::{Input, Source};
use super::markup::Markup;
use super::svg;
use super::words::{built_with, command};
use crate::format::{count, figure, nanoseconds};
use crate::record::Record;
use crate::registry;
use crate::report::{self, describe};

const STYLE: &str = include_str!("style.css");
const TITLE: &str = "libprocess: what was measured";

/// Nothing is loaded and nothing runs, whatever a file of results may say: only the style sheet above is used.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const CAVEATS: [&str; 6] = [
    "A figure is of its machine. Nothing here compares machines; what was measured on several is in plots of their own.",
    "A spread is from the least run to the greatest. It says how restless the machine was while these runs lasted, and nothing of another hour.",
    "Runs of different files were taken at different times, and the machine may have changed in between. For a verdict measure both in turn: `harness compare --rev A --rev B`.",
    "Results of the same build, with the same parameters, on the same machine, are taken together; the numbers of runs say how many.",
    "Every run checked its own result before it became a figure: a lost message or a run that did not end is a failure.",
    "A latency is kept to three digits. Without --rate the next one begins when the one before is done; with it each counts from the moment at which it was to begin.",
];

pub(super) fn page(input: &Input, sections: &[Section]) -> String {
    let mut markup = Markup::document();
    markup.open("html", &[("lang", "en")]);
    markup
        .open("head", &[])
        .empty("meta", &[("charset", "utf-8")])
        .empty(
            "meta",
            &[
                ("http-equiv", "Content-Security-Policy"),
                ("content", POLICY),
            ],
        )
        .empty(
            "meta",
            &[
                ("name", "viewport"),
                ("content", "width=device-width, initial-scale=1"),
            ],
        )
        .leaf("title", &[], TITLE)
        .open("style", &[])
        .verbatim(STYLE)
        .close()
        .close();
    markup.open("body", &[]);
    header(input, &mut markup);
    index(input, sections, &mut markup);
    markup.open("main", &[]);
    for section in sections {
        draw_section(section, &mut markup);
    }
    results(input, &mut markup);
    caveats(&mut markup);
    markup.close();
    markup.close().close();
    markup.finish()
}

fn header(input: &Input, markup: &mut Markup) {
    markup.open("header", &[]).leaf("h1", &[], TITLE);
    let results: usize = input
        .sources
        .iter()
        .map(|source| source.saved.results.len())
        .sum();
    let machines = distinct(
        input
            .sources
            .iter()
            .map(|source| report::place(&source.saved.machine)),
    );
    markup.leaf(
        "p",
        &[],
        &format!(
            "{} in {}, of {}: {}.",
            count(results as u64, "result"),
            count(input.sources.len() as u64, "file"),
            count(machines.len() as u64, "machine"),
            machines.join("; ")
        ),
    );
    let unoptimized = input
        .sources
        .iter()
        .filter(|source| source.saved.machine.profile != "release");
    let unoptimized: Vec<String> = unoptimized.map(|source| source.name.clone()).collect();
    if !unoptimized.is_empty() {
        let text = format!(
            "Not optimized, so that their figures mean nothing: {}.",
            named(&unoptimized)
        );
        markup.leaf("p", &[("class", "warn")], &text);
    }
    markup.close();
}

fn index(input: &Input, sections: &[Section], markup: &mut Markup) {
    markup
        .open("nav", &[("aria-label", "Index")])
        .leaf("h2", &[("id", "index")], "Index")
        .open("ul", &[]);
    for section in sections {
        let plots = count(section.figures.len() as u64, "plot");
        link(markup, section.id, section.title, &format!(": {plots}"));
    }
    link(markup, "results", "Every result", "");
    link(markup, "caveats", "How to take it", "");
    markup.close();
    let head = ["benchmark"]
        .into_iter()
        .chain(sections.iter().map(|section| section.title))
        .chain(["newest results"]);
    scrolled(markup, "Benchmarks, and where they are", |markup| {
        markup.open("thead", &[]).open("tr", &[]);
        for title in head {
            markup.leaf("th", &[("scope", "col")], title);
        }
        markup.close().close().open("tbody", &[]);
        let records = input
            .sources
            .iter()
            .flat_map(|source| &source.saved.results);
        for benchmark in distinct(records.map(|record| record.benchmark.clone())) {
            markup
                .open("tr", &[])
                .leaf("th", &[("scope", "row")], &benchmark);
            for section in sections {
                let plots = section
                    .figures
                    .iter()
                    .filter(|figure| figure.benchmarks.contains(&benchmark));
                numbered(markup, section.title, plots.map(|figure| figure.id.clone()));
            }
            let ids = input.sources.iter().enumerate().flat_map(|(file, source)| {
                let rows = source.saved.results.iter().enumerate();
                let rows = rows.filter(|(_, record)| record.benchmark == benchmark);
                rows.map(move |(row, _)| result_id(file, row))
            });
            let all: Vec<String> = ids.collect();
            // The newest, as all of them would be a page of their own.
            let some = all.len().saturating_sub(SHOWN);
            numbered(markup, "result", all[some..].iter().cloned());
            markup.close();
        }
        markup.close();
    });
    markup.close();
}

/// So many results of a benchmark are in the index.
const SHOWN: usize = 4;

fn link(markup: &mut Markup, id: &str, text: &str, behind: &str) {
    markup
        .open("li", &[])
        .leaf("a", &[("href", &format!("#{id}"))], text)
        .text(behind)
        .close();
}

/// A cell of links, each with its number.
fn numbered(markup: &mut Markup, of: &str, ids: impl Iterator<Item = String>) {
    markup.open("td", &[]);
    for (index, id) in ids.enumerate() {
        if index > 0 {
            markup.text(" ");
        }
        let number = (index + 1).to_string();
        let attributes = [
            ("href", &*format!("#{id}")),
            ("aria-label", &*format!("{of}, {number}")),
        ];
        markup.leaf("a", &attributes, &number);
    }
    markup.close();
}

/// A table that is wider than the screen moves in its own frame, also by the keyboard.
fn scrolled(markup: &mut Markup, caption: &str, table: impl FnOnce(&mut Markup)) {
    markup.open(
        "div",
        &[
            ("class", "scroll"),
            ("tabindex", "0"),
            ("role", "region"),
            ("aria-label", caption),
        ],
    );
    markup.open("table", &[]);
    table(markup);
    markup.close().close();
}

fn draw_section(section: &Section, markup: &mut Markup) {
    markup
        .open("section", &[("aria-labelledby", section.id)])
        .leaf("h2", &[("id", section.id)], section.title)
        .leaf("p", &[], section.about);
    if section.figures.is_empty() {
        markup.leaf("p", &[("class", "muted")], section.missing);
    }
    for figure in &section.figures {
        draw_figure(section, figure, markup);
    }
    list(markup, "muted", &section.remarks);
    markup.close();
}

fn draw_figure(section: &Section, figure: &Figure, markup: &mut Markup) {
    markup
        .open("article", &[("class", "figure"), ("id", &figure.id)])
        .leaf("h3", &[], &figure.heading);
    for benchmark in &figure.benchmarks {
        if let Some(benchmark) = registry::find(benchmark) {
            markup.leaf("p", &[("class", "muted")], benchmark.summary());
        }
    }
    facts(markup, &figure.facts);
    markup.open("div", &[("class", "pair")]).open("figure", &[]);
    let title = format!("{}: {}", section.title, figure.heading);
    svg::draw(&figure.scene, &figure.id, &title, markup);
    markup.close();
    let caption = format!("Numbers of {title}");
    scrolled(markup, &caption, |markup| numbers(&figure.table, markup));
    markup.close();
    list(markup, "notes", &figure.notes);
    commands(markup, &figure.commands);
    markup.close();
}

fn facts(markup: &mut Markup, facts: &[(&'static str, String)]) {
    markup.open("dl", &[]);
    for (kind, text) in facts {
        markup.leaf("dt", &[], kind).leaf("dd", &[], text);
    }
    markup.close();
}

fn numbers(table: &Table, markup: &mut Markup) {
    markup.open("thead", &[]).open("tr", &[]);
    for (column, title) in table.head.iter().enumerate() {
        markup.leaf(
            "th",
            &[("scope", "col"), ("class", alignment(table, column))],
            title,
        );
    }
    markup.close().close().open("tbody", &[]);
    for row in &table.rows {
        markup.open("tr", &[]);
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                markup.leaf("th", &[("scope", "row")], cell);
            } else {
                markup.leaf("td", &[("class", alignment(table, column))], cell);
            }
        }
        markup.close();
    }
    markup.close();
}

/// Numbers are under one another by their ends.
fn alignment(table: &Table, column: usize) -> &'static str {
    let is_number = |cell: &String| {
        cell.starts_with(|first: char| first.is_ascii_digit() || "-–".contains(first))
    };
    let mut cells = table.rows.iter().map(|row| &row[column]);
    if column > 0 && cells.all(is_number) {
        "number"
    } else {
        "words"
    }
}

fn list(markup: &mut Markup, class: &'static str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    markup.open("ul", &[("class", class)]);
    for text in texts {
        markup.leaf("li", &[], text);
    }
    markup.close();
}

fn commands(markup: &mut Markup, commands: &[String]) {
    if commands.is_empty() {
        return;
    }
    let title = if commands.len() == 1 {
        "The command that makes it"
    } else {
        "The commands that make it"
    };
    markup
        .open("details", &[])
        .leaf(
            "summary",
            &[],
            &format!("{title}, with the sources of its revision"),
        )
        .leaf("pre", &[], &commands.join("\n"))
        .close();
}

fn result_id(file: usize, row: usize) -> String {
    format!("result-{}-{}", file + 1, row + 1)
}

fn results(input: &Input, markup: &mut Markup) {
    markup
        .open("section", &[("aria-labelledby", "results")])
        .leaf("h2", &[("id", "results")], "Every result")
        .leaf("p", &[], "File by file, the oldest first: what plots are made of, and what could not be one. `harness show FILE` has more of it.");
    for (number, source) in input.sources.iter().enumerate() {
        file(number, source, markup);
    }
    if !input.left_out.is_empty() {
        markup.leaf("h3", &[("id", "left-out")], "Left out");
        list(markup, "muted", &input.left_out);
    }
    markup.close();
}

fn file(number: usize, source: &Source, markup: &mut Markup) {
    let saved = &source.saved;
    let id = format!("file-{}-{}", number + 1, slug(&source.name));
    markup
        .open("article", &[("class", "figure"), ("id", &id)])
        .leaf("h3", &[], &source.name);
    let mut build = report::build(&saved.machine);
    if !is_whole(saved.machine.revision.as_deref()) {
        build.push_str(": with sources that are in no revision");
    }
    let mut known = vec![
        ("saved", report::moment(saved)),
        ("machine", report::place(&saved.machine)),
        ("build", build),
    ];
    let load = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    let average = saved.load_average;
    known.push((
        "load",
        format!(
            "{} before, {} after",
            load(average.before),
            load(average.after)
        ),
    ));
    facts(markup, &known);
    if saved.results.is_empty() {
        markup.leaf("p", &[("class", "muted")], "It has no result.");
    } else {
        let caption = format!("Results of {}", source.name);
        scrolled(markup, &caption, |markup| rows(number, source, markup));
        let all = saved.results.iter();
        let all = distinct(all.map(|record| command(Entry { source, record })));
        commands(markup, &all);
    }
    markup.close();
}

fn rows(number: usize, source: &Source, markup: &mut Markup) {
    const HEADS: [(&str, &str); 9] = [
        ("benchmark", "words"),
        ("median", "number"),
        ("least", "number"),
        ("greatest", "number"),
        ("runs", "number"),
        ("unit", "words"),
        ("parameters", "words"),
        ("choices", "words"),
        ("further figures", "words"),
    ];
    markup.open("thead", &[]).open("tr", &[]);
    for (title, class) in HEADS {
        markup.leaf("th", &[("scope", "col"), ("class", class)], title);
    }
    markup.close().close().open("tbody", &[]);
    for (row, record) in source.saved.results.iter().enumerate() {
        markup.open("tr", &[("id", &result_id(number, row))]).leaf(
            "th",
            &[("scope", "row")],
            &record.benchmark,
        );
        for cell in super::figure::run_cells(&record.runs) {
            markup.leaf("td", &[("class", "number")], &cell);
        }
        markup
            .leaf("td", &[], &record.unit)
            .leaf("td", &[("class", "wide")], &describe(&record.params))
            .leaf("td", &[("class", "wide")], &built_with(&record.variant))
            .leaf("td", &[("class", "wide")], &further(record))
            .close();
    }
    markup.close();
}

fn further(record: &Record) -> String {
    let mut texts: Vec<String> = record
        .also
        .iter()
        .map(|(unit, also)| {
            let mut text = format!("{} {unit}", figure(also.runs.median()));
            if let Some((low, high)) = group::spread(&also.runs) {
                text.push_str(&format!(" ({} to {})", figure(low), figure(high)));
            }
            text
        })
        .collect();
    if let Some(latency) = record.latency_ns {
        texts.push(format!(
            "latency p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
            nanoseconds(latency.p50),
            nanoseconds(latency.p90),
            nanoseconds(latency.p99),
            nanoseconds(latency.p999),
            nanoseconds(latency.max)
        ));
    }
    texts.join("; ")
}

fn caveats(markup: &mut Markup) {
    markup
        .open("section", &[("aria-labelledby", "caveats")])
        .leaf("h2", &[("id", "caveats")], "How to take it")
        .open("ul", &[]);
    for caveat in CAVEATS {
        markup.leaf("li", &[], caveat);
    }
    markup.close().close();
}
