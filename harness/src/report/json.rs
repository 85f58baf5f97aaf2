//! One JSON object on a line for each benchmark, and nothing else.

use std::io::{self, Write};
use std::path::Path;

use super::Report;
use crate::record::Record;

pub(crate) struct JsonReport<'a> {
    output: &'a mut dyn Write,
}

impl<'a> JsonReport<'a> {
    pub(crate) fn new(output: &'a mut dyn Write) -> Self {
        Self { output }
    }
}

impl Report for JsonReport<'_> {
    fn finish(&mut self, record: &Record) -> io::Result<()> {
        let line = serde_json::to_string(record)?;
        writeln!(self.output, "{line}")?;
        // A reader at the other end of a pipe need not wait for the other benchmarks.
        self.output.flush()
    }

    fn saved(&mut self, path: &Path) -> io::Result<()> {
        eprintln!("saved to {}", path.display());
        Ok(())
    }
}
