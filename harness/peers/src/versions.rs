//! Which versions are compared.

use crate::peers::{Peer, Place};

/// What was built is what is locked.
const LOCKED: &str = include_str!("../Cargo.lock");

/// The version of a peer; `None` if it is not installed.
pub(crate) fn version(peer: Peer) -> Option<String> {
    match peer.place() {
        Place::Outside(program) => program.version(),
        Place::Here(_) => {
            let name = match peer {
                Peer::TokioUnbounded => Peer::Tokio.name(),
                _ => peer.name(),
            };
            locked(LOCKED, name)
        }
    }
}

fn locked(lock: &str, name: &str) -> Option<String> {
    let mut packages = lock.split("[[package]]");
    let package = packages.find(|package| value(package, "name") == Some(name))?;
    value(package, "version").map(str::to_owned)
}

fn value<'a>(package: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = package.lines().filter_map(|line| line.split_once(" = "));
    let (_, value) = pairs.find(|(found, _)| *found == key)?;
    Some(value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package_of_this_name() {
        let lock = "version = 4\n\n[[package]]\nname = \"xtra-macros\"\nversion = \"2.0.0\"\n\n\
            [[package]]\nname = \"xtra\"\nversion = \"0.6.0\"\n";
        assert_eq!(locked(lock, "xtra").as_deref(), Some("0.6.0"));
        assert_eq!(locked(lock, "xtr"), None);
    }

    #[test]
    fn each_library_is_locked() {
        for peer in Peer::ALL {
            if let Place::Here(_) = peer.place() {
                assert!(version(peer).is_some(), "{}", peer.name());
            }
        }
    }
}
