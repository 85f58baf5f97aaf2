//! Tables and heat maps, for people.

use std::io::{self, IsTerminal, Write};

use super::choice::Choice;
use super::heat::{Grid, Scale, colour, is_bright};
use super::table::{Row, Table};
use crate::format::{count, figure};
use crate::report::{describe, line};

/// How heat is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As the ground that the figure stands on.
    Colours,
    /// As a block beside it: the fuller, the better.
    Shades,
}

/// The heat of a fifth of the scale each.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
/// Of a cell of a heat map.
const CELL: usize = 8;
/// Between the label of a row and its cells.
const GAP: &str = "  ";

impl Paint {
    /// As the terminal can and the user likes (<https://no-color.org>).
    pub(crate) fn wanted() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let plain = set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb");
        if io::stdout().is_terminal() && !plain {
            Self::Colours
        } else {
            Self::Shades
        }
    }

    /// A cell of eight characters.
    fn cell(self, heat: f64, text: &str) -> String {
        match self {
            Self::Colours => {
                let ground = colour(heat);
                let ink = if is_bright(ground) { 16 } else { 231 };
                format!(
                    "\x1b[48;5;{}m\x1b[38;5;{ink}m{text:^CELL$}\x1b[0m",
                    of_256(ground)
                )
            }
            Self::Shades => {
                let index = ((heat * SHADES.len() as f64) as usize).min(SHADES.len() - 1);
                let shade = SHADES[index];
                format!(" {shade}{shade}{text:<width$}", width = CELL - 3)
            }
        }
    }
}

/// The nearest of the 6 × 6 × 6 colours that every terminal with colours has.
fn of_256(colour: [u8; 3]) -> usize {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: &u8| {
        (0..LEVELS.len())
            .min_by_key(|level| LEVELS[*level].abs_diff(*value))
            .unwrap_or_default()
    };
    colour
        .iter()
        .fold(0, |number, channel| number * 6 + nearest(channel))
        + 16
}

pub(crate) fn print(table: &Table, paint: Paint, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "{}", table.benchmark)?;
    line(output, "parameters", &describe(table.params()))?;
    let rounds = count(table.rounds() as u64, "round");
    let combinations = count(table.rows.len() as u64, "combination");
    line(output, "measured", &format!("{combinations} in {rounds}"))?;
    writeln!(output)?;
    figures(table, output)?;
    writeln!(output)?;
    heat_map(table, paint, output)?;
    writeln!(output)?;
    line(output, "recommended", &recommendation(table))?;
    writeln!(output)?;
    output.flush()
}

/// A row for each combination.
fn figures(table: &Table, output: &mut dyn Write) -> io::Result<()> {
    let median = format!("median {}", table.unit());
    let mut rows = vec![cells(
        table,
        [
            "",
            "run queue",
            "event queue",
            "semaphore",
            "reactor",
            &median,
            "spread",
            "to the default",
        ],
    )];
    for (index, row) in table.rows.iter().enumerate() {
        rows.push(row_of_figures(table, index, row));
    }
    let columns = rows[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let numbers = columns - 3;
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if (numbers..columns - 1).contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        let row = cells.collect::<Vec<_>>().join("  ");
        writeln!(output, "{}", row.trim_end())?;
    }
    if table.choice.recommended().is_some() {
        writeln!(
            output,
            "> is recommended, = cannot be told from the best; in brackets, how far the ratio can be trusted (99 in 100)"
        )?;
    }
    Ok(())
}

/// Without the column of reactors where there are none.
fn cells(table: &Table, cells: [&str; 8]) -> Vec<String> {
    let reactors = table.has_reactors();
    let cells = cells.into_iter().enumerate();
    cells
        .filter(|(column, _)| reactors || *column != 4)
        .map(|(_, cell)| cell.to_owned())
        .collect()
}

