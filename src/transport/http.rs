//! HTTP requests: over a connection that a host has made for us, over one of our own, or read from what a program on the host
//! was answered.

use super::direct;
use crate::effect::{HttpReply, HttpRequest};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, rustls};

/// Bytes of a body that are read.
const BODY: usize = 64 << 10;

/// Where a URL leads.
pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) port: u16,
    /// Whether it is `https`.
    pub(crate) secure: bool,
    path: String,
    authority: String,
}

/// What is sent.
pub(crate) struct Message<'a> {
    pub(crate) method: &'a str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) limit: Duration,
}

/// What came back: the status, and the first bytes of the body as text.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Place {
    /// Takes a URL apart. What it says of a wrong one does not repeat it: it may be a secret.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: hyper::Uri = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it begins with neither http:// nor https://".to_owned()),
        };
        let Some(authority) = uri.authority() else { return Err("it names no host".to_owned()) };
        let address = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { address, port, secure, path, authority: authority.to_string() })
    }

    /// The header fields of a request that a person did not write.
    pub(crate) fn own_headers(&self) -> Vec<(String, String)> {
        let own = [("Host", self.authority.as_str()), ("User-Agent", AGENT), ("Connection", "close")];
        own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The request as it goes over the wire, for what sends bytes as they are.
    pub(crate) fn request(&self, request: &HttpRequest) -> String {
        let fields = self.own_headers().into_iter().chain(request.headers.clone());
        let fields: String = fields.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{} {} HTTP/1.1\r\n{fields}\r\n", request.method, self.path)
    }
}

const AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

/// Sends the request over this connection and reads the answer.
pub(crate) fn exchange(stream: UnixStream, place: &Place, request: &HttpRequest, vantage: &str) -> Result<HttpReply, String> {
    if place.secure {
        return Err("https is asked from the controller only; give `via: \"controller\"`, or ask http://".to_owned());
    }
    let message = of_request(request);
    let answer = within(&message, async {
        stream.set_nonblocking(true).map_err(|error| say(&error))?;
        talk(tokio::net::UnixStream::from_std(stream).map_err(|error| say(&error))?, place, &message).await
    });
    answer.map(|Answer { status, body }| HttpReply { status, body, vantage: vantage.to_owned() })
}

/// Asks from this machine itself.
pub(crate) fn ask(place: &Place, request: &HttpRequest, vantage: &str) -> Result<HttpReply, String> {
    send(place, &of_request(request)).map(|Answer { status, body }| HttpReply { status, body, vantage: vantage.to_owned() })
}

/// Sends a message from this machine itself, over TLS where the place says so.
pub(crate) fn send(place: &Place, message: &Message<'_>) -> Result<Answer, String> {
    within(message, async {
        let stream = direct::dial(&place.address, place.port).await?;
        if !place.secure {
            return talk(stream, place, message).await;
        }
        let name = ServerName::try_from(place.address.clone()).map_err(|error| format!("{}: {error}", place.address))?;
        let stream = TlsConnector::from(Arc::new(trusting()?)).connect(name, stream).await;
        talk(stream.map_err(|error| format!("no TLS connection to {}: {error}", place.address))?, place, message).await
    })
}

/// Reads an answer that a program on a host was given.
pub(crate) fn read(raw: Vec<u8>, place: &Place, request: &HttpRequest, vantage: &str) -> Result<HttpReply, String> {
    let (ours, mut theirs) = UnixStream::pair().map_err(|error| say(&error))?;
    std::thread::spawn(move || {
        let (mut asked, mut piece) = (Vec::new(), [0_u8; 4096]);
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            match theirs.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(n) => asked.extend_from_slice(&piece[..n]),
            }
        }
        // Who asks may have seen enough.
        let _ = theirs.write_all(&raw);
    });
    exchange(ours, place, request, vantage)
}

fn of_request(request: &HttpRequest) -> Message<'_> {
    let headers = request.headers.clone().into_iter().collect();
    let limit = Duration::from_millis(request.timeout_millis);
    Message { method: &request.method, headers, body: Vec::new(), limit }
}

fn within(message: &Message<'_>, work: impl Future<Output = Result<Answer, String>>) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(async {
        match tokio::time::timeout(message.limit, work).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", message.limit.as_millis())),
        }
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    result
}

/// Trusts whom this machine trusts.
fn trusting() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this machine has no certificates of authorities to trust (ca-certificates)".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn say(error: &dyn std::fmt::Display) -> String {
    format!("the HTTP exchange failed: {error}")
}

async fn talk<S>(stream: S, place: &Place, message: &Message<'_>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| say(&error))?;
    let driver = tokio::spawn(connection);
    let mut builder = Request::builder().method(message.method).uri(&place.path);
    for (name, value) in place.own_headers().iter().chain(&message.headers) {
        builder = builder.header(name, value);
    }
    let request = builder.body(Full::new(Bytes::from(message.body.clone()))).map_err(|error| say(&error))?;
    let answer = client.send_request(request).await.map_err(|error| say(&error))?;
    let status = answer.status().as_u16();
    let body = beginning(answer.into_body()).await.map_err(|error| say(&error))?;
    driver.abort();
    Ok(Answer { status, body })
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
