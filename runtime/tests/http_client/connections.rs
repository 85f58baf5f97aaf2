//! What is asked on one connection, several at a time.

use super::*;

#[test]
fn several_are_asked_at_a_time() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let responses = ["/1", "/2", "/3"].map(|path| connection.send(asked(path)));
        let heads = [(); 3].map(|()| head(&mut stream));
        for (head, path) in heads.iter().zip(["/1", "/2", "/3"]) {
            assert!(head.starts_with(&format!("GET {path} ")), "{head}");
        }
        // What is told before belongs to none; the second has no body, the third is of an older kind.
        stream
            .write_all(
                b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nEnd: b\r\n\r\n\
                  HTTP/1.1 204 No Content\r\n\r\nHTTP/1.0 200 OK\r\n\r\nall that comes",
            )
            .expect("sent");
        drop(stream);
        let responses = responses.map(|response| ready(response).expect("an answer"));
        assert_eq!(responses[0].body(), "a");
        assert_eq!(responses[0].body().trailers().expect("some")["end"], "b");
        assert_eq!(responses[1].status(), 204);
        assert_eq!(responses[1].body(), "");
        assert_eq!(responses[2].body(), "all that comes");
        ready(connection.disconnected()).expect("told");
        assert!(connection.send(asked("/4")).is_failed());
    });
}

#[test]
fn a_connection_ends_when_it_is_told_to() {
    on_each(|runtime| {
        let server = Played::new();
        // By the request.
        let (connection, mut stream) = server.connected(runtime);
        let last = http::Request::get("/").header("connection", "close");
        let last = connection.send(last.body(Body::empty()).expect("a request"));
        assert!(why(connection.send(asked("/"))).contains("ends behind"));
        assert!(head(&mut stream).contains("Connection: close\r\n"));
        answer(&mut stream, "bye");
        assert_eq!(ready(last).expect("an answer").body(), "bye");
        is_closed(stream);

        // By the server.
        let (connection, mut stream) = server.connected(runtime);
        let (first, second) = (connection.send(asked("/1")), connection.send(asked("/2")));
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .expect("sent");
        assert_eq!(ready(first).expect("an answer").body(), "");
        assert!(why(second).contains("earlier response"));
        is_closed(stream);

        // By its owner, at once.
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send(asked("/"));
        head(&mut stream);
        ready(connection.disconnect()).expect("it ends");
        assert!(why(response).contains("by this side"));
        is_closed(stream);

        // And when nobody has it any more, behind what was asked.
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send(asked("/"));
        drop(connection);
        head(&mut stream);
        answer(&mut stream, "late");
        assert_eq!(ready(response).expect("an answer").body(), "late");
        is_closed(stream);
        let (connection, stream) = server.connected(runtime);
        drop(connection);
        is_closed(stream);
    });
}

#[test]
fn who_gives_up_takes_nothing_from_others() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        // Nothing behind it is sent before its body is.
        let Pipe { writer, reader } = Pipe::new();
        let upload = http::Request::post("/0").body(Body::stream(reader));
        let first = connection.send(upload.expect("a request"));
        let [second, third, fourth] = ["/1", "/2", "/3"].map(|path| connection.send(asked(path)));
        assert!(head(&mut stream).starts_with("POST /0 "));
        second.discard();
        assert!(second.is_discarded());
        drop(third);
        drop(first);
        writer.close();
        stream.read_exact(&mut [0; 5]).expect("the last chunk");
        answer(&mut stream, "first");
        assert!(head(&mut stream).starts_with("GET /3 "));
        answer(&mut stream, "fourth");
        assert_eq!(ready(fourth).expect("an answer").body(), "fourth");

        // One of the pool's is nobody else's.
        let url = server.url("/");
        let response = inside(runtime, move || get(url));
        let mut stream = server.accept();
        head(&mut stream);
        response.discard();
        is_closed(stream);
    });
}

#[test]
fn unix_sockets_are_servers_too() {
    on_each(|runtime| {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("libprocess-client-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let at = path.clone();
        let connection = inside(runtime, move || {
            let listener = UnixListener::bind(&at).expect("a listener");
            let server = Server::new(listener, |request: &Request| {
                ok(request.headers()["host"].as_bytes().to_vec())
            });
            server.run().detach();
            std::mem::forget(server);
            connect_unix(at)
        });
        let connection = ready(connection).expect("a connection");
        let response = ready(connection.send(asked("/"))).expect("an answer");
        assert_eq!(response.body(), "localhost");
        std::fs::remove_file(path).expect("the socket's file");
    });
}

#[test]
fn who_takes_the_last_request_back_may_ask_another() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let Pipe { writer, reader } = Pipe::new();
        let upload = http::Request::post("/1").body(Body::stream(reader));
        let first = connection.send(upload.expect("a request"));
        let last = http::Request::get("/2").header("connection", "close");
        let last = connection.send(last.body(Body::empty()).expect("a request"));
        assert!(why(connection.send(asked("/3"))).contains("ends behind"));
        last.discard();
        let next = connection.send(asked("/4"));
        writer.close();
        head(&mut stream);
        stream.read_exact(&mut [0; 5]).expect("the last chunk");
        answer(&mut stream, "first");
        assert_eq!(ready(first).expect("an answer").body(), "first");
        assert!(head(&mut stream).starts_with("GET /4 "));
        answer(&mut stream, "next");
        assert_eq!(ready(next).expect("an answer").body(), "next");
    });
}

