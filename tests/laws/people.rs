//! The people behind a run, with the program itself: what is posted to a real server, what is said of what is not, and that no
//! webhook is kept or shown; answers that are given beforehand.

use crate::world::World;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection, StreamOwned};

/// A server that keeps what is posted. It answers the first request to `/late` with 503.
fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    serve(|stream| Some(Box::new(stream)))
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// The same behind TLS, with a certificate of its own for `localhost`.
fn secure_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let pem = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
    let certificate = CertificateDer::from_pem_file(pem("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(pem("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    serve(move |stream| {
        let connection = ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)))
    })
}

fn serve(wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let posted = Arc::new(Mutex::new(Vec::new()));
    let theirs = posted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(mut stream) = wrap(stream) else { continue };
            let (mut request, mut piece) = (Vec::new(), [0_u8; 4096]);
            while !is_whole(&request) {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => request.extend_from_slice(&piece[..n]),
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let mut posted = theirs.lock().unwrap();
            let late = text.starts_with("POST /late") && !posted.iter().any(|text: &String| text.starts_with("POST /late"));
            posted.push(text);
            let status = if late { "503 Later" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, posted)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

pub(crate) fn project(script: &str, toml: &str, environment: &str) -> World {
    let world = World::new();
    let root = world.root();
    std::fs::write(root.join("windlass.toml"), format!("name = \"shop\"\n{toml}")).unwrap();
    std::fs::write(root.join("deploy.rhai"), script).unwrap();
    std::fs::create_dir(root.join("environments")).unwrap();
    let hosts = format!("class = \"single-box\"\ntransport = \"local\"\n[hosts.h1]\n{environment}");
    std::fs::write(root.join("environments/box.toml"), hosts).unwrap();
    world
}

pub(crate) fn windlass(world: &World, args: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(args).args(["-e", "box", "--color", "never"]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", world.home());
    let Output { status, stdout, stderr } =
        command.envs(variables.iter().copied()).current_dir(world.root()).stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn messages_are_posted_and_webhooks_are_secrets() {
    let (port, posted) = server();
    let toml = format!(
        "[notify.default]\nwebhook = \"http://127.0.0.1:{port}/default/hunter2\"\n\
         [notify.gone]\nwebhook = \"http://127.0.0.1:1/hunter2\"\n[notify.late]\nwebhook = \"http://127.0.0.1:{port}/late/hunter2\"\n\
         kind = \"plain\"\n[notify.unset]\nwebhook = {{ env = \"NOT_SET\" }}\n"
    );
    let environment = "[notify.ops]\nwebhook = { env = \"OPS_URL\" }\nkind = \"json\"\n";
    let script = "notify(\"to whom it concerns\");\nnotify(\"it's \\\"live\\\"\", #{ to: \"ops\" });\nnotify(\"said twice\", #{ to: \"late\" });\n\
        notify(\"lost\", #{ to: \"gone\" });\nnotify(\"also lost\", #{ to: \"unset\" });\nnotify(\"here\", #{ to: \"log\" });\n\
        let computed = \"no\" + \"body\"; notify(\"nowhere\", #{ to: computed });\n";
    let world = project(script, &toml, environment);
    let url = format!("http://127.0.0.1:{port}/ops/hunter2");
    let (code, said) = windlass(&world, &["run", "-vvv"], &[("OPS_URL", &url)]);
    assert_eq!(code, 0, "{said}");
    let posted = posted.lock().unwrap().clone();
    let of = |path: &str| posted.iter().filter(|text| text.starts_with(&format!("POST {path}"))).collect::<Vec<_>>();
    assert!(of("/default")[0].ends_with("\r\n\r\n{\"text\":\"to whom it concerns\"}"), "{posted:?}");
    let body: serde_json::Value = serde_json::from_str(of("/ops")[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["text"], &body["environment"], &body["project"]), (&"it's \"live\"".into(), &"box".into(), &"shop".into()));
    assert_eq!(of("/late").len(), 2, "{posted:?}");
    assert!(of("/late")[1].ends_with("\r\n\r\nsaid twice"), "{posted:?}");
    for part in [
        "not sent to gone (nothing answers at 127.0.0.1:1",
        "not sent to unset (the environment variable NOT_SET is not set): also lost",
        "there is no channel `nobody`; there are: default, gone, late, ops, unset, log",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("not sent to late") && !said.contains("hunter2"), "{said}");
    let kept = walk(&world.root().join(".windlass"));
    assert!(!kept.is_empty() && kept.iter().all(|bytes| !bytes.windows(7).any(|piece| piece == b"hunter2")), "it is kept");
}

/// The bytes of every file below.
fn walk(directory: &std::path::Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![std::fs::read(&path).unwrap()] }).collect()
}

#[test]
fn a_misspelt_channel_is_found_before_anything_begins() {
    let script = "host(\"h1\").write(\"/nowhere/x\", \"x\"); notify(\"x\", #{ to: \"opps\" });";
    let world = project(script, "[notify.ops]\nwebhook = \"http://127.0.0.1:1/\"\n", "");
    for command in ["run", "check"] {
        let (code, said) = windlass(&world, &[command], &[]);
        assert!(code == 1 && said.contains("there is no such channel in box") && said.contains("did you mean `ops`?"), "{said}");
    }
}

#[test]
fn answers_are_given_beforehand() {
    let script = "let a = ask(\"Go on?\", #{ name: \"go\", choices: [\"yes\", \"no\"] }); if a != \"yes\" { fail(\"no\"); }\n\
        log(\"note: \" + ask(\"A note\", #{ otherwise: \"none\" }));";
    let world = project(script, "", "");
    let (code, said) = windlass(&world, &["run", "--answer", "go=yes", "--answer", "A note=x = y"], &[]);
    assert!(code == 0 && said.contains("note: x = y"), "{said}");
    let (code, said) = windlass(&world, &["run", "--answer", "go=yes"], &[]);
    assert!(code == 0 && said.contains("note: none"), "{said}");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(code == 1 && said.contains("--answer 'go=yes'"), "{said}");
    let (code, said) = windlass(&world, &["run", "--answer", "go=maybe"], &[]);
    assert!(code == 1 && said.contains("`maybe` is no answer to `Go on?`; it is one of: yes, no"), "{said}");
}

#[test]
fn https_is_asked_of_whom_this_machine_trusts() {
    let (port, posted) = secure_server();
    let toml = format!("[notify.ops]\nwebhook = \"https://localhost:{port}/ops\"\n");
    let environment = format!("[externals.pay]\ncheck = {{ http = \"https://localhost:{port}/health\", status = 200 }}\n");
    let script = format!(
        "log(external(\"pay\").must_be_healthy(#{{ within: \"1s\" }}).found);\n\
         host(\"h1\").expect_http(\"https://localhost:{port}/\", #{{ via: \"controller\", within: \"1s\" }});\nnotify(\"over TLS\", #{{ to: \"ops\" }});"
    );
    let world = project(&script, &toml, &environment);
    let trusted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/localhost.pem");
    let (code, said) = windlass(&world, &["run"], &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    assert!(code == 0 && said.contains("status 200 (asked from the controller)") && !said.contains("not sent"), "{said}");
    assert!(posted.lock().unwrap().iter().any(|text| text.ends_with("{\"text\":\"over TLS\"}")));
    let other = world.root().join("other.pem");
    std::fs::write(&other, "").unwrap();
    let (code, said) = windlass(&world, &["run"], &[("SSL_CERT_FILE", other.to_str().unwrap())]);
    assert!(code == 1 && said.contains("no certificates of authorities to trust"), "{said}");
    let (code, said) = windlass(&world, &["run"], &[]);
    assert!(
        code == 1 && (said.contains("no TLS connection to localhost") || said.contains("no certificates of authorities")),
        "{said}"
    );
}
