//! The process `help`: which processes there are, which routes they have, and what is said of these.

use std::time::Duration;

use ::http::StatusCode;

use crate::FutureError;
use crate::exchange::{Body, Response, not_found, text};
use crate::future::{Future, await_all};
use crate::process::{Context, HttpEvent, Process, Routes, ask_all, ask_one, in_current};

/// Processes that are asked for the index. Who has more finds the others by their ids.
const MOST: usize = 1_000;
/// For how long a busy process is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves `/help`, `/help/<id>` and `/help/<id>/<route>`, as libprocess's own does: in Markdown.
pub(crate) struct Help;

impl Process for Help {
    fn prefix() -> &'static str {
        "help"
    }

    fn consume_http(&mut self, event: HttpEvent, _cx: &mut Context<Self>) {
        let path = event.route().map(|route| route.into_owned());
        let response = match path.as_deref() {
            None => Future::ready(not_found()),
            Some("") => index(),
            Some(path) => {
                let (id, route) = path.split_once('/').unwrap_or((path, ""));
                of_process(id.to_owned(), route.to_owned())
            }
        };
        event.into_exchange().response.associate(response);
    }
}

fn markdown(text: String) -> Response {
    Response::new(Body::of_type("text/x-markdown", text))
}

/// Those that have routes, and have told so in time.
fn index() -> Future<Response> {
    let asked = in_current(|manager| manager.map(|manager| ask_all(manager, MOST)));
    let (ids, told): (Vec<_>, Vec<_>) = asked.unwrap_or_default().into_iter().unzip();
    let told: Vec<Future<Routes>> = told.into_iter().map(in_time).collect();
    await_all(told).then(move |told: Vec<Result<Routes, FutureError>>| {
        let mut ids: Vec<String> = ids
            .into_iter()
            .zip(told)
            .filter_map(|(id, told)| {
                let routes = told.ok()?;
                (!routes.is_empty()).then_some(id)
            })
            .collect();
        ids.sort();
        let links = ids.into_iter().map(|id| (id.clone(), format!("help/{id}")));
        page("## HELP ##", links)
    })
}

fn in_time(told: Future<Routes>) -> Future<Routes> {
    told.after(PATIENCE, |_busy: Future<Routes>| {
        Future::<Routes>::failed("the process is busy")
    })
}

fn of_process(id: String, route: String) -> Future<Response> {
    let asked = in_current(|manager| manager.and_then(|manager| ask_one(manager, &id)));
    let Some(asked) = asked else {
        return Future::ready(not_found());
    };
    in_time(asked)
        .then(move |routes: Routes| {
            if route.is_empty() {
                let links = routes.into_iter().map(|(path, _)| format!("{id}{path}"));
                return page(
                    &format!("## `/{id}` ##"),
                    links.map(|path| (path.clone(), path)),
                );
            }
            let asked = format!("/{route}");
            match routes.into_iter().find(|(path, _)| *path == asked) {
                Some((path, help)) => markdown(format!("### `/{id}{path}` ###\n\n{help}\n")),
                None => not_found(),
            }
        })
        .repair(|error| text(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// A title, and links: what each is called, and where it leads.
fn page(title: &str, links: impl Iterator<Item = (String, String)>) -> Response {
    let (mut list, mut targets) = (format!("{title}\n"), String::new());
    for (name, target) in links {
        list += &format!("> [/{name}][{name}]\n");
        targets += &format!("[{name}]: {target}\n");
    }
    markdown(format!("{list}\n{targets}"))
}