#[test]
fn what_was_not_sent_says_so() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/1"));
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .expect("sent");
        let response = ready(response).expect("a head");
        let Pipe { writer, reader } = Pipe::new();
        let upload = http::Request::post("/2").body(Body::stream(reader));
        let sent = connection.send(upload.expect("a request"));
        assert!(head(&mut stream).starts_with("POST /2 "));
        let unsent = connection.send(asked("/3"));
        // And what is asked while the connection is being lost.
        let (of_callback, (sender, asked_late)) = (connection.clone(), channel());
        let read = response.body().reader().expect("a stream").read();
        read.on_failed(move |_| {
            let late = of_callback.send(asked("/4"));
            sender.send(late).expect("a receiver");
        });
        drop(stream);
        assert!(ready(read).is_err());
        assert!(!why(sent).contains("was not sent"));
        assert!(why(unsent).contains("was not sent"));
        let late = asked_late.recv_timeout(LONG).expect("asked");
        assert!(why(late).contains("was not sent"));
        ready(connection.disconnected()).expect("told");
        assert!(why(connection.send(asked("/5"))).contains("was not sent"));
        drop(writer);
    });
}

#[test]
fn a_server_that_takes_nothing_more_is_asked_nothing_more() {
    on_each_paused(|runtime| {
        let (connection, mut stream) = connected_unix(runtime);
        stream
            .shutdown(std::net::Shutdown::Read)
            .expect("shut down");
        let first = connection.send(asked("/1"));
        settle(runtime);
        // Not sent; but it may be that the first one came through, and is answered.
        let second = connection.send(asked("/2"));
        settle(runtime);
        answer(&mut stream, "first");
        assert_eq!(ready(first).expect("an answer").body(), "first");
        assert!(why(second).contains("was not sent"));
        ready(connection.disconnected()).expect("told");
        assert!(connection.send(asked("/3")).is_failed());
    });
}

#[test]
fn a_callback_that_panics_harms_no_other() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let responses = ["/1", "/2", "/3", "/4"].map(|path| connection.send(asked(path)));
        let [first, second, third, fourth] = responses;
        let gone = [(); 2].map(|()| connection.disconnected());
        first.on_ready(|_| panic!("a callback's own"));
        third.on_failed(|_| panic!("a callback's own"));
        gone[0].on_ready(|()| panic!("a callback's own"));
        for _ in 0..4 {
            head(&mut stream);
        }
        answer(&mut stream, "first");
        answer(&mut stream, "second");
        assert_eq!(ready(first).expect("an answer").body(), "first");
        assert_eq!(ready(second).expect("an answer").body(), "second");
        drop(stream);
        assert!(why(third).contains("before it answered"));
        assert!(why(fourth).contains("before it answered"));
        for gone in gone {
            ready(gone).expect("told");
        }
    });
}

/// Looks at a connection when it is dropped.
struct Looks(Connection);

impl Drop for Looks {
    fn drop(&mut self) {
        let _looked = format!("{:?}", self.0);
    }
}

#[test]
fn who_waits_for_the_end_of_a_connection_is_told() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, stream) = server.connected(runtime);
        // Nobody has that future any more, but its callback counts.
        let (sender, told) = channel();
        let detached = connection.disconnected();
        detached.on_ready(move |()| sender.send(()).expect("a receiver"));
        detached.detach();
        // What is given up is dropped, and may look at the connection as it is.
        let (looks, (sender, dropped)) = (Looks(connection.clone()), channel());
        let given_up = connection.disconnected();
        given_up.on_ready(move |()| {
            drop(looks);
            sender.send(()).expect("a receiver");
        });
        drop(given_up);
        assert!(dropped.try_recv().is_err(), "it has not ended");
        assert!(connection.disconnected().is_pending());
        let discarded = connection.disconnected();
        discarded.discard();
        assert!(discarded.is_discarded());
        drop(stream);
        told.recv_timeout(LONG).expect("told");
    });
}
