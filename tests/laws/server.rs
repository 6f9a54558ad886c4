//! A server on this machine that answers every request with 200 and `hello 1.0`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
});

/// Where it listens; it runs from then on.
pub(crate) fn port() -> u16 {
    *PORT
}

fn answer(mut stream: TcpStream) {
    let (mut request, mut piece) = (Vec::new(), [0_u8; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&piece[..n]),
        }
    }
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello 1.0\n";
    // Who asks may have gone.
    let _ = stream.write_all(reply.as_bytes());
}
