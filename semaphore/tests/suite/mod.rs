//! The behaviour of every [`Semaphore`](libprocess_semaphore::Semaphore), as functions generic over
//! the kind.

pub(crate) mod accounting;
pub(crate) mod deadlines;
pub(crate) mod decommissioning;
pub(crate) mod idling;
pub(crate) mod signals;
