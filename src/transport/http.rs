//! An HTTP request over a connection that a host has made for us.

use crate::effect::{HttpReply, HttpRequest};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Bytes of a body that are read.
const BODY: usize = 64 << 10;

/// Where a URL leads.
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) port: u16,
    path: String,
    authority: String,
}

impl Place {
    /// Takes a URL apart.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: hyper::Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("`{url}` does not begin with http://"));
        }
        let Some(authority) = uri.authority() else { return Err(format!("`{url}` names no host")) };
        let address = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { address, port: authority.port_u16().unwrap_or(80), path, authority: authority.to_string() })
    }
}

/// Sends the request and reads the answer.
pub(crate) fn exchange(stream: UnixStream, place: &Place, request: &HttpRequest, vantage: &str) -> Result<HttpReply, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let limit = Duration::from_millis(request.timeout_millis);
    runtime.block_on(async {
        match tokio::time::timeout(limit, talk(stream, place, request, vantage)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", request.timeout_millis)),
        }
    })
}

async fn talk(stream: UnixStream, place: &Place, request: &HttpRequest, vantage: &str) -> Result<HttpReply, String> {
    let say = |error: &dyn std::fmt::Display| format!("the HTTP exchange failed: {error}");
    stream.set_nonblocking(true).map_err(|error| say(&error))?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(|error| say(&error))?;
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| say(&error))?;
    let driver = tokio::spawn(connection);
    let mut builder = Request::builder().method(request.method.as_str()).uri(&place.path).header("Host", &place.authority);
    builder = builder.header("User-Agent", concat!("windlass/", env!("CARGO_PKG_VERSION"))).header("Connection", "close");
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let message = builder.body(Empty::<Bytes>::new()).map_err(|error| say(&error))?;
    let answer = client.send_request(message).await.map_err(|error| say(&error))?;
    let status = answer.status().as_u16();
    let body = beginning(answer.into_body()).await.map_err(|error| say(&error))?;
    driver.abort();
    Ok(HttpReply { status, body, vantage: vantage.to_owned() })
}

/// The first bytes of a body as text.
async fn beginning(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < BODY
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes.truncate(BODY);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
