//! Telling of processes that would wait for each other.

use std::fmt;

use super::{RawPid, Upid};
use crate::future::WaitCycle;

impl WaitCycle {
    /// The processes: the one whose call was refused, the one that it would have waited for, and so on; the last waits for the first.
    pub fn processes(&self) -> Vec<Upid> {
        let pids = self.owners().iter().copied().filter_map(RawPid::from_bits);
        pids.map(Upid::local).collect()
    }
}

impl fmt::Display for WaitCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes = self.processes();
        f.write_str("this would never return: ")?;
        for (place, process) in processes.iter().enumerate() {
            let process = process.known();
            match place {
                0 => write!(f, "{process}")?,
                1 => write!(f, " would wait for {process}")?,
                _ => write!(f, ", which waits for {process}")?,
            }
        }
        match processes.len() {
            1 => f.write_str(" would wait for itself"),
            _ => f.write_str(", which waits for the first"),
        }?;
        f.write_str("; use `then` or `link` instead of blocking")
    }
}

impl fmt::Debug for WaitCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.processes()).finish()
    }
}

impl std::error::Error for WaitCycle {}
