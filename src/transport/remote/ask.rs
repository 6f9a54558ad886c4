//! Connections that a program on the host makes: for hosts whose sshd forbids forwarding.

use super::calls::exec;
use super::quote;
use crate::effect::{HttpRequest, Invocation, Words};
use crate::transport::Call;
use crate::transport::http::Place;

pub(super) const ASK: &str = include_str!("ask.sh");

/// The call that sends a request from the host.
pub(crate) fn ask_http(place: &Place, request: &HttpRequest) -> Call {
    let headers = place.own_headers().into_iter().chain(request.headers.clone());
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    let text = place.request(request);
    let fixed = [request.method.as_str(), request.url.as_str(), text.as_str()].map(ToOwned::to_owned);
    call("http", &place.address, place.port, request.timeout_millis, fixed.into_iter().chain(headers))
}

/// The call that connects from the host, and closes again.
pub(crate) fn ask_tcp(address: &str, port: u16) -> Call {
    call("tcp", address, port, 5000, [String::new(), String::new(), String::new()])
}

fn call(what: &str, address: &str, port: u16, millis: u64, rest: impl IntoIterator<Item = String>) -> Call {
    let seconds = millis.div_ceil(1000).max(1);
    let first = [what.to_owned(), address.to_owned(), port.to_string(), seconds.to_string()];
    let words: Vec<String> = first.into_iter().chain(rest).map(|word| quote(&word)).collect();
    let command = Invocation {
        words: Words::Shell(format!("set -- {}\n{ASK}", words.join(" "))),
        directory: None,
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        timeout_seconds: Some(seconds + 1),
    };
    exec("wl_probe", &super::calls::probe_receipt(&command), &command, None)
}

/// The program that was found, and what it was answered.
pub(crate) fn answer(said: &[u8]) -> (String, Vec<u8>) {
    let split = said.iter().position(|byte| *byte == b'\n').unwrap_or(said.len());
    let (tool, rest) = said.split_at(split);
    (String::from_utf8_lossy(tool).into_owned(), rest.get(1..).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    /// Answers every request with what it was asked, in pieces.
    fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (mut asked, mut piece) = (Vec::new(), [0_u8; 4096]);
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => asked.extend_from_slice(&piece[..n]),
                    }
                }
                let text = String::from_utf8_lossy(&asked).to_lowercase();
                let header = text.lines().find(|line| line.starts_with("x-mark")).unwrap_or_default().to_owned();
                let head = "HTTP/1.1 503 Not Yet\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
                let body = format!("{head}5\r\nhello\r\n{:x}\r\n{header}\r\n0\r\n\r\n", header.len());
                let body = if header.is_empty() { format!("{head}5\r\nhello\r\n0\r\n\r\n") } else { body };
                let _ = stream.write_all(body.as_bytes());
            }
        });
        port
    }

    fn find(tool: &str) -> Option<PathBuf> {
        ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.exists())
    }

    /// Runs what a call would run, on a machine that has this program and no other of its kind.
    fn run(call: &Call, tool: &str) -> (bool, Vec<u8>, String) {
        let home = tempfile::tempdir().unwrap();
        for name in [tool, "sh", "cat", "head", "sed", "tail", "mktemp", "rm"] {
            symlink(find(name).unwrap(), home.path().join(name)).unwrap();
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&call.args[5]).env_clear().env("PATH", home.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn every_program_asks_and_is_answered() {
        let port = server();
        let url = format!("http://127.0.0.1:{port}/a?b='c d'");
        let url = url.replace(' ', "%20");
        let mark = ("X-Mark".to_owned(), "it's $HOME \"here\"".to_owned());
        let request =
            HttpRequest { url: url.clone(), method: "GET".to_owned(), headers: [mark].into(), timeout_millis: 5000, hoped: None };
        let place = Place::parse(&url).unwrap();
        let closed = format!("http://127.0.0.1:{}/", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let mut tried = Vec::new();
        for tool in ["curl", "python3", "perl", "bash", "nc", "wget"].into_iter().filter(|tool| find(tool).is_some()) {
            let (well, said, error) = run(&ask_http(&place, &request), tool);
            let (by, raw) = answer(&said);
            assert!(well && by == tool, "{tool}: {by} {error}");
            let shown = String::from_utf8_lossy(&raw).into_owned();
            let reply = crate::transport::http::read(raw, &place, &request, "here");
            let reply = reply.unwrap_or_else(|why| panic!("{tool}: {why}: {shown:?} {error}"));
            assert_eq!(reply.status, 503, "{tool}");
            assert!(reply.body.starts_with("hello"), "{tool}: {}", reply.body);
            assert!(reply.body.contains("x-mark: it's $home \"here\""), "{tool}: {}", reply.body);
            let gone = HttpRequest { url: closed.clone(), ..request.clone() };
            let (_, said, error) = run(&ask_http(&Place::parse(&closed).unwrap(), &gone), tool);
            assert!(answer(&said).1.is_empty() && !error.trim().is_empty(), "{tool}: {error}");
            if tool != "wget" {
                let (well, _, error) = run(&ask_tcp("127.0.0.1", port), tool);
                assert!(well && error.is_empty(), "{tool}: {error}");
                let (_, said, error) = run(&ask_tcp("127.0.0.1", Place::parse(&closed).unwrap().port), tool);
                assert!(answer(&said).1.is_empty() && !error.trim().is_empty(), "{tool}: {error}");
            }
            tried.push(tool);
        }
        assert!(!tried.is_empty(), "none of the programs is on this machine");
    }
}
