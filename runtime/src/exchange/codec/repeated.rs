//! Header fields that are those of the request before.
//!
//! The requests of a connection mostly differ in their first line: the fields behind it are the same bytes again and again, which is what HPACK (RFC 7541) makes use of in HTTP/2. What such bytes
//! say does not depend on what is before them, so a block of fields that has been read once is compared, not read again. That takes some 30 instructions instead of 900 for a request of two fields.
//!
//! Nothing is accepted here that the long way would not accept: whatever is not plain is left to it. So only it has reasons for a refusal.

use bytes::Bytes;

use super::head::Head;
use super::request::About;
use super::target;
use crate::exchange::Limits;

/// Bytes of a block that is kept: an idle connection has it, too.
const MOST: usize = 1 << 10;
/// Blocks of a connection that were kept for nothing, one behind the other, before none is kept any more.
const MOST_MISSES: u32 = 8;

const VERSION: &[u8] = b" HTTP/1.1\r\n";

/// The fields of the last request that had no body, up to the end of its head.
#[derive(Default)]
pub(super) struct Repeated {
    block: Vec<u8>,
    /// How many fields those are.
    count: usize,
    /// What they say, of a method that is not HEAD.
    about: Option<About>,
    misses: u32,
}

impl Repeated {
    /// The next request, if its head is there and its fields are those of the last.
    #[inline]
    pub(super) fn head(&mut self, input: &mut Bytes, limits: &Limits) -> Option<(Head, About)> {
        let about = self.about?;
        let (method, is_head) = if input.starts_with(b"GET ") {
            ("GET", false)
        } else if input.starts_with(b"HEAD ") {
            ("HEAD", true)
        } else {
            return None;
        };
        let start = method.len() + 1;
        let (path_end, end, kind) = target::plain(input, start)?;
        let fields = input.get(end..)?.strip_prefix(VERSION)?;
        if !fields.starts_with(&self.block) {
            return None;
        }
        let line = end + VERSION.len();
        let length = line + self.block.len();
        if !fits(end - start, line, length, self.count, limits) {
            return None;
        }
        self.misses = 0;
        // A head's length has a limit of far less.
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let head = Head {
            bytes: input.split_to(length),
            target: place(start)..place(end),
            path: place(start)..place(path_end),
            kind,
            is_unpacked: false,
            minor: 1,
        };
        Some((head, About { is_head, ..about }))
    }

    /// A head was read the long way, of a request without a body that expects nothing.
    pub(super) fn keep(&mut self, head: &Head, count: usize, about: About) {
        let line = head.target.end as usize + VERSION.len();
        let block = head.bytes.get(line..).unwrap_or_default();
        if self.misses >= MOST_MISSES || block.len() > MOST || head.minor != 1 {
            // They change with each request, so to keep them would be work for nothing.
            *self = Self {
                misses: self.misses,
                ..Self::default()
            };
            return;
        }
        self.misses += 1;
        self.block.clear();
        self.block.extend_from_slice(block);
        self.count = count;
        self.about = Some(about);
    }
}

/// Whether a request is within the limits: of its target, its first line, its head and the number of its fields.
fn fits(target: usize, line: usize, length: usize, fields: usize, limits: &Limits) -> bool {
    target <= limits.target_bytes
        && line <= super::request::most_line(limits)
        && length <= limits.head_bytes
        && fields <= limits.fields
}
