//! Why a session did not end well.

use std::io;
use std::process::ExitStatus;

use crate::Outcome;
use crate::checks::WrongResult;
use crate::cli::{BadRun, BadSubject};
use crate::compare::{NoPairs, TurnsError};
use crate::gate::{AgainstError, BadBaseline, GateError};
use crate::matrix::{PictureError, Undecided};
use crate::page::NoResults;
use crate::parameters::BadParameters;
use crate::registry::NoMatch;
use crate::save::SaveError;
use crate::saved::BadFile;
use crate::show::NoHistogram;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    NoMatch(#[from] NoMatch),
    #[error(transparent)]
    BadParameters(#[from] BadParameters),
    #[error("the runtime does not start: {0}")]
    Build(#[from] libprocess::BuildError),
    #[error(transparent)]
    WrongResult(#[from] WrongResult),
    #[error("a result did not come: {0}")]
    NoResult(#[from] libprocess::FutureError),
    #[error("a process did not give its value back: {0}")]
    NoValue(#[from] libprocess::JoinError),
    #[error("{0} is told by neither /proc nor the kernel, so there is nothing to measure")]
    Unmeasurable(&'static str),
    #[error("the harness cannot start itself for a run in a process of its own: {0}")]
    CannotIsolate(io::Error),
    #[error("a run in a process of its own failed: {status}")]
    IsolatedRun { status: ExitStatus },
    #[error("a run in a process of its own said what is no result: {0}")]
    IsolatedResult(serde_json::Error),
    #[error("the server ended before it was to end ({status}){hint}")]
    Server {
        status: ExitStatus,
        hint: &'static str,
    },
    #[error("the server said what is no answer: {0:?}")]
    ServerAnswer(String),
    #[error("the server cannot serve: {0}")]
    CannotServe(String),
    #[error("an answer is wrong, as {problem}: {answer:?}")]
    WrongAnswer {
        problem: &'static str,
        answer: String,
    },
    #[error("{what}: {error}")]
    Socket {
        what: &'static str,
        error: io::Error,
    },
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    BadFile(#[from] BadFile),
    #[error(transparent)]
    NoHistogram(#[from] NoHistogram),
    #[error(transparent)]
    NoResults(#[from] NoResults),
    #[error(transparent)]
    NoPairs(#[from] NoPairs),
    #[error(transparent)]
    Turns(#[from] TurnsError),
    #[error(transparent)]
    Undecided(#[from] Undecided),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    BadRun(#[from] BadRun),
    #[error(transparent)]
    BadSubject(#[from] BadSubject),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    BadBaseline(#[from] BadBaseline),
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// What an error of a socket becomes: `what` is what failed.
    pub(crate) fn socket<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Socket {
            what,
            error: error.into(),
        }
    }

    /// Whether there is nothing to say any more: a child has said it, or whoever read has read enough.
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Gate(error) => error.is_told() || self.is_unread(),
            _ => self.is_unread(),
        }
    }

    /// Whether the report is read no further, as by `head`.
    fn is_unread(&self) -> bool {
        let (Self::Output(error) | Self::Gate(GateError::Against(AgainstError::Output(error)))) =
            self
        else {
            return false;
        };
        error.kind() == io::ErrorKind::BrokenPipe
    }

    /// Whether the user asked for what cannot be, or something went wrong.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NoMatch(_)
            | Self::BadParameters(_)
            | Self::BadFile(_)
            | Self::NoHistogram(_)
            | Self::NoResults(_)
            | Self::NoPairs(_)
            | Self::BadSubject(_)
            | Self::BadRun(_)
            | Self::BadBaseline(_)
            | Self::Turns(TurnsError::NoRevision(_) | TurnsError::Features(_)) => Outcome::Misused,
            Self::Gate(error) if error.is_misuse() => Outcome::Misused,
            failure if failure.is_unread() => Outcome::Unread,
            _ => Outcome::Failed,
        }
    }
}
