//! `ostler edge` warns exactly where the workers would not believe the edge that a client came over https.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::harness::{Gunicorn, Site, free_address};
use crate::load::Target;

/// Says which scheme it believes in, as either kind of app.
const APP: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [("scheme=" + environ["wsgi.url_scheme"]).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"scheme=" + scope["scheme"].encode()})
"#;

const UVICORN: &str = "uvicorn_worker.UvicornWorker";

/// Worker class, gunicorn, whether on a Unix socket, and the list where it is not gunicorn's own.
const APPS: &[(&str, Gunicorn, bool, Option<&str>)] = &[
    ("sync", Gunicorn::V20, true, None),
    ("sync", Gunicorn::V20, false, None),
    ("gthread", Gunicorn::V20, true, Some("10.9.9.9")),
    ("gthread", Gunicorn::V23, true, Some("10.9.9.9")),
    ("gthread", Gunicorn::V20, false, Some("127.0.0.0/8")),
    ("gthread", Gunicorn::V23, false, Some("127.0.0.1")),
    ("gevent", Gunicorn::V27, true, Some("10.9.9.9")),
    ("gthread", Gunicorn::V27, false, Some("127.0.0.0/8")),
    ("gthread", Gunicorn::V27, false, Some("10.9.9.9")),
    ("gthread", Gunicorn::V27, false, Some("*")),
    ("asgi", Gunicorn::V27, true, Some("10.9.9.9")),
    ("asgi", Gunicorn::V27, false, Some("10.9.9.9")),
    (UVICORN, Gunicorn::V20, true, None),
    (UVICORN, Gunicorn::V23, false, None),
    (UVICORN, Gunicorn::V27, true, None),
    (UVICORN, Gunicorn::V27, true, Some("*")),
];

/// What the app says to an edge that has a client who came over https.
fn believed(target: &Target) -> bool {
    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";
    let mut heard = String::new();
    match target {
        Target::Tcp(address) => {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(REQUEST).expect("it listens");
            stream.read_to_string(&mut heard).expect("it answers");
        }
        Target::Unix(path) => {
            let mut stream = UnixStream::connect(path).expect("it listens");
            stream.write_all(REQUEST).expect("it listens");
            stream.read_to_string(&mut heard).expect("it answers");
        }
    }
    assert!(heard.contains("scheme=http"), "{heard}");
    heard.contains("scheme=https")
}

#[test]
fn who_is_not_believed_is_warned_of_and_nobody_else() {
    let site = Site::new();
    let mut apps = Vec::new();
    for (number, (class, gunicorn, unix, list)) in APPS.iter().enumerate() {
        let name = format!("app{number:02}");
        let entry = if ["asgi", UVICORN].contains(class) { "app:asgi" } else { "app:application" };
        let app = site.app(&name).gunicorn(*gunicorn).args(&["-k", class]).entry(entry).workers(1);
        let app = list.iter().fold(app, |app, list| app.args(&["--forwarded-allow-ips", list]));
        let app = if *unix { app.unix() } else { app.listen(Target::Tcp(free_address())) };
        apps.push(app.with("app.py", APP).write());
    }
    let ostlerd = site.start();
    let mut wrong = String::new();
    for (app, form) in apps.iter().zip(APPS) {
        ostlerd.serving(&app.name);
        let said = ostlerd.ostler(&["edge", "nginx", &app.name, "--no-tls"]).exits(0);
        let warned = said.err.contains("does not believe this edge");
        if believed(&app.target()) == warned {
            let _ = writeln!(wrong, "{form:?} is {}: {}", if warned { "believed" } else { "not" }, said.err);
        }
    }
    assert_eq!(wrong, "");
}
