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
