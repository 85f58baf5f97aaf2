//! Header fields that are those of the request before.
//!
//! The requests of a connection mostly differ in their first line: the fields behind it are the same bytes again and again, which is what HPACK (RFC 7541) makes use of in HTTP/2. What such bytes
//! say does not depend on what is before them, so a block of fields that has been read once is compared, not read again. That takes some 30 instructions instead of 900 for a request of two fields.
//!
//! Two blocks are kept: that of the last request without a body, and that of the last one with a body in chunks, as messages between processes have them.
//!
//! Nothing is accepted here that the long way would not accept: whatever is not plain is left to it. So only it has reasons for a refusal.

use std::ops::Range;

use bytes::Bytes;

use super::fields::Framing;
use super::head::Head;
use super::request::About;
use super::target;
use crate::exchange::Limits;

/// Bytes of a block that is kept: an idle connection has it, too.
const MOST: usize = 1 << 10;
/// Blocks of a connection that were kept for nothing, one behind the other, before none is kept any more.
const MOST_MISSES: u32 = 8;

const VERSION: &[u8] = b" HTTP/1.1\r\n";

#[derive(Default)]
pub(super) struct Repeated {
    bodiless: Option<Block>,
    chunked: Option<Block>,
    misses: u32,
}

/// The fields of a request, up to the end of its head.
struct Block {
    bytes: Vec<u8>,
    /// How many fields those are.
    count: usize,
    /// What they say, of a method that is not HEAD.
    about: About,
    /// Where in the block the sender of a message is: looked for if the request was a POST, as that alone can be a message.
    sender: Option<Range<u32>>,
}

/// A head whose fields were known.
pub(super) struct Again {
    pub(super) head: Head,
    pub(super) about: About,
    pub(super) framing: Framing,
}

impl Repeated {
    /// The next request, if its head is there and its fields are known. Inlined, as [`next`](super::request::RequestDecoder::next) is.
    #[inline(always)]
    pub(super) fn head(&mut self, input: &mut Bytes, limits: &Limits) -> Option<Again> {
        if self.bodiless.is_none() && self.chunked.is_none() {
            return None;
        }
        let (method, is_head) = if input.starts_with(b"GET ") {
            ("GET", false)
        } else if input.starts_with(b"POST ") {
            ("POST", false)
        } else if input.starts_with(b"HEAD ") {
            ("HEAD", true)
        } else {
            return None;
        };
        let is_post = method == "POST";
        let start = method.len() + 1;
        let (path_end, end, kind) = target::plain(input, start)?;
        let fields = input.get(end..)?.strip_prefix(VERSION)?;
        let known = |block: &Option<Block>| {
            block.as_ref().is_some_and(|block| {
                (block.sender.is_some() || !is_post) && fields.starts_with(&block.bytes)
            })
        };
        let (block, framing) = if known(&self.bodiless) {
            (self.bodiless.as_ref()?, Framing::Length(0))
        } else if known(&self.chunked) {
            (self.chunked.as_ref()?, Framing::Chunked)
        } else {
            return None;
        };
        let line = end + VERSION.len();
        let length = line + block.bytes.len();
        if !fits(end - start, line, length, block.count, limits) {
            return None;
        }
        self.misses = 0;
        // A head's length has a limit of far less.
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let sender = match &block.sender {
            // Empty, it is still told from none: a field's name is before it.
            Some(sender) if is_post && sender.start != 0 => {
                place(line) + sender.start..place(line) + sender.end
            }
            _ => 0..0,
        };
        let head = Head {
            bytes: input.split_to(length),
            target: place(start)..place(end),
            path: place(start)..place(path_end),
            kind,
            is_unpacked: false,
            minor: 1,
            sender,
        };
        let about = About {
            is_head,
            ..block.about
        };
        Some(Again {
            head,
            about,
            framing,
        })
    }

    /// A head was read the long way, whose fields say nothing else of a body than that it comes in chunks, or that there is none.
    pub(super) fn keep(&mut self, head: &Head, count: usize, about: About, framing: Framing) {
        let line = head.target.end as usize + VERSION.len();
        let bytes = head.bytes.get(line..).unwrap_or_default();
        if self.misses >= MOST_MISSES || bytes.len() > MOST || head.minor != 1 {
            // They change with each request, so to keep them would be work for nothing.
            *self = Self {
                misses: self.misses,
                ..Self::default()
            };
            return;
        }
        self.misses += 1;
        let kept = match framing {
            Framing::Chunked => &mut self.chunked,
            _ => &mut self.bodiless,
        };
        let mut room = kept.take().map(|block| block.bytes).unwrap_or_default();
        room.clear();
        room.extend_from_slice(bytes);
        let is_post = head.bytes.starts_with(b"POST ");
        *kept = Some(Block {
            bytes: room,
            count,
            about: About {
                is_head: false,
                ..about
            },
            sender: is_post.then(|| match head.sender.start {
                0 => 0..0,
                start => {
                    let line = u32::try_from(line).unwrap_or(u32::MAX);
                    start - line..head.sender.end - line
                }
            }),
        });
    }
}

/// Whether a request is within the limits: of its target, its first line, its head and the number of its fields.
fn fits(target: usize, line: usize, length: usize, fields: usize, limits: &Limits) -> bool {
    target <= limits.target_bytes
        && line <= super::request::most_line(limits)
        && length <= limits.head_bytes
        && fields <= limits.fields
}
