//! Who takes too long, by a clock that stands still.

use super::*;

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let clock = runtime.clock().clone();
        clock.pause();
        let server = Played::new();
        let (connection, mut stream) = server.connected(&runtime);
        let first = connection.send(asked("/1"));
        head(&mut stream);
        clock.advance(Duration::from_secs(59));
        let second = connection.send(asked("/2"));
        head(&mut stream);
        clock.settle().expect("outside of a process, and paused");
        assert!(first.is_pending());
        until(|| {
            clock.advance(Duration::from_secs(1));
            !first.is_pending()
        });
        assert!(why(first).contains("in time"));
        assert!(ready(second).is_err());
        is_closed(stream);

        // What is read as it comes may take its time, once it has begun; and idle connections end.
        let url = server.url("/");
        let response = inside(&runtime, move || {
            let asked = http::Request::get(url)
                .body(Body::empty())
                .expect("a request");
            Client::new(ClientOptions::new()).request_streamed(asked)
        });
        let mut stream = server.accept();
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
        stream.write_all(begun).expect("sent");
        let response = ready(response).expect("a head");
        clock.advance(Duration::from_secs(600));
        clock.settle().expect("outside of a process, and paused");
        stream.write_all(b"llo").expect("sent");
        let all = response.body().reader().expect("a stream").read_all(5);
        assert_eq!(ready(all).expect("all"), "hello");

        let (response, client) = {
            let url = server.url("/");
            inside(&runtime, move || {
                let client = Client::new(ClientOptions::new());
                (client.get(url), client)
            })
        };
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "hello");
        ready(response).expect("an answer");
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .expect("an option");
        until(|| {
            clock.advance(Duration::from_secs(1));
            matches!((&stream).read(&mut [0]), Ok(0))
        });
        drop(client);
    }
}

#[test]
fn what_nobody_reads_has_its_time() {
    on_each_paused(|runtime| {
        let clock = runtime.clock();
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/1"));
        let second = connection.send(asked("/2"));
        head(&mut stream);
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun")
            .expect("sent");
        let response = ready(response).expect("a head");
        clock.advance(Duration::from_secs(600));
        settle(runtime);
        assert!(second.is_pending(), "whoever reads has the time he likes");
        drop(response);
        settle(runtime);
        clock.advance(Duration::from_secs(59));
        settle(runtime);
        assert!(second.is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(why(second).contains("nobody reads"));
        is_closed(stream);
    });
}

#[test]
fn who_is_behind_a_stream_has_his_time_from_its_end() {
    const LONG_AFTER: Duration = Duration::from_secs(600);
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let clock = runtime.clock().clone();
        clock.pause();
        let later = || {
            clock.advance(LONG_AFTER);
            clock.settle().expect("outside of a process, and paused");
        };
        let server = Played::new();
        let url = server.url("/");
        let connection = inside(&runtime, move || {
            // The clock may be ahead of a send of which the runtime has not heard yet.
            let limits = Limits::new().write_timeout(10 * LONG_AFTER);
            Client::new(ClientOptions::new().limits(limits)).connect(url)
        });
        let connection = ready(connection).expect("a connection");
        let mut stream = server.accept();
        let streamed = connection.send_streamed(asked("/1"));
        let behind = connection.send(asked("/2"));
        head(&mut stream);
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(begun).expect("sent");
        let response = ready(streamed).expect("a head");
        later();
        stream.write_all(b"0\r\n\r\n").expect("sent");
        let reader = response.body().reader().expect("a stream");
        assert_eq!(ready(reader.read()).expect("the end"), "");
        clock.settle().expect("outside of a process, and paused");
        assert!(behind.is_pending(), "{kind}");
        answer(&mut stream, "second");
        assert_eq!(ready(behind).expect("an answer").body(), "second");

        let Pipe { writer, reader } = Pipe::new();
        let request = http::Request::post("/3").body(Body::stream(reader));
        let streamed = connection.send(request.expect("a request"));
        let behind = connection.send(asked("/4"));
        head(&mut stream);
        later();
        writer.close();
        stream.read_exact(&mut [0; 5]).expect("the last chunk");
        answer(&mut stream, "third");
        assert_eq!(ready(streamed).expect("an answer").body(), "third");
        clock.settle().expect("outside of a process, and paused");
        assert!(behind.is_pending(), "{kind}");
        head(&mut stream);
        answer(&mut stream, "fourth");
        assert_eq!(ready(behind).expect("an answer").body(), "fourth");
    }
}
