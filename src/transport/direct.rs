//! Connections from this machine itself.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Time for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, or says why not.
pub(crate) fn connect(address: &str, port: u16) -> Result<TcpStream, String> {
    let refused = |error: std::io::Error| format!("nothing answers at {address}:{port}: {error}");
    let mut last = format!("{address} has no address");
    for place in (address, port).to_socket_addrs().map_err(refused)? {
        match TcpStream::connect_timeout(&place, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = refused(error),
        }
    }
    Err(last)
}

/// The same for one that shares its thread.
pub(super) async fn dial(address: &str, port: u16) -> Result<tokio::net::TcpStream, String> {
    tokio::net::TcpStream::connect((address, port)).await.map_err(|error| format!("nothing answers at {address}:{port}: {error}"))
}