fn row_of_figures(table: &Table, index: usize, row: &Row) -> Vec<String> {
    let variant = &row.record.variant;
    let mark = if table.choice.recommended() == Some(index) {
        ">"
    } else if table.choice.may_be_best(index) == Some(true) {
        "="
    } else {
        ""
    };
    let ratio = match &row.ratio {
        _ if row.changes == 0 => "1 (the default)".to_owned(),
        Some(ratio) => format!(
            "{:.3} ({:.3} to {:.3})",
            ratio.ratio, ratio.interval.low, ratio.interval.high
        ),
        None => "-".to_owned(),
    };
    cells(
        table,
        [
            mark,
            &variant.run_queue,
            &variant.event_queue,
            &variant.semaphore,
            variant.reactor.as_deref().unwrap_or("-"),
            &figure(row.record.median),
            &format!("{:.1} %", row.record.runs.spread() * 100.0),
            &ratio,
        ],
    )
}

fn heat_map(table: &Table, paint: Paint, output: &mut dyn Write) -> io::Result<()> {
    let Some(scale) = Scale::of(table) else {
        return writeln!(
            output,
            "no heat map: figures that are not above zero have no ratio"
        );
    };
    let grid = Grid::of(table);
    let labels: Vec<String> = grid
        .rows
        .iter()
        .map(|(event_queue, semaphore)| format!("{event_queue}, {semaphore}"))
        .collect();
    let title = "event queue, semaphore";
    let width = labels
        .iter()
        .map(String::len)
        .chain([title.len()])
        .max()
        .unwrap_or_default();

    let reactors = grid
        .columns
        .iter()
        .filter(|(run_queue, _)| *run_queue == grid.columns[0].0)
        .count();
    // A run queue's name may be wider than its cells.
    let names = grid.columns.iter().map(|(run_queue, _)| run_queue.len());
    let needed = names.max().unwrap_or_default().div_ceil(reactors) + 2;
    let column = needed.max(CELL + 2);
    let mut header = format!("{:width$}{GAP}", "run queue");
    for (run_queue, _) in grid.columns.iter().step_by(reactors) {
        header.push_str(&format!("{run_queue:<span$}", span = column * reactors));
    }
    writeln!(output, "{}", header.trim_end())?;
    let mut header = format!("{title:width$}{GAP}");
    for (_, reactor) in &grid.columns {
        header.push_str(&format!("{:<column$}", reactor.unwrap_or_default()));
    }
    writeln!(output, "{}", header.trim_end())?;
    for (label, cells) in labels.iter().zip(&grid.cells) {
        let mut text = format!("{label:width$}{GAP}");
        for cell in cells {
            let ratio = cell.and_then(|index| table.rows[index].ratio.as_ref());
            match ratio {
                Some(ratio) => {
                    let number = format!("{:.2}", ratio.ratio);
                    text.push_str(&paint.cell(scale.heat(ratio.ratio), &number));
                    text.push_str(&" ".repeat(column - CELL));
                }
                None => text.push_str(&" ".repeat(column)),
            }
        }
        writeln!(output, "{}", text.trim_end())?;
    }
    let ends: Vec<String> = [0.0, 0.25, 0.5, 0.75, 1.0]
        .into_iter()
        .map(|heat| paint.cell(heat, &format!("{:.2}", scale.ratio(heat))))
        .collect();
    writeln!(
        output,
        "{:width$}{GAP}{}",
        "to the default, worst to best",
        ends.concat().trim_end()
    )
}

