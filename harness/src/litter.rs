//! What programs that were killed have left behind: files and folders whose names end with the number of the process that made them.

use std::fs;
use std::path::Path;

/// Removes those in this folder whose processes are gone; `owner` gives the number that is in such a name. To be called before this process makes one itself: what has
/// its own number is of an earlier process that had the same. That something cannot be removed is no reason not to go on.
pub(crate) fn remove(folder: &Path, owner: impl Fn(&str) -> Option<&str>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| owner(name)?.parse::<u32>().ok());
        if let Some(process) = process
            && (process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists())
        {
            let path = entry.path();
            let _left_behind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(path),
                _ => fs::remove_file(path),
            };
        }
    }
}
