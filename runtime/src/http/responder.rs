//! Where the answer to a request goes.

use std::fmt;
use std::sync::Arc;

use super::Response;
use crate::FutureError;
use crate::future::{Future, MailboxFull, Outcome, Promise, Returned};

/// Takes the answers to the requests of a connection.
pub(crate) trait Answers: Send + Sync {
    /// The answer to the request of that number, once for each.
    fn answer(&self, number: u64, answer: Answer);

    /// That answer comes when this is ready; to be discarded if nobody wants it any more.
    fn will_answer(&self, number: u64, answered: Future<()>);
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Response),
    /// The handler's future failed, and why.
    Failed(String),
    /// Whoever had it dropped it: the process has ended, or there never was one, or its future was discarded.
    Abandoned,
    /// The process had no room for it.
    Full(MailboxFull),
}

/// The answer that a request is owed, by whoever has this.
///
/// # Drop
///
/// The client is told that there is no answer (503 Service Unavailable); a future of [`request`](crate::request) is abandoned.
///
/// ```
/// use libprocess::http::{Body, Response};
/// use libprocess::{Context, HttpEvent, Process, request, spawn_owned};
///
/// struct Hello;
/// impl Process for Hello {
///     fn consume_http(&mut self, event: HttpEvent, _cx: &mut Context<Self>) {
///         event.into_exchange().response.set(Response::new("hello".into()));
///     }
/// }
///
/// let hello = spawn_owned(Hello);
/// let response = request(hello.pid(), http::Request::new(Body::empty())).get()?;
/// assert_eq!(response.body(), "hello");
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub struct Responder(To);

enum To {
    Promise(Promise<Response>),
    Connection(Arc<dyn Answers>, u64),
    Nobody,
}

impl Responder {
    pub(crate) fn of_promise(promise: Promise<Response>) -> Self {
        Self(To::Promise(promise))
    }

    pub(crate) fn of_connection(answers: Arc<dyn Answers>, number: u64) -> Self {
        Self(To::Connection(answers, number))
    }

    pub(crate) fn of_nobody() -> Self {
        Self(To::Nobody)
    }

    /// Answers with what a handler returned.
    pub(crate) fn give(self, returned: Returned<Response>) {
        match returned {
            Returned::Value(response) => self.set(response),
            Returned::Future(response) => self.associate(response),
        }
    }

    /// Answers.
    ///
    /// ```
    /// # use libprocess::http::Response;
    /// # use libprocess::HttpEvent;
    /// fn serve(event: HttpEvent) {
    ///     event.into_exchange().response.set(Response::new("hello".into()));
    /// }
    /// ```
    pub fn set(mut self, response: Response) {
        match self.take() {
            To::Promise(promise) => {
                promise.set(response);
            }
            To::Connection(answers, number) => answers.answer(number, Answer::Response(response)),
            To::Nobody => {}
        }
    }

    /// Answers with what a future becomes. If it fails the client is told so, with its reason (500 Internal Server Error). Where the client goes away first the future is asked to be discarded.
    ///
    /// ```
    /// # use libprocess::http::Response;
    /// # use libprocess::{Future, HttpEvent};
    /// fn serve(event: HttpEvent, answer: Future<Response>) {
    ///     event.into_exchange().response.associate(answer);
    /// }
    /// ```
    pub fn associate(mut self, response: Future<Response>) {
        match self.take() {
            To::Promise(promise) => {
                promise.associate(response);
            }
            To::Connection(answers, number) => {
                let responder = Self(To::Connection(Arc::clone(&answers), number));
                let answered = response.finally(move |response| responder.settle(response));
                answers.will_answer(number, answered);
            }
            To::Nobody => {}
        }
    }

    fn settle(mut self, response: Result<Response, FutureError>) {
        let answer = match response {
            Ok(response) => return self.set(response),
            Err(FutureError::Failed(reason)) => Answer::Failed(reason.as_ref().to_owned()),
            Err(FutureError::Full(full)) => Answer::Full(full),
            Err(_) => Answer::Abandoned,
        };
        if let To::Connection(answers, number) = self.take() {
            answers.answer(number, answer);
        }
    }

    pub(crate) fn refuse(mut self, full: MailboxFull) {
        match self.take() {
            To::Promise(promise) => {
                promise.settle(Outcome::Full(full));
            }
            To::Connection(answers, number) => answers.answer(number, Answer::Full(full)),
            To::Nobody => {}
        }
    }

    fn take(&mut self) -> To {
        std::mem::replace(&mut self.0, To::Nobody)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let To::Connection(answers, number) = self.take() {
            answers.answer(number, Answer::Abandoned);
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}
