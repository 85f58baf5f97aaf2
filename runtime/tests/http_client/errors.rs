//! What is no answer, and who cannot be asked.

use rustix::net::{AddressFamily, SocketType};

use super::*;

#[test]
fn what_is_no_response_is_an_error() {
    on_each(|runtime| {
        for (told, reason) in [
            (&b"SSH-2.0-OpenSSH\r\n"[..], "HTTP"),
            (b"HTTP/2.0 200 OK\r\n\r\n", ""),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                "",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                "middle",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
                "middle",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "middle"),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocols"),
            (b"", "before it answered"),
        ] {
            let server = Played::new();
            let (connection, mut stream) = server.connected(runtime);
            let (first, second) = (connection.send(asked("/1")), connection.send(asked("/2")));
            head(&mut stream);
            head(&mut stream);
            stream.write_all(told).expect("sent");
            // Unless the client has closed already.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let why = why(first);
            assert!(why.contains(reason), "{why}: {}", told.escape_ascii());
            assert!(ready(second).is_err());
            is_closed(stream);
        }
        // What nobody asked for.
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        answer(&mut stream, "unasked");
        ready(connection.disconnected()).expect("it ends");
        assert!(why(connection.send(asked("/"))).contains("nobody asked"));
    });
}

#[test]
fn a_tunnel_is_not_asked_for() {
    on_each(|runtime| {
        let server = Played::new();
        let url = server.url("/");
        let response = inside(runtime, move || {
            let asked = http::Request::connect(url).body(Body::empty());
            request(asked.expect("a request"))
        });
        assert!(why(response).contains("CONNECT is not supported"));
        assert_eq!(server.connections.load(Relaxed), 0, "for nothing");
    });
}

#[test]
fn a_body_that_is_too_large_is_an_error() {
    on_each(|runtime| {
        let server = Played::new();
        let url = server.url("/");
        let response = inside(runtime, move || {
            let limits = Limits::new().body_bytes(10);
            Client::new(ClientOptions::new().limits(limits)).get(url)
        });
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "more than ten bytes");
        assert!(why(response).contains("larger"));
    });
}

#[test]
fn who_cannot_be_reached_is_an_error_that_says_so() {
    let runtime = common::runtime(2);
    // A socket that has an address, which nobody else gets meanwhile, and does not listen.
    let silent = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let silent = silent.expect("a socket");
    rustix::net::bind(&silent, &any()).expect("an address");
    let nobody = rustix::net::getsockname(&silent).expect("an address");
    let nobody = SocketAddr::try_from(nobody).expect("an address");
    for (url, reason) in [
        (format!("http://{nobody}/"), "refused"),
        ("https://localhost/".to_owned(), "https"),
        ("localhost:80".to_owned(), "scheme"),
        // No resolver has such a name.
        (format!("http://{}.invalid/", "a".repeat(64)), ""),
        ("http://a b/".to_owned(), ""),
    ] {
        let of_get = url.clone();
        let (response, connection) = inside(&runtime, move || (get(of_get), connect(url)));
        let (first, second) = (why(response), why(connection));
        assert!(first.contains(reason), "{first}");
        assert_eq!(first, second);
    }
    let asked = asked("/only-a-path");
    assert!(ready(inside(&runtime, move || request(asked))).is_err());
}
