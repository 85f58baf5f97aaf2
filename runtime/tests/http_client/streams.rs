//! Bodies that are read and written as they come.

use super::*;

#[test]
fn a_response_is_read_while_it_comes() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/1"));
        let second = connection.send(asked("/2"));
        head(&mut stream);
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .expect("sent");
        let response = ready(response).expect("a head");
        let reader = response.body().reader().expect("a stream").clone();
        drop(response);
        for piece in ["to be", "continued"] {
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(sent.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(ready(reader.read()).expect("a piece"));
            }
            assert_eq!(got, piece.as_bytes());
        }
        stream.write_all(b"0\r\nEnd: a\r\n\r\n").expect("sent");
        assert_eq!(ready(reader.read()).expect("the end"), "");
        assert_eq!(reader.trailers().expect("some")["end"], "a");
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");

        // Half of one fails, and takes the connection with it.
        let response = connection.send_streamed(asked("/3"));
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
            .expect("sent");
        let response = ready(response).expect("a head");
        drop(stream);
        let reader = response.body().reader().expect("a stream");
        let why = why(reader.read_all(10));
        assert!(why.contains("middle"), "{why}");
        ready(connection.disconnected()).expect("told");
    });
}

#[test]
fn who_reads_slowly_holds_the_server_up() {
    const MOST: usize = 32 << 20;
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/"));
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
        stream.write_all(begun).expect("sent");
        let response = ready(response).expect("a head");
        let reader = response.body().reader().expect("a stream").clone();
        stream.set_nonblocking(true).expect("an option");
        let piece = vec![b'x'; 50_000];
        let (mut sent, mut refused) = (0, 0);
        while refused < 100_000 {
            match stream.write(&piece) {
                Ok(more) => {
                    sent += more;
                    refused = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
            assert!(sent < MOST, "nothing holds it up");
        }
        stream.set_nonblocking(false).expect("an option");
        let counted = runtime.spawn_async(async move {
            let mut count = 0;
            while count < 100_000_000 {
                count += reader.read().await.expect("more").len();
            }
            count
        });
        while sent < 100_000_000 {
            let more = piece.len().min(100_000_000 - sent);
            stream.write_all(&piece[..more]).expect("sent");
            sent += more;
        }
        assert_eq!(ready(counted).expect("all"), 100_000_000);
        // Who does not read at all has the connection closed, in the end.
        let unread = connection.send_streamed(asked("/"));
        head(&mut stream);
        stream.write_all(begun).expect("sent");
        drop(ready(unread).expect("a head"));
        while stream.write_all(&piece).is_ok() {}
        ready(connection.disconnected()).expect("told");
    });
}

#[test]
fn a_request_is_written_while_it_is_sent() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let Pipe { writer, reader } = Pipe::new();
        let asked_in_pieces = |body| http::Request::post("/up").body(body).expect("a request");
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        let second = connection.send(asked("/2"));
        assert!(head(&mut stream).contains("Transfer-Encoding: chunked\r\n"));
        for piece in ["to be", "continued"] {
            writer.try_write(piece).expect("room");
            let mut got = vec![0; piece.len() + 5];
            stream.read_exact(&mut got).expect("a chunk");
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            assert_eq!(String::from_utf8_lossy(&got), sent);
        }
        writer.close();
        let mut end = [0; 5];
        stream.read_exact(&mut end).expect("the last chunk");
        assert_eq!(&end, b"0\r\n\r\n");
        answer(&mut stream, "thanks");
        assert_eq!(ready(response).expect("an answer").body(), "thanks");
        assert!(head(&mut stream).starts_with("GET /2"));
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");

        // An answer to half of it is an answer, and there is no use in the rest.
        let Pipe { writer, reader } = Pipe::new();
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        head(&mut stream);
        answer(&mut stream, "too much");
        assert_eq!(ready(response).expect("an answer").body(), "too much");
        ready(writer.reader_closed()).expect("told");
        is_closed(stream);

        // What is broken off is no request.
        let (connection, mut stream) = server.connected(runtime);
        let Pipe { writer, reader } = Pipe::new();
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        head(&mut stream);
        writer.fail("the disk is gone");
        assert!(why(response).contains("the disk is gone"));
        is_closed(stream);
    });
}

#[test]
fn who_drops_a_streamed_response_gives_its_connection_up() {
    const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun";
    on_each(|runtime| {
        let server = Played::new();
        // One of the pool's, which another waits for.
        let url = server.url("/");
        let (response, second) = inside(runtime, move || {
            let client = Client::new(ClientOptions::new().connections_per_server(1));
            let asked = http::Request::get(&url).body(Body::empty());
            let response = client.request_streamed(asked.expect("a request"));
            (response, move || client.get(url))
        });
        let mut stream = server.accept();
        head(&mut stream);
        let second = inside(runtime, second);
        stream.write_all(BEGUN).expect("sent");
        drop(ready(response).expect("a head"));
        is_closed(stream);
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");

        // One that nobody has any more.
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/"));
        head(&mut stream);
        drop(connection);
        stream.write_all(BEGUN).expect("sent");
        drop(ready(response).expect("a head"));
        is_closed(stream);

        // One with others behind, for whom it stays, whether or not somebody has it still.
        for is_kept in [true, false] {
            let (connection, mut stream) = server.connected(runtime);
            let response = connection.send_streamed(asked("/1"));
            let second = connection.send(asked("/2"));
            let connection = is_kept.then_some(connection);
            head(&mut stream);
            head(&mut stream);
            stream.write_all(BEGUN).expect("sent");
            drop(ready(response).expect("a head"));
            stream.write_all(b"ended").expect("sent");
            answer(&mut stream, "second");
            assert_eq!(ready(second).expect("an answer").body(), "second");
            drop(connection);
            is_closed(stream);
        }
    });
}
