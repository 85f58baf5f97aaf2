//! A process of libprocess as a web service.

use libprocess::http::{Body, Request, Response};
use libprocess::{Context, Process, ReactorKind, SpawnOptions};

use super::super::runtime::{builder, started};
use super::super::{ADDRESS, Started};
use super::{BODY, CONTENT_TYPE, PATH};
use crate::cli::ServeArguments;
use crate::failure::Failure;

/// Answers with a text.
struct Plaintext;

impl Process for Plaintext {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route("/", "Says hello.", Self::hello);
    }
}

impl Plaintext {
    fn hello(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        Response::new(Body::of_type(CONTENT_TYPE, BODY))
    }
}

/// The runtime's own listener, and the process, whose id is the path.
pub(super) fn start(reactor: ReactorKind, arguments: &ServeArguments) -> Result<Started, Failure> {
    let runtime = builder(reactor, arguments).listen(ADDRESS).build()?;
    let options = SpawnOptions::new().name(PATH.trim_start_matches('/'));
    runtime
        .spawn_with(options, Plaintext)
        .map_err(|error| Failure::CannotServe(error.to_string()))?;
    started(runtime)
}
