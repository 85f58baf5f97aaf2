//! A client and a server in one runtime, over a pair of sockets: one worker does all of it, one request at a time, so all happens in one order.

use libprocess::http::{Body, ClientOptions, Connection, Limits, Request, ok, serve};
use libprocess::net::UnixStream;

use crate::benchmark::Setting;
use crate::checks::Checks;
use crate::failure::Failure;
use crate::server::{BODY, PATH};

/// A repeat is a request that is sent, read and answered, and whose response is read.
pub(super) fn exchange(setting: &Setting<'_>) -> Result<(), Failure> {
    let repeat = setting.parameters.repeat;
    // In the worker, so that the sockets are its own.
    let exchanged = setting.runtime.spawn_async(exchange_here(repeat));
    let whole = exchanged.get()?.map_err(Failure::CannotServe)?;
    let mut checks = Checks::new();
    checks.equal("responses that were whole", whole, repeat);
    Ok(checks.finish()?)
}

/// How many responses were whole, or what failed.
async fn exchange_here(repeat: u64) -> Result<u64, String> {
    let (client, server) = UnixStream::pair().map_err(|error| error.to_string())?;
    let served = serve(server, Limits::new(), |_request: &Request| ok(BODY));
    let connection = Connection::new(client, &ClientOptions::new());
    let mut whole = 0;
    for _ in 0..repeat {
        let request = http::Request::get(PATH).body(Body::empty());
        let request = request.expect("it is a request");
        let response = connection.send(request).await;
        let response = response.map_err(|error| error.to_string())?;
        whole += u64::from(response.status() == 200 && response.into_body().into_bytes() == BODY);
    }
    let ended = connection.disconnect().await;
    ended.map_err(|error| error.to_string())?;
    served.await.map_err(|error| error.to_string())?;
    Ok(whole)
}
