//! What is left of it all.

use super::*;

/// As often as a client might: what servers and connections held comes back.
#[test]
#[cfg_attr(libprocess_tsan, ignore = "its own descriptors come and go")]
fn all_comes_back() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let before = runtime.stats().alive;
        let server = Played::new();
        let url = server.url("/");
        let asked = inside(&runtime, move || {
            let client = Client::new(ClientOptions::new().connections_per_server(4));
            let responses: Vec<Future<Response>> = (0..100).map(|_| client.get(&url)).collect();
            responses
        });
        let serving = thread::spawn(move || {
            let mut streams: Vec<_> = (0..4).map(|_| server.accept()).collect();
            for stream in &streams {
                stream.set_nonblocking(true).expect("an option");
            }
            let mut answered = 0;
            while answered < 100 {
                for stream in &mut streams {
                    let mut head = [0; 1 << 10];
                    match stream.read(&mut head) {
                        // Small, and one at a time: all of it is there.
                        Ok(length) if length > 0 => {
                            assert!(head[..length].ends_with(b"\r\n\r\n"));
                            answer(stream, "hello");
                            answered += 1;
                        }
                        _ => thread::yield_now(),
                    }
                }
            }
            streams
        });
        for response in asked {
            assert_eq!(ready(response).expect("an answer").body(), "hello");
        }
        // The client has gone with its last request, and so do its connections.
        for stream in serving.join().expect("no panic") {
            stream.set_nonblocking(false).expect("an option");
            is_closed(stream);
        }
        until(|| runtime.stats().alive == before);
    }
}

#[test]
fn what_is_asked_ends_with_the_runtime() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let server = Played::new();
        let url = server.url("/");
        let (response, connection) = inside(&runtime, move || (get(&url), connect(&url)));
        let streams = [server.accept(), server.accept()];
        let connection = ready(connection).expect("a connection");
        let second = connection.send(asked("/"));
        runtime.shutdown();
        assert!(ready(response).is_err());
        assert!(ready(second).is_err());
        ready(connection.disconnected()).expect("told");
        for mut stream in streams {
            let mut all = Vec::new();
            // The one has asked, the other perhaps not.
            let _ = stream.read_to_end(&mut all);
        }
    }
}

/// What the server does just then is no reason to ask a clock again and again that has ended, as one that is paused does first of all.
#[test]
fn a_runtime_ends_while_the_server_does_something() {
    for round in 0..60 {
        let kind = REACTORS[round % REACTORS.len()];
        let runtime = sockets::runtime(kind, 1, None).expect("it was built in");
        runtime.clock().pause();
        let server = Played::new();
        let connections = [(); 8].map(|()| {
            let (connection, mut stream) = server.connected(&runtime);
            connection.send(asked("/1")).detach();
            connection.send(asked("/2")).detach();
            head(&mut stream);
            (connection, stream)
        });
        let answers = thread::spawn(move || {
            connections.map(|(connection, mut stream)| {
                // Or it is closed already.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                connection
            })
        });
        drop(runtime);
        for connection in answers.join().expect("no panic") {
            ready(connection.disconnected()).expect("told");
        }
    }
}
