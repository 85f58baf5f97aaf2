use std::borrow::Cow;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use super::block::{EventBox, EventKind, Table, table_of};
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
pub struct MessageEvent(ManuallyDrop<EventBox>);

impl MessageEvent {
    const TABLE: &'static Table = &table_of::<Message>(EventKind::Message);

    // Always inlined, so that the caller's stores go straight into the block.
    #[inline(always)]
    pub(crate) fn allocate(name: Cow<'static, str>, from: Upid, body: Bytes) -> EventBox {
        // SAFETY: the table is the one of `Message`, and all of its fields are written.
        unsafe {
            EventBox::allocate_with(Self::TABLE, |message: *mut Message| {
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
        Self(ManuallyDrop::new(event))
    }

    #[inline]
    pub(crate) fn into_box(self) -> EventBox {
        let mut event = ManuallyDrop::new(self);
        // SAFETY: `self` is never used nor dropped again, so the box is moved out once.
        unsafe { ManuallyDrop::take(&mut event.0) }
    }

    /// The message by value; frees the block.
    #[inline]
    pub fn into_message(self) -> Message {
        // SAFETY: a `MessageEvent` is only made of a block with a `Message` in it.
        unsafe { self.into_box().into_payload() }
    }
}

impl Deref for MessageEvent {
    type Target = Message;

    #[inline]
    fn deref(&self) -> &Message {
        // SAFETY: a `MessageEvent` is only made of a block with a `Message` in it.
        unsafe { self.0.payload() }
    }
}

impl DerefMut for MessageEvent {
    #[inline]
    fn deref_mut(&mut self) -> &mut Message {
        // SAFETY: a `MessageEvent` is only made of a block with a `Message` in it.
        unsafe { self.0.payload_mut() }
    }
}

impl Drop for MessageEvent {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the event is being dropped, so the box is moved out once.
        let event = unsafe { ManuallyDrop::take(&mut self.0) };
        // SAFETY: as `deref`.
        unsafe { event.free_as::<Message>() };
    }
}

impl fmt::Debug for MessageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
