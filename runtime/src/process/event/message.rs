use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use super::block::{EventBox, EventKind, Table, table_of};
use super::pointer::BlockOf;
use crate::process::Upid;

/// A named message: what [`Context::send`](crate::Context::send) and [`post`](crate::post) deliver.
#[derive(Clone, Debug)]
pub struct Message {
    /// The name, by which a handler is found. Text that is known at compile time costs no allocation.
    pub name: Cow<'static, str>,
    /// The sender; [`Upid::nobody`] if the message was `post`ed.
    pub from: Upid,
    /// The body. Shared, not copied.
    pub body: Bytes,
}

/// A message that a process is being served.
///
/// It owns the block in which the message travelled: nothing is copied to serve it, and dropping it frees the block.
///
/// ```
/// use libprocess::{Context, MessageEvent, Process};
///
/// struct Echo;
/// impl Process for Echo {
///     fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
///         if event.name == "ping" {
///             cx.send(&event.from, "pong", event.body.clone());
///         }
///     }
/// }
/// ```
pub struct MessageEvent(BlockOf<Message>);

impl MessageEvent {
    const TABLE: &'static Table = &table_of::<Message>(EventKind::Message);

    // Always inlined, and the conversions inside: so that what they make goes straight into the block.
    #[inline(always)]
    pub(crate) fn allocate(
        name: impl Into<Cow<'static, str>>,
        from: Upid,
        body: impl Into<Bytes>,
    ) -> EventBox {
        // SAFETY: the table is the one of `Message`, and all of its fields are written.
        unsafe {
            EventBox::allocate_with(Self::TABLE, |message: *mut Message| {
                let (name, body) = (name.into(), body.into());
                (&raw mut (*message).name).write(name);
                (&raw mut (*message).from).write(from);
                (&raw mut (*message).body).write(body);
            })
        }
    }

    /// # Safety
    ///
    /// The block's payload is a `Message`.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        // SAFETY: by the contract.
        Self(unsafe { BlockOf::from_box(event) })
    }

    #[inline]
    pub(crate) fn into_box(self) -> EventBox {
        self.0.into_box()
    }

    /// The message by value; frees the block.
    #[inline]
    pub fn into_message(self) -> Message {
        self.0.into_payload()
    }
}

/// The way back from [`into_message`](MessageEvent::into_message): for who has a message [handled](crate::Context::handle) that did not come by itself, or came before its time.
///
/// ```
/// use libprocess::{Context, Message, MessageEvent, Process, dispatch_with, post, spawn_owned};
///
/// /// Serves nothing before it is ready.
/// #[derive(Default)]
/// struct Late { ready: bool, early: Vec<Message>, served: u32 }
/// impl Process for Late {
///     fn initialize(&mut self, cx: &mut Context<Self>) {
///         cx.install("work", |late, _event, _cx| late.served += 1);
///     }
///     fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
///         match self.ready {
///             true => cx.handle(self, event),
///             false => self.early.push(event.into_message()),
///         }
///     }
/// }
///
/// let late = spawn_owned(Late::default());
/// post(late.pid(), "work", "");
/// let served = dispatch_with(late.pid(), |late, cx| {
///     late.ready = true;
///     for message in std::mem::take(&mut late.early) {
///         cx.handle(late, message.into());
///     }
///     late.served
/// });
/// assert_eq!(served.get(), Ok(1));
/// ```
impl From<Message> for MessageEvent {
    fn from(message: Message) -> Self {
        let event = Self::allocate(message.name, message.from, message.body);
        // SAFETY: a block with a `Message` in it was just made.
        unsafe { Self::from_box(event) }
    }
}

impl Deref for MessageEvent {
    type Target = Message;

    #[inline]
    fn deref(&self) -> &Message {
        &self.0
    }
}

impl DerefMut for MessageEvent {
    #[inline]
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.0
    }
}

impl fmt::Debug for MessageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