/// What to choose, and why.
pub(crate) fn recommendation(table: &Table) -> String {
    let name = |index: usize| table.rows[index].record.variant.to_string();
    let is_default = |index: usize| table.rows[index].changes == 0;
    match &table.choice {
        Choice::Ahead { best, next, by } => {
            let default = if is_default(*best) {
                " (the default)"
            } else {
                ""
            };
            let how = if table.more_is_better() {
                format!("it does {:.3} to {:.3} times as much as", by.low, by.high)
            } else {
                format!("{:.3} to {:.3} times as much needs", by.low, by.high)
            };
            format!(
                "{}{default}. All others are behind it: {how} the next, {}",
                name(*best),
                name(*next)
            )
        }
        Choice::Alike {
            recommended,
            leader,
            alike,
        } => {
            let why = if is_default(*recommended) {
                "it is the default"
            } else {
                "it differs from the default, which is behind, in the fewest parts"
            };
            let mut text = format!(
                "{}. These runs do not tell {} of the {} apart; of those, {why}",
                name(*recommended),
                alike.len(),
                table.rows.len()
            );
            if leader != recommended {
                text.push_str(&format!(
                    ". The best figure has {}, which may be chance",
                    name(*leader)
                ));
            }
            text
        }
        Choice::TooFewRounds { leader } => format!(
            "none: with {} and {} chance alone puts one ahead too often, {needed} rounds are needed (--rounds {needed}). The best figure so far has {}",
            count(table.rounds() as u64, "round"),
            count(table.rows.len() as u64, "combination"),
            name(*leader),
            needed = table.rounds_needed(),
        ),
        Choice::NoRatio => "none: there are figures that are not above zero".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{made_up, rounds};
    use super::*;
    use crate::record::Variant;

    fn printed(table: &Table, paint: Paint) -> String {
        let mut output = Vec::new();
        print(table, paint, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// The more is chosen the faster it is, and io_uring is a little faster.
    fn speed(variant: &Variant) -> f64 {
        let part = |is: bool, factor: f64| if is { factor } else { 1.0 };
        1_000.0
            * part(variant.run_queue == "work-stealing", 2.0)
            * part(variant.event_queue == "lock-free", 1.5)
            * part(variant.semaphore != "kernel", 1.1)
            * part(variant.reactor.as_deref() == Some("io_uring"), 1.2)
    }

    #[test]
    fn a_table_has_a_row_and_a_cell_for_each_combination() {
        let table = made_up("messages/s", &[], |variant| rounds(speed(variant)));
        let text = printed(&table, Paint::Shades);
        let expected = "\
Some.Benchmark
  parameters  2 workers, repeat 10, not pinned, no warm-up
  measured    12 combinations in 9 rounds

   run queue      event queue  semaphore                     median messages/s  spread  to the default
   locking        locking      kernel                                    1,400  57.1 %  0.303 (0.303 to 0.303)
";
        assert!(text.starts_with(expected), "{text}");
        for needed in [
            "\n>  work-stealing  lock-free    last-in-first-out-fixed-size              4,620  57.1 %  1 (the default)\n",
            "\nrun queue                                locking        lock-free      work-stealing\n",
            "\nlocking, kernel                           ··0.30         ··0.30         ▒▒0.61\n",
            "\nlock-free, last-in-first-out-fixed-size   ▒▒0.50         ▒▒0.50         ██1.00\n",
            "\nto the default, worst to best             ··0.30  ░░0.41  ▒▒0.55  ▓▓0.74  ██1.00\n",
            "\n  recommended work-stealing run queue, lock-free event queue, last-in-first-out-fixed-size semaphore (the default). \
             All others are behind it: it does 1.100 to 1.100 times as much as the next, work-stealing run queue, lock-free event \
             queue, kernel semaphore\n",
        ] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
        assert!(
            !text.contains("reactor") && !text.contains('\x1b'),
            "{text}"
        );
    }

    #[test]
    fn reactors_are_a_column_and_stand_below_the_run_queues() {
        let table = made_up("requests/s", &["epoll", "io_uring"], |variant| {
            rounds(speed(variant))
        });
        let text = printed(&table, Paint::Shades);
        for needed in [
            "semaphore                     reactor   median requests/s",
            "\n   work-stealing  lock-free    last-in-first-out-fixed-size  epoll                 4,620  57.1 %  0.833 (0.833 to 0.833)\n",
            "\nrun queue                                locking             lock-free           work-stealing\n",
            "\nevent queue, semaphore                   epoll     io_uring  epoll     io_uring  epoll     io_uring\n",
            "semaphore, io_uring reactor (the default). All",
        ] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
    }

    #[test]
    fn colours_are_the_ground_of_the_figures() {
        let table = made_up("messages/s", &[], |variant| rounds(speed(variant)));
        let text = printed(&table, Paint::Colours);
        assert!(
            text.contains("\x1b[48;5;220m\x1b[38;5;16m  1.00  \x1b[0m"),
            "{text:?}"
        );
        assert!(
            text.contains("\x1b[48;5;53m\x1b[38;5;231m  0.30  \x1b[0m"),
            "{text:?}"
        );
        assert_eq!(text.matches("\x1b[0m").count(), 12 + 5);
    }

    #[test]
    fn what_cannot_be_told_apart_is_said_and_marked() {
        let table = made_up("messages/s", &[], |variant| {
            let figure = if variant.run_queue == "locking" {
                2.0
            } else {
                1.0
            };
            // By a half per cent, which is none.
            let better = if variant.semaphore == "kernel" {
                1.005
            } else {
                1.0
            };
            rounds(figure * better)
        });
        let text = printed(&table, Paint::Shades);
        assert!(
            text.contains(
                "recommended locking run queue, lock-free event queue, last-in-first-out-fixed-size semaphore. These runs do not tell 4 of \
                 the 12 apart; of those, it differs from the default, which is behind, in the fewest parts. The best figure has locking run \
                 queue, lock-free event queue, kernel semaphore, which may be chance\n"
            ),
            "{text}"
        );
        assert_eq!(text.matches("\n=  locking ").count(), 3, "{text}");
        assert_eq!(text.matches("\n>  locking ").count(), 1, "{text}");

        let alike = made_up("messages/s", &[], |_| rounds(1.0));
        assert!(
            recommendation(&alike).ends_with(
                "semaphore. These runs do not tell 12 of the 12 apart; of those, it is the default"
            ),
            "{}",
            recommendation(&alike)
        );
    }

    #[test]
    fn of_memory_the_next_one_needs_more() {
        let table = made_up("bytes/process", &[], |variant| rounds(speed(variant)));
        let text = recommendation(&table);
        assert!(
            text.starts_with("locking run queue, locking event queue, kernel semaphore. These runs do not tell 2 of the 12 apart")
                || text.starts_with("lock-free run queue, locking event queue, kernel semaphore. These runs do not tell 2 of the 12 apart"),
            "{text}"
        );
        let table = made_up("bytes/process", &[], |variant| {
            let needs_less = variant.run_queue == "locking" && variant.semaphore == "kernel";
            let needs_least = needs_less && variant.event_queue == "locking";
            rounds(if needs_least {
                100.0
            } else if needs_less {
                120.0
            } else {
                200.0
            })
        });
        assert_eq!(
            recommendation(&table),
            "locking run queue, locking event queue, kernel semaphore. All others are behind it: 1.200 to 1.200 times as much needs the \
             next, locking run queue, lock-free event queue, kernel semaphore"
        );
    }

    #[test]
    fn few_rounds_and_figures_of_nothing_have_no_recommendation() {
        let few = made_up("messages/s", &[], |variant| vec![speed(variant); 3]);
        let text = printed(&few, Paint::Shades);
        assert!(
            text.contains("recommended none: with 3 rounds and 12 combinations chance alone puts one ahead too often, 8 rounds are needed"),
            "{text}"
        );
        assert!(!text.contains("> is recommended"), "{text}");
        let nothing = made_up("messages/s", &[], |_| vec![0.0; 9]);
        let text = printed(&nothing, Paint::Shades);
        for needed in [
            "no heat map: ",
            "recommended none: there are figures that are not above zero",
        ] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
    }
}
