//! What a client does with the connections that it keeps.

use super::*;

#[test]
fn what_is_asked_is_answered() {
    on_each(|runtime| {
        let url = inside(runtime, || {
            let listener = libprocess::net::TcpListener::bind(any()).expect("a listener");
            let server = Server::new(listener, |request: &Request| {
                let told = format!("{} {}", request.method(), request.uri());
                let mut body = told.into_bytes();
                body.extend_from_slice(request.body().bytes());
                ok(body)
            });
            let url = format!("http://{}", server.local_address().expect("an address"));
            server.run().detach();
            // For as long as the runtime.
            std::mem::forget(server);
            url
        });
        let answered = inside(runtime, move || {
            let of = |path: &str| format!("{url}{path}");
            let put = http::Request::put(of("/put")).body("d").expect("a request");
            [
                get(of("/get?a=b%20c#d")),
                post(of("/post"), Body::text("abc")),
                request_delete(of("/delete")),
                request(put),
                get(url.clone()),
            ]
        });
        let expected = [
            "GET /get?a=b%20c",
            "POST /postabc",
            "DELETE /delete",
            "PUT /putd",
            "GET /",
        ];
        for (response, expected) in answered.into_iter().zip(expected) {
            let response = ready(response).expect("an answer");
            assert_eq!(response.status(), 200);
            assert_eq!(response.body(), expected);
        }
    });
}

#[test]
fn a_url_may_be_a_text_or_a_url() {
    on_each_paused(|runtime| {
        let server = Played::new();
        let text = server.url("/a");
        let responses = inside(runtime, move || {
            let url: libprocess::http::Url = text.parse().expect("a URL");
            let client = Client::default();
            [
                client.get(&*text),
                client.get(&text),
                client.get(&url),
                client.get(text),
                client.get(url),
            ]
        });
        // Each has a connection, as none is answered yet; whose is which is not said.
        let mut streams = responses.each_ref().map(|_| server.accept());
        for stream in &mut streams {
            assert!(head(stream).starts_with("GET /a "));
        }
        for stream in &mut streams {
            answer(stream, "hello");
        }
        for response in responses {
            assert_eq!(ready(response).expect("an answer").body(), "hello");
        }
    });
}

#[test]
fn a_request_is_as_the_rfc_has_it() {
    on_each(|runtime| {
        let server = Played::new();
        let url = server.url("/a b?c".replace(' ', "%20").as_str());
        let response = inside(runtime, move || post(url, Body::text("hello")));
        let mut stream = server.accept();
        let told = head(&mut stream);
        let host = server.address;
        assert_eq!(
            told,
            format!(
                "POST /a%20b?c HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
            )
        );
        let mut body = [0; 5];
        stream.read_exact(&mut body).expect("the body");
        answer(&mut stream, "thanks");
        assert_eq!(ready(response).expect("an answer").body(), "thanks");
    });
}

/// Whatever it is: other than that of a `Url`, which is read.
#[test]
fn the_query_of_a_request_goes_out_as_it_is() {
    on_each(|runtime| {
        let server = Played::new();
        for query in ["q=a;b=c&x=&+~", "a=%FF", "%7E=%20"] {
            let url = server.url(&format!("/?{query}"));
            let response = inside(runtime, move || {
                let asked = http::Request::get(url).body(Body::empty());
                request(asked.expect("a request"))
            });
            let mut stream = server.accept();
            let told = head(&mut stream);
            assert!(
                told.starts_with(&format!("GET /?{query} HTTP/1.1\r\n")),
                "{told}"
            );
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .expect("sent");
            ready(response).expect("an answer");
        }
    });
}

#[test]
fn connections_are_used_again() {
    on_each(|runtime| {
        let server = Played::new();
        let mut stream = None;
        for path in ["/1", "/2", "/3"] {
            let url = server.url(path);
            let response = inside(runtime, move || get(url));
            let stream = stream.get_or_insert_with(|| server.accept());
            assert!(head(stream).starts_with(&format!("GET {path} ")));
            answer(stream, path);
            assert_eq!(ready(response).expect("an answer").body(), path);
        }
        assert_eq!(server.connections.load(Relaxed), 1);
    });
}

