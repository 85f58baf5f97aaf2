//! Messages that are protobuf messages: as libprocess's `ProtobufProcess` sends and takes them.
//!
//! A message's name is the full name of its protobuf type, such as `mesos.internal.RegisterSlaveMessage`, and its body is what protobuf encodes it as. So it
//! is a message as any other to whoever passes it on, counts or filters it, and C++ libprocess takes and sends the same bytes.

use std::marker::PhantomData;

use bytes::Bytes;
use prost::{DecodeError, Name};

use crate::process::{Context, Message, MessageEvent, Process, Recipient, Upid, by_type};
use crate::runtime::Runtime;

/// The full name of a type of messages, which prost makes anew whenever it is asked for.
struct FullName<M> {
    name: String,
    of: PhantomData<fn() -> M>,
}

/// The same text at the same address for ever: so that to send allocates nothing for it, and a handler is found by the address.
fn name_of<M: Name + 'static>() -> &'static str {
    let full_name = by_type::the_one(|| FullName::<M> {
        name: M::full_name(),
        of: PhantomData,
    });
    &full_name.name
}

/// In one block of memory of the exact length.
fn encode<M: Name>(message: &M) -> Bytes {
    message.encode_to_vec().into()
}

impl<P: Process> Context<P> {
    /// Has protobuf messages of the type `M` served by `handler`, which gets the sender and the message; a handler or delegate that was there is replaced.
    ///
    /// Messages are found by the full name of `M`, as [`install`](Self::install) finds them by theirs. While the handler runs [`reply`](Self::reply) answers the
    /// sender. The sender is [nobody](Upid::nobody) if the message was posted.
    ///
    /// A body that does not decode reaches no handler: it is logged at the level WARN, with its sender, its name and the reason, counted as
    /// [`unhandled`](crate::Statistics::unhandled), and dropped. In proto2 a required field that is missing is no such thing: prost takes its default.
    ///
    /// Decoding reads the body as [`Bytes`]: a field of that type shares it, and copies nothing.
    ///
    /// A function, or a closure that captures nothing, costs no memory per process.
    ///
    /// ```
    /// use libprocess::{Context, Process, Upid, dispatch_with, post_protobuf, spawn_owned};
    ///
    /// // Mostly prost-build makes these two of a .proto file.
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct Register {
    ///     #[prost(string, tag = "1")]
    ///     host: String,
    /// }
    /// impl prost::Name for Register {
    ///     const PACKAGE: &'static str = "example";
    ///     const NAME: &'static str = "Register";
    /// }
    ///
    /// #[derive(Default)]
    /// struct Master { hosts: Vec<String> }
    /// impl Process for Master {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install_protobuf(Self::register);
    ///     }
    /// }
    /// impl Master {
    ///     fn register(&mut self, _from: &Upid, message: Register, _cx: &mut Context<Self>) {
    ///         self.hosts.push(message.host);
    ///     }
    /// }
    ///
    /// let master = spawn_owned(Master::default());
    /// post_protobuf(master.pid(), &Register { host: "agent-1".into() });
    /// let hosts = dispatch_with(master.pid(), |master, _| master.hosts.clone());
    /// assert_eq!(hosts.get()?, ["agent-1"]);
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    ///
    /// A closure is told the type: `cx.install_protobuf::<Register>(|master, from, message, cx| …)`.
    pub fn install_protobuf<M>(
        &mut self,
        handler: impl Fn(&mut P, &Upid, M, &mut Context<P>) + Send + 'static,
    ) where
        M: Name + Default + 'static,
    {
        // Captures no more than the handler does, which is mostly nothing, so that no process has it for itself.
        let serve = move |process: &mut P, event: MessageEvent, cx: &mut Context<P>| {
            // The block is free before the handler needs one for its answer.
            let Message { from, body, .. } = event.into_message();
            match M::decode(body) {
                Ok(message) => {
                    let answering = Answering::begin(cx, from.clone());
                    handler(process, &from, message, &mut *answering.cx);
                }
                Err(error) => drop_malformed(cx, &from, name_of::<M>(), &error),
            }
        };
        self.install(name_of::<M>(), serve);
    }

    /// Sends a protobuf message, under the full name of its type. As [`send`](Self::send) in all else.
    ///
    /// The body is one block of memory of the exact length, and the name takes none after the first message of the type.
    ///
    /// ```
    /// use libprocess::{Context, Process, dispatch_with, spawn_owned};
    ///
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct Beat {
    ///     #[prost(uint64, tag = "1")]
    ///     number: u64,
    /// }
    /// impl prost::Name for Beat {
    ///     const PACKAGE: &'static str = "example";
    ///     const NAME: &'static str = "Beat";
    /// }
    ///
    /// #[derive(Default)]
    /// struct Listener { heard: u64 }
    /// impl Process for Listener {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install_protobuf::<Beat>(|listener, _from, beat, _cx| listener.heard = beat.number);
    ///     }
    /// }
    /// struct Heart;
    /// impl Process for Heart {}
    ///
    /// let (listener, heart) = (spawn_owned(Listener::default()), spawn_owned(Heart));
    /// let to = listener.pid();
    /// dispatch_with(heart.pid(), move |_, cx| cx.send_protobuf(to, &Beat { number: 7 })).get()?;
    /// assert_eq!(dispatch_with(to, |listener, _| listener.heard).get()?, 7);
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn send_protobuf<M>(&mut self, to: impl Recipient, message: &M)
    where
        M: Name + 'static,
    {
        self.send(to, name_of::<M>(), encode(message));
    }

    /// Answers the sender of the protobuf message whose handler runs, with a protobuf message.
    ///
    /// To answer later, in a `then` for one, keep the sender that the handler is lent, and [send](Self::send_protobuf).
    ///
    /// An answer to nobody is a dead letter: that to a message that was posted, and one that is given while no handler of
    /// [`install_protobuf`](Self::install_protobuf) runs, which is a mistake of the process, and logged at the level WARN. (C++ libprocess ends the program in both cases.)
    ///
    /// ```
    /// use libprocess::{Context, Pid, Process, Promise, Upid, spawn_owned};
    ///
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct Ping {}
    /// impl prost::Name for Ping {
    ///     const PACKAGE: &'static str = "example";
    ///     const NAME: &'static str = "Ping";
    /// }
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct Pong {
    ///     #[prost(uint32, tag = "1")]
    ///     served: u32,
    /// }
    /// impl prost::Name for Pong {
    ///     const PACKAGE: &'static str = "example";
    ///     const NAME: &'static str = "Pong";
    /// }
    ///
    /// #[derive(Default)]
    /// struct Server { served: u32 }
    /// impl Process for Server {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install_protobuf(Self::ping);
    ///     }
    /// }
    /// impl Server {
    ///     fn ping(&mut self, _from: &Upid, _ping: Ping, cx: &mut Context<Self>) {
    ///         self.served += 1;
    ///         cx.reply(&Pong { served: self.served });
    ///     }
    /// }
    ///
    /// struct Client { server: Pid<Server>, answered: Option<Promise<u32>> }
    /// impl Process for Client {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install_protobuf::<Pong>(|client, _from, pong, _cx| {
    ///             if let Some(answered) = client.answered.take() {
    ///                 answered.set(pong.served);
    ///             }
    ///         });
    ///         cx.send_protobuf(self.server, &Ping {});
    ///     }
    /// }
    ///
    /// let server = spawn_owned(Server::default());
    /// let (answered, answer) = Promise::pair();
    /// let _client = spawn_owned(Client { server: server.pid(), answered: Some(answered) });
    /// assert_eq!(answer.get()?, 1);
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn reply<M>(&mut self, message: &M)
    where
        M: Name + 'static,
    {
        let to = match self.answered() {
            Some(sender) => sender.clone(),
            None => {
                warn_of_reply(self.pid().upid(), name_of::<M>());
                Upid::nobody()
            }
        };
        self.send_protobuf(to, message);
    }
}

/// While a handler runs its context knows whom it answers.
struct Answering<'a, P: Process> {
    cx: &'a mut Context<P>,
    /// A handler may have another message served, and go on.
    before: Option<Upid>,
}

impl<'a, P: Process> Answering<'a, P> {
    fn begin(cx: &'a mut Context<P>, sender: Upid) -> Self {
        let before = cx.answered().replace(sender);
        Self { cx, before }
    }
}

impl<P: Process> Drop for Answering<'_, P> {
    fn drop(&mut self) {
        *self.cx.answered() = self.before.take();
    }
}

#[cold]
fn drop_malformed<P: Process>(cx: &Context<P>, from: &Upid, name: &str, error: &DecodeError) {
    cx.count_unhandled();
    let to = cx.pid().upid();
    tracing::warn!(%from, %to, name, %error, "a protobuf message does not decode, and is dropped");
}

#[cold]
fn warn_of_reply(process: Upid, name: &str) {
    tracing::warn!(%process, name, "a reply while no protobuf message is served: it goes to nobody");
}

/// Sends a protobuf message from nobody, under the full name of its type. As [`post`](crate::post) in all else.
///
/// ```
/// use libprocess::{Context, MessageEvent, Process, dispatch_with, post_protobuf, spawn_owned};
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Stop {}
/// impl prost::Name for Stop {
///     const PACKAGE: &'static str = "example.control";
///     const NAME: &'static str = "Stop";
/// }
///
/// #[derive(Default)]
/// struct Names(Vec<String>);
/// impl Process for Names {
///     fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
///         self.0.push(event.name.to_string());
///     }
/// }
///
/// let names = spawn_owned(Names::default());
/// post_protobuf(names.pid(), &Stop {});
/// assert_eq!(dispatch_with(names.pid(), |names, _| names.0.clone()).get()?, ["example.control.Stop"]);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub fn post_protobuf<M>(to: impl Recipient, message: &M)
where
    M: Name + 'static,
{
    crate::post(to, name_of::<M>(), encode(message));
}

impl Runtime {
    /// See [`post_protobuf`](crate::post_protobuf).
    ///
    /// ```
    /// use libprocess::{Process, Runtime};
    ///
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct Stop {}
    /// impl prost::Name for Stop {
    ///     const PACKAGE: &'static str = "example.control";
    ///     const NAME: &'static str = "Stop";
    /// }
    ///
    /// struct Deaf;
    /// impl Process for Deaf {}
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let deaf = runtime.spawn_owned(Deaf);
    /// runtime.post_protobuf(deaf.pid(), &Stop {});
    /// deaf.terminate_after_pending();
    /// deaf.join()?;
    /// assert_eq!(runtime.stats().unhandled, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn post_protobuf<M>(&self, to: impl Recipient, message: &M)
    where
        M: Name + 'static,
    {
        self.post(to, name_of::<M>(), encode(message));
    }
}
