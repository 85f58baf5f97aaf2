//! Heat maps: which figure is where, and how hot it is.

use super::table::Table;

/// A scale that shows less than this from end to end would show noise as heat.
const LEAST_SPAN: f64 = 1.1;

/// The scale of matplotlib's viridis, by five of its colours: its brightness rises steadily, so it is read as well in grey and by who
/// does not see colours as most do. Dark is bad, bright is good.
const COLOURS: [[u8; 3]; 5] = [
    [0x44, 0x01, 0x54],
    [0x3b, 0x52, 0x8b],
    [0x21, 0x91, 0x8c],
    [0x5e, 0xc9, 0x62],
    [0xfd, 0xe7, 0x25],
];

/// From the worst ratio to the best one, by their logarithms: half as much is as far from the middle as twice as much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    best: f64,
    /// How far the other end is, on the side where the worse ones are.
    span: f64,
}

impl Scale {
    /// `None` without a ratio.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let ratios = table.rows.iter().filter_map(|row| row.ratio.as_ref());
        Self::new(ratios.map(|ratio| ratio.ratio), table.more_is_better())
    }

    fn new(ratios: impl Iterator<Item = f64>, more_is_better: bool) -> Option<Self> {
        let mut logarithms: Vec<f64> = ratios.map(f64::ln).collect();
        logarithms.sort_by(f64::total_cmp);
        let (least, most) = (*logarithms.first()?, *logarithms.last()?);
        let span = (most - least).max(LEAST_SPAN.ln());
        Some(if more_is_better {
            Self { best: most, span }
        } else {
            Self {
                best: least,
                span: -span,
            }
        })
    }

    /// 1 for the best ratio, 0 for the other end.
    pub(crate) fn heat(&self, ratio: f64) -> f64 {
        (1.0 - (self.best - ratio.ln()) / self.span).clamp(0.0, 1.0)
    }

    /// The ratio at this heat.
    pub(crate) fn ratio(&self, heat: f64) -> f64 {
        (self.best - (1.0 - heat) * self.span).exp()
    }
}

/// Red, green and blue.
pub(crate) fn colour(heat: f64) -> [u8; 3] {
    let place = heat.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let index = (place as usize).min(COLOURS.len() - 2);
    let part = place - index as f64;
    std::array::from_fn(|channel| {
        let from = f64::from(COLOURS[index][channel]);
        let to = f64::from(COLOURS[index + 1][channel]);
        (from + (to - from) * part).round() as u8
    })
}

/// Whether black is read better than white on it: by its luminance, as the weights of ITU-R BT.709 have it.
pub(crate) fn is_bright([red, green, blue]: [u8; 3]) -> bool {
    0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue) > 110.0
}

/// The rows of a table by their parts: run queues side by side, and under each of them its reactors; the rest below each other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grid<'a> {
    /// Run queue and reactor.
    pub(crate) columns: Vec<(&'a str, Option<&'a str>)>,
    /// Event queue and semaphore.
    pub(crate) rows: Vec<(&'a str, &'a str)>,
    /// Row by row, the index in the table; `None` where nothing was measured.
    pub(crate) cells: Vec<Vec<Option<usize>>>,
}

impl<'a> Grid<'a> {
    pub(crate) fn of(table: &'a Table) -> Self {
        let variants = || table.rows.iter().map(|row| &row.record.variant);
        let columns = different(
            variants().map(|variant| (variant.run_queue.as_str(), variant.reactor.as_deref())),
        );
        let rows = different(
            variants().map(|variant| (variant.event_queue.as_str(), variant.semaphore.as_str())),
        );
        let cells = rows
            .iter()
            .map(|(event_queue, semaphore)| {
                let cell = |(run_queue, reactor): &(&str, Option<&str>)| {
                    variants().position(|variant| {
                        variant.event_queue == *event_queue
                            && variant.semaphore == *semaphore
                            && variant.run_queue == *run_queue
                            && variant.reactor.as_deref() == *reactor
                    })
                };
                columns.iter().map(cell).collect()
            })
            .collect();
        Self {
            columns,
            rows,
            cells,
        }
    }
}

/// Each once, in the order in which it comes first.
fn different<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut different = Vec::new();
    for one in all {
        if !different.contains(&one) {
            different.push(one);
        }
    }
    different
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{made_up, rounds};
    use super::*;

    fn scale(ratios: &[f64], more_is_better: bool) -> Scale {
        Scale::new(ratios.iter().copied(), more_is_better).unwrap()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_best_is_hot_and_half_way_is_of_ratios() {
        let scale = scale(&[1.0, 0.25, 4.0], true);
        assert!(near(scale.heat(4.0), 1.0) && near(scale.heat(0.25), 0.0));
        assert!(near(scale.heat(1.0), 0.5) && near(scale.ratio(0.5), 1.0));
        assert!(near(scale.ratio(0.0), 0.25) && near(scale.ratio(1.0), 4.0));
    }

    #[test]
    fn of_memory_the_least_is_hot() {
        let scale = scale(&[1.0, 0.5, 2.0], false);
        assert!(near(scale.heat(0.5), 1.0) && near(scale.heat(2.0), 0.0));
        assert!(near(scale.heat(1.0), 0.5) && near(scale.ratio(0.0), 2.0));
    }

    #[test]
    fn noise_is_not_hot() {
        let scale = scale(&[1.0, 1.01, 0.99], true);
        assert!(near(scale.heat(1.01), 1.0));
        assert!(scale.heat(0.99) > 0.75, "{}", scale.heat(0.99));
        assert!(near(scale.ratio(0.0), 1.01 / 1.1));
        assert!(Scale::new(std::iter::empty(), true).is_none());
    }

    #[test]
    fn colours_become_brighter_with_the_heat() {
        assert_eq!(colour(0.0), [0x44, 0x01, 0x54]);
        assert_eq!(colour(0.5), [0x21, 0x91, 0x8c]);
        assert_eq!(colour(0.625), [0x40, 0xad, 0x77]);
        assert_eq!(colour(1.0), [0xfd, 0xe7, 0x25]);
        assert!(!is_bright(colour(0.3)) && is_bright(colour(0.8)));
        let weights = [0.2126, 0.7152, 0.0722];
        let brightness = |step: u32| -> f64 {
            let colour = colour(f64::from(step) / 100.0);
            let channels = colour.iter().zip(weights);
            channels
                .map(|(value, weight)| f64::from(*value) * weight)
                .sum()
        };
        assert!((0..100).all(|step| brightness(step) < brightness(step + 1) + 0.5));
    }

    #[test]
    fn every_combination_has_its_place() {
        let table = made_up("requests/s", &["io_uring", "epoll"], |_| rounds(1.0));
        let grid = Grid::of(&table);
        assert_eq!(
            grid.columns,
            [
                ("locking", Some("io_uring")),
                ("locking", Some("epoll")),
                ("lock-free", Some("io_uring")),
                ("lock-free", Some("epoll")),
                ("work-stealing", Some("io_uring")),
                ("work-stealing", Some("epoll")),
            ]
        );
        assert_eq!(
            grid.rows,
            [
                ("locking", "kernel"),
                ("locking", "last-in-first-out-fixed-size"),
                ("lock-free", "kernel"),
                ("lock-free", "last-in-first-out-fixed-size"),
            ]
        );
        let mut cells: Vec<usize> = grid.cells.concat().into_iter().flatten().collect();
        assert_eq!(grid.cells[3][4], Some(22), "the default is last but one");
        cells.sort_unstable();
        assert_eq!(cells, (0..24).collect::<Vec<_>>());
    }
}