#[test]
fn who_finds_no_connection_waits_for_one() {
    on_each(|runtime| {
        let server = Played::new();
        let urls = ["/1", "/2", "/3"].map(|path| server.url(path));
        let (responses, _client) = inside(runtime, move || {
            let client = Client::new(ClientOptions::new().connections_per_server(1));
            (urls.map(|url| client.get(url)), client)
        });
        let mut stream = server.accept();
        let mut answered = Vec::new();
        for _ in 0..3 {
            let line = head(&mut stream);
            let path = line.split(' ').nth(1).expect("a path").to_owned();
            answer(&mut stream, &path);
            answered.push(path);
        }
        answered.sort_unstable();
        assert_eq!(answered, ["/1", "/2", "/3"]);
        for (response, path) in responses.into_iter().zip(["/1", "/2", "/3"]) {
            assert_eq!(ready(response).expect("an answer").body(), path);
        }
        assert_eq!(server.connections.load(Relaxed), 1);
    });
}

#[test]
fn a_connection_that_was_closed_meanwhile_harms_nobody() {
    on_each(|runtime| {
        for (method, is_repeated) in [("GET", true), ("PUT", true), ("POST", false)] {
            let server = Played::new();
            let ask = || {
                let url = server.url("/");
                let request = http::Request::builder().method(method).uri(url);
                let request = request.body("abc").expect("a request");
                inside(runtime, move || libprocess::http::request(request))
            };
            let first = ask();
            let mut stream = server.accept();
            head(&mut stream);
            stream.read_exact(&mut [0; 3]).expect("the body");
            answer(&mut stream, "first");
            assert_eq!(ready(first).expect("an answer").body(), "first");
            // It is asked the second time, and goes away without a word.
            let second = ask();
            head(&mut stream);
            stream.read_exact(&mut [0; 3]).expect("the body");
            drop(stream);
            if is_repeated {
                let mut stream = server.accept();
                head(&mut stream);
                answer(&mut stream, "second");
                assert_eq!(ready(second).expect("an answer").body(), "second");
                // On a new connection that would be a server that does not answer.
                let third = ask();
                head(&mut stream);
                drop(stream);
                let mut stream = server.accept();
                head(&mut stream);
                drop(stream);
                assert!(why(third).contains("before it answered"));
            } else {
                assert!(why(second).contains("before it answered"));
            }
        }
    });
}

fn of_one_connection() -> Client {
    Client::new(ClientOptions::new().connections_per_server(1))
}

/// Asks, and returns when the request is as far as it gets by itself.
fn get_settled(runtime: &Runtime, client: &Client, url: String) -> Future<Response> {
    let client = client.clone();
    let response = inside(runtime, move || client.get(url));
    settle(runtime);
    response
}

/// A streamed response of which all but the end has come, and who reads it.
fn half_streamed(
    runtime: &Runtime,
    client: &Client,
    server: &Played,
) -> (TcpStream, libprocess::http::PipeReader) {
    let (client, url) = (client.clone(), server.url("/0"));
    let response = inside(runtime, move || {
        let asked = http::Request::get(url).body(Body::empty());
        client.request_streamed(asked.expect("a request"))
    });
    let mut stream = server.accept();
    head(&mut stream);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("sent");
    let response = ready(response).expect("a head");
    let reader = response.body().reader().expect("a stream").clone();
    (stream, reader)
}

#[test]
fn who_waits_for_a_connection_has_it_in_order() {
    on_each_paused(|runtime| {
        let server = Played::new();
        let client = of_one_connection();
        let (mut stream, reader) = half_streamed(runtime, &client, &server);
        let waiting = ["/1", "/2"].map(|path| get_settled(runtime, &client, server.url(path)));
        // Who asks when the connection is about to be free is behind those who wait for that.
        let (newcomer, url) = (client.clone(), server.url("/new"));
        let (sender, asked) = channel();
        let end = reader.read();
        end.on_ready(move |_| sender.send(newcomer.get(url)).expect("a receiver"));
        stream.write_all(b"0\r\n\r\n").expect("sent");
        for path in ["/1", "/2", "/new"] {
            assert!(head(&mut stream).starts_with(&format!("GET {path} ")));
            answer(&mut stream, path);
        }
        let new = asked.recv().expect("asked");
        for response in waiting.into_iter().chain([new]) {
            ready(response).expect("an answer");
        }
        assert_eq!(server.connections.load(Relaxed), 1);
    });
}

