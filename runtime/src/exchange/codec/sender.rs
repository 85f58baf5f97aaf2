//! Who sends a message: a request of libprocess's between processes, `POST /<id>/<name>`.
//!
//! libprocess has said so by `User-Agent: libprocess/<sender>` from the beginning, and by `Libprocess-From: <sender>` later, so that what is between may change the agent. Each says it alone; two that differ are refused, as one
//! who looks at the other would take it for another's.

use std::ops::Range;

use super::Refusal;
use super::input::offset;

const AGENT: &[u8] = b"libprocess/";

/// Where in the head the sender is; empty, and at the beginning, if none is told.
pub(super) fn of(head: &[u8], fields: &[httparse::Header<'_>]) -> Result<Range<u32>, Refusal> {
    let mut sender: Option<&[u8]> = None;
    for field in fields {
        let said = match field.name.len() {
            10 if field.name.eq_ignore_ascii_case("user-agent") => {
                field.value.strip_prefix(AGENT).map(<[u8]>::trim_ascii)
            }
            15 if field.name.eq_ignore_ascii_case("libprocess-from") => Some(field.value),
            _ => None,
        };
        let Some(said) = said else { continue };
        if sender.is_some_and(|sender| sender != said) {
            return Err(Refusal::bad("two senders are told"));
        }
        sender = Some(said);
    }
    Ok(sender.map_or(0..0, |sender| {
        // A head's length has a limit of far less.
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let start = offset(head, sender);
        place(start)..place(start + sender.len())
    }))
}
