//! How a tenant moves out of its slot.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{RawPid, Slot, Tenant, Ties};
use crate::facade::{lock, weakened};

/// What is to be done before a tenant moves out.
pub(crate) struct Farewell {
    /// To be freed.
    pub(crate) name: Option<Arc<str>>,
    /// To be told.
    pub(crate) linkers: BTreeSet<RawPid>,
}

/// Whether a slot may be used again.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Vacated {
    Free,
    /// Its generations are used up.
    Retired,
}

impl Slot {
    /// Moves the tenant out: from here on the pid names nobody. Gives the rest of its ties. The mailbox is closed.
    ///
    /// Refused while there is a name to be freed (asked for until `nameless`) or a linker to be told: that comes first, so that whoever finds the
    /// pid to name nobody knows that it is done. Most processes have neither, and are moved out in one step. `count_out` is called under the lock, when
    /// nothing is left to be told and the pid names somebody still.
    ///
    /// # Safety
    ///
    /// The caller held the token when it closed the mailbox, and does not call this again once it was done.
    pub(crate) unsafe fn vacate(
        &self,
        limit: u32,
        nameless: bool,
        count_out: &mut dyn FnMut(),
    ) -> Result<(Option<Box<Ties>>, Vacated), Farewell> {
        let mut ties = lock(&self.token.ties);
        if let Some(ties) = ties.as_mut()
            && (!ties.linkers.is_empty() || (ties.name.is_some() && !nameless))
            && !weakened("late-linkers")
        {
            return Err(Farewell {
                name: ties.name.clone().filter(|_| !nameless),
                linkers: std::mem::take(&mut ties.linkers),
            });
        }
        count_out();
        let taken = ties.take();
        // SAFETY: under the `ties` lock; the token is gone.
        self.tenant.with_mut(|tenant| unsafe {
            *tenant = Tenant {
                manager: std::ptr::null(),
                table: None,
            };
        });
        let generation = self.tenancy.generation();
        let vacated = if generation >= limit {
            // No pid has generation 0, so nobody ever compares equal again.
            self.tenancy.end(0);
            Vacated::Retired
        } else {
            self.tenancy.end(generation + 1);
            Vacated::Free
        };
        drop(ties);
        Ok((taken, vacated))
    }
}