#[test]
fn who_is_told_of_a_connection_and_leaves_passes_it_on() {
    on_each_paused(|runtime| {
        let server = Played::new();
        let client = of_one_connection();
        let (mut stream, reader) = half_streamed(runtime, &client, &server);
        let leaves = get_settled(runtime, &client, server.url("/1"));
        let stays = get_settled(runtime, &client, server.url("/2"));
        // It runs when the connection is free, and before whoever is told of that does.
        let end = reader.read();
        end.on_ready(move |_| {
            leaves.discard();
        });
        stream.write_all(b"0\r\n\r\n").expect("sent");
        settle(runtime);
        // On several workers it may have been asked for, and its connection is closed then.
        let mut all = [0; 1 << 10];
        let length = read_some(&mut stream, &mut all).expect("a request, or the end");
        if !all[..length].starts_with(b"GET /2 ") {
            stream = server.accept();
            assert!(head(&mut stream).starts_with("GET /2 "));
        }
        answer(&mut stream, "second");
        assert_eq!(ready(stays).expect("an answer").body(), "second");
    });
}

#[test]
fn who_asks_again_waits_for_nothing_that_is_free() {
    on_each_paused(|runtime| {
        let server = Played::new();
        let client = of_one_connection();
        let first = get_settled(runtime, &client, server.url("/0"));
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "first");
        ready(first).expect("an answer");
        let repeated = get_settled(runtime, &client, server.url("/1"));
        let waiting = get_settled(runtime, &client, server.url("/2"));
        head(&mut stream);
        drop(stream);
        // That who waited has the next, in the meantime, is no reason to wait for ever.
        let mut stream = server.accept();
        assert!(head(&mut stream).starts_with("GET /2 "));
        settle(runtime);
        answer(&mut stream, "second");
        assert_eq!(ready(waiting).expect("an answer").body(), "second");
        is_closed(stream);
        let mut stream = server.accept();
        assert!(head(&mut stream).starts_with("GET /1 "));
        answer(&mut stream, "again");
        assert_eq!(ready(repeated).expect("an answer").body(), "again");
    });
}

#[test]
fn what_was_not_sent_is_asked_again_whatever_it_is() {
    on_each_paused(|runtime| {
        let server = Played::new();
        let url = server.url("/");
        let hour = Duration::from_secs(3600);
        let options = ClientOptions::new()
            .connections_per_server(1)
            .connect_timeout(hour)
            .response_timeout(hour);
        let client = Client::new(options);
        thread::spawn(move || {
            while let Ok(mut stream) = server.accepted.recv_timeout(LONG) {
                let mut asked = [0; 1 << 10];
                while read_some(&mut stream, &mut asked).is_ok_and(|length| length > 0) {
                    answer(&mut stream, "hello");
                }
            }
        });
        // The connection is closed because it is idle just when it is used: whichever comes first, nobody is to know.
        for _ in 0..300 {
            let (client, url) = (client.clone(), url.clone());
            let response = inside(runtime, move || client.post(url, ""));
            runtime.clock().advance(Duration::from_secs(31));
            assert_eq!(ready(response).expect("an answer").body(), "hello");
        }
    });
}

#[test]
fn a_connection_with_leftovers_is_nobodys() {
    for kind in REACTORS {
        // Without faults all of it comes at once; with two workers others go on while the one is held up.
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        runtime.clock().pause();
        let server = Played::new();
        let client = of_one_connection();
        let (mut stream, reader) = half_streamed(&runtime, &client, &server);
        let second = {
            let (client, url) = (client.clone(), server.url("/2"));
            inside(&runtime, move || client.post(url, ""))
        };
        settle(&runtime);
        // Were the connection free by now, whoever waits would have it before the driver sees what else has come.
        let end = reader.read();
        end.on_ready(move |_| {
            let later = libprocess::spawn_async(async {});
            until(|| !later.is_pending());
        });
        stream
            .write_all(b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
            .expect("sent");
        is_closed(stream);
        let mut stream = server.accept();
        assert!(head(&mut stream).starts_with("POST /2 "));
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");
    }
}

/// One read, which a signal does not end.
fn read_some(stream: &mut TcpStream, piece: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
