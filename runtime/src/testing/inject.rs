//! Events that did not happen.

use crate::process::{ExitReason, ExitedEvent, Recipient, send};

/// Has `to` served the news that `from` has ended, which goes on living. False if `to` has ended, or is not here.
///
/// ```
/// use libprocess::testing::inject;
/// use libprocess::{Context, Process, Runtime, Upid, await_ready, dispatch_with};
///
/// #[derive(Default)]
/// struct Watching { heard: Vec<Upid> }
/// impl Process for Watching {
///     fn exited(&mut self, pid: &Upid, _cx: &mut Context<Self>) { self.heard.push(pid.clone()); }
/// }
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// let (one, other) = (runtime.spawn(Watching::default()), runtime.spawn(Watching::default()));
/// assert!(inject::exited(one, other));
/// let heard = dispatch_with(other, |watching, _cx| watching.heard.clone());
/// assert_eq!(await_ready!(heard), [one.upid()]);
/// # Ok::<(), libprocess::BuildError>(())
/// ```
pub fn exited(from: impl Recipient, to: impl Recipient) -> bool {
    let pid = from.to_upid();
    let id = pid.id().unwrap_or_default().into();
    let event = ExitedEvent {
        pid,
        id,
        reason: ExitReason::Unknown,
    };
    match send::resolve(&to.to_upid()) {
        Some(to) => send::deliver(to, event.allocate()),
        None => false,
    }
}
