//! Where the answer to a request goes.

use std::fmt;
use std::sync::Arc;

use ::http::{HeaderValue, StatusCode, header};

use super::Response;
use super::codec::{About, WORTH, pack};
use crate::FutureError;
use crate::future::{Future, MailboxFull, Outcome, Promise, Returned};

/// Takes the answers to the requests of a connection.
pub(crate) trait Answers: Send + Sync {
    /// The answer to a request, once for each.
    fn answer(&self, place: Place, answer: Answer);

    /// Writes the response now if that request is the oldest; else it is to be given.
    fn respond(&self, place: Place, response: &Response) -> bool;

    /// That answer comes when this is ready; to be discarded if nobody wants it any more.
    fn will_answer(&self, number: u64, answered: Future<()>);
}

/// A request of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) about: About,
    /// No other is answered behind it.
    pub(crate) is_last: bool,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing yet: its body is awaited.
    Continue,
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
    Connection(Owed),
    Nobody,
}

/// What a connection is owed. It is told if there is nothing.
struct Owed {
    /// Until there is an answer.
    answers: Option<Arc<dyn Answers>>,
    place: Place,
}

impl Responder {
    pub(crate) fn of_promise(promise: Promise<Response>) -> Self {
        Self(To::Promise(promise))
    }

    #[inline]
    pub(crate) fn of_connection(answers: Arc<dyn Answers>, place: Place) -> Self {
        Self(To::Connection(Owed {
            answers: Some(answers),
            place,
        }))
    }

    #[inline]
    pub(crate) fn of_nobody() -> Self {
        Self(To::Nobody)
    }

    /// Answers with what a handler returned.
    #[inline]
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
    pub fn set(self, mut response: Response) {
        match self.0 {
            To::Promise(promise) => {
                promise.set(with_type(response));
            }
            To::Connection(owed) => {
                let Some((answers, place)) = owed.settle() else {
                    return;
                };
                let concerns_it =
                    response.body().len() >= WORTH || response.status() == StatusCode::NOT_MODIFIED;
                if place.about.accepts_gzip && concerns_it {
                    response = pack(response);
                }
                if !answers.respond(place, &response) {
                    answers.answer(place, Answer::Response(response));
                }
            }
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
    pub fn associate(self, response: Future<Response>) {
        match self.0 {
            To::Promise(promise) => {
                promise.associate(response.then(with_type));
            }
            To::Connection(owed) => {
                let Some((answers, place)) = owed.settle() else {
                    return;
                };
                let responder = Self::of_connection(Arc::clone(&answers), place);
                let answered = response.finally(move |response| responder.settle(response));
                answers.will_answer(place.number, answered);
            }
            To::Nobody => {}
        }
    }

    fn settle(self, response: Result<Response, FutureError>) {
        let answer = match response {
            Ok(response) => return self.set(response),
            Err(FutureError::Failed(reason)) => Answer::Failed(reason.as_ref().to_owned()),
            Err(FutureError::Full(full)) => Answer::Full(full),
            Err(_) => Answer::Abandoned,
        };
        if let To::Connection(owed) = self.0 {
            owed.answer(answer);
        }
    }

    pub(crate) fn refuse(self, full: MailboxFull) {
        match self.0 {
            To::Promise(promise) => {
                promise.settle(Outcome::Full(full));
            }
            To::Connection(owed) => owed.answer(Answer::Full(full)),
            To::Nobody => {}
        }
    }
}

impl Owed {
    /// For who answers.
    #[inline]
    fn settle(mut self) -> Option<(Arc<dyn Answers>, Place)> {
        Some((self.answers.take()?, self.place))
    }

    fn answer(self, answer: Answer) {
        if let Some((answers, place)) = self.settle() {
            answers.answer(place, answer);
        }
    }
}

/// With the field that a connection would have made of the body's type.
fn with_type(mut response: Response) -> Response {
    if let Some(media_type) = response.body().media_type() {
        response
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(media_type));
    }
    response
}

impl Drop for Owed {
    #[inline]
    fn drop(&mut self) {
        if let Some(answers) = self.answers.take() {
            abandon(&*answers, self.place);
        }
    }
}

// Apart, as it is rare, and to drop what was settled is nothing then.
#[cold]
fn abandon(answers: &dyn Answers, place: Place) {
    answers.answer(place, Answer::Abandoned);
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}
