//! What is known of a process's type where the type itself is not.

use std::any::TypeId;

use super::routes::{Routes, ask};
use super::{Process, RawPid};
use crate::future::Future;

#[derive(Debug)]
pub(crate) struct ProcessTable {
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) prefix: fn() -> &'static str,
    #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
    pub(super) ask_routes: fn(RawPid) -> Future<Routes>,
}

impl ProcessTable {
    pub(crate) const fn of<P: Process>() -> &'static Self {
        const {
            &ProcessTable {
                type_id: TypeId::of::<P>,
                prefix: P::prefix,
                ask_routes: ask::<P>,
            }
        }
    }
}

/// The last part of a type's path, without its parameters: `Adder` of `my_crate::Adder<u8>`.
pub(crate) fn short_type_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
