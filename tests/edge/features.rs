//! What clients get through each edge with what `ostler edge` prints: TLS, HTTP/2, files, gzip, websockets, limits.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::front::{CADDY, Edge, Front, HAPROXY, NGINX, NGINX_CURRENT, TRAEFIK};
use crate::harness::{Said, Site, free_address, until};
use crate::load::Target;

/// Says what it was told of the client; a websocket gets its words back.
pub const APP: &str = r#"
import json

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    told = {name: headers.get(name) for name in ("host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")}
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    told.update(scheme=scope["scheme"], path=scope["path"], size=size, filler="x" * 4000)
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"#;

/// Greets through a websocket over TLS, after a pause that is longer than idle connections are kept.
const GREETING: &str = r#"
import base64, os, socket, ssl, struct, sys
host, port = sys.argv[1], int(sys.argv[2])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
link = context.wrap_socket(socket.create_connection((host, port), 20), server_hostname="shop.example.com")
key = base64.b64encode(os.urandom(16)).decode()
link.sendall(("GET /chat HTTP/1.1\r\nHost: shop.example.com:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % (port, key)).encode())
heard = b""
while b"\r\n\r\n" not in heard:
    more = link.recv(4096)
    if not more:
        sys.exit("closed: %r" % heard)
    heard += more
head, _, rest = heard.partition(b"\r\n\r\n")
if b" 101 " not in head.split(b"\r\n")[0] + b" ":
    sys.exit("no websocket: %r" % heard)
def say(text):
    mask = os.urandom(4)
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
    link.sendall(struct.pack("!BB", 0x81, 0x80 | len(text)) + mask + data)
def hear():
    global rest
    while len(rest) < 2 or len(rest) < 2 + rest[1]:
        more = link.recv(4096)
        if not more:
            sys.exit("closed: %r" % rest)
        rest += more
    word, rest = rest[2:2 + rest[1]], rest[2 + rest[1]:]
    return word
for word in (b"hello", b"again"):
    say(word)
    print(hear().decode())
"#;

/// A site with that app and files, and a certificate of its own making.
struct Shop {
    site: Site,
    keys: TempDir,
}

impl Shop {
    fn new(edge: &Edge, listen: Option<Target>) -> Shop {
        let site = Site::new();
        let keys = tempfile::tempdir().expect("/tmp is writable");
        // As hard as each language lets it be written.
        let name = if edge.verb == "nginx" { "my \"files\"; #{x}'s \\d" } else { "my files; #'s" };
        let folder = site.path("releases").join(name);
        fs::create_dir(&folder).expect("the folder is new");
        fs::write(folder.join("app.0123456789ab.css"), "a {}\n".repeat(1000)).expect("the folder is ours");
        fs::write(folder.join("robots.txt"), "all\n").expect("the folder is ours");
        let app = site.app("shop").args(&["-k", "asgi", "--keep-alive", "4"]).workers(1).with("app.py", APP);
        let app = app.listen(listen.unwrap_or_else(|| Target::Tcp(free_address())));
        app.key(&format!("static = {{ \"/static/\" = {folder:?} }}")).write();
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=shop.example.com"]);
        openssl.args(["-addext", "subjectAltName=DNS:shop.example.com"]);
        openssl.arg("-keyout").arg(keys.path().join("key.pem")).arg("-out").arg(keys.path().join("cert.pem"));
        Said::of(&mut openssl).exits(0);
        let both = ["cert.pem", "key.pem"].map(|name| fs::read(keys.path().join(name)).expect("it was made"));
        fs::write(keys.path().join("both.pem"), both.concat()).expect("the folder is ours");
        Shop { site, keys }
    }

    fn key(&self, name: &str) -> PathBuf {
        self.keys.path().join(name)
    }

    fn front(&self, edge: &Edge) -> Front {
        let (cert, key, both) = (self.key("cert.pem"), self.key("key.pem"), self.key("both.pem"));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let files = match edge.verb {
            "haproxy" => vec!["--cert".to_owned(), text(&both)],
            _ => vec!["--cert".to_owned(), text(&cert), "--key".to_owned(), text(&key)],
        };
        let mut options = vec!["--host", "shop.example.com", "--host", "localhost", "--max-body", "100KiB"];
        // Nobody who comes in the tests is of its networks.
        options.extend(["--cdn", "cloudflare"]);
        options.extend(files.iter().map(String::as_str));
        Front::start(edge, &self.site, &options)
    }
}

/// What curl says of one request: status, protocol, headers and body.
struct Answer {
    status: String,
    version: String,
    headers: String,
    body: String,
}

fn ask(at: SocketAddr, scheme: &str, path: &str, more: &[&str]) -> Answer {
    let mut curl = Command::new("curl");
    curl.args(["-sk", "--max-time", "30", "-D", "-", "-o", "-", "-w", "\n%{http_code} %{http_version}"]);
    curl.args(["--resolve", &format!("shop.example.com:{}:{}", at.port(), at.ip())]).args(more);
    curl.arg(format!("{scheme}://shop.example.com:{}{path}", at.port()));
    let said = Said::of(&mut curl);
    let (text, codes) = said.out.rsplit_once('\n').unwrap_or_else(|| panic!("{said}"));
    let (status, version) = codes.split_once(' ').unwrap_or_else(|| panic!("{said}"));
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    Answer {
        status: status.to_owned(),
        version: version.to_owned(),
        headers: headers.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

impl Answer {
    #[track_caller]
    fn is(self, status: &str) -> Answer {
        assert_eq!(self.status, status, "{}\n{}", self.headers, self.body);
        self
    }

    #[track_caller]
    fn has(self, header: &str) -> Answer {
        assert!(self.headers.contains(header), "{header:?} is missing: {}", self.headers);
        self
    }

    #[track_caller]
    fn lacks(self, header: &str) -> Answer {
        assert!(!self.headers.contains(header), "{header:?} is there: {}", self.headers);
        self
    }
}

/// Everything that a client may ask of an edge.
fn clients_get_all_of_it(edge: &Edge, listen: Option<Target>) {
    let shop = Shop::new(edge, listen);
    let ostlerd = shop.site.start();
    ostlerd.serving("shop");
    let front = shop.front(edge);
    let at = front.https();
    let Target::Tcp(plain) = front.target else { panic!("an edge listens on TCP") };

    until("the edge knows the app", || (ask(at, "https", "/", &[]).status == "200").then_some(()));
    let forged = [
        "--http2",
        "-H",
        "X-Forwarded-For: 6.6.6.6",
        "-H",
        "X-Forwarded-Proto: http",
        "-H",
        "CF-Connecting-IP: 6.6.6.6",
    ];
    let answer = ask(at, "https", "/a?b", &forged).is("200");
    assert_eq!(answer.version, "2");
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body));
    let host = format!("shop.example.com:{}", at.port());
    assert_eq!((&told["host"], &told["x-forwarded-host"]), (&host.as_str().into(), &host.as_str().into()));
    assert_eq!((&told["x-forwarded-proto"], &told["scheme"]), (&"https".into(), &"https".into()), "{told}");
    let from = told["x-forwarded-for"].as_str().unwrap_or_default();
    assert!(from.starts_with("127.") && !from.contains("6.6.6.6"), "{from}");
    let moved = ask(plain, "http", "/a?b", &[]);
    assert!(["301", "302", "308"].contains(&moved.status.as_str()), "{}", moved.status);
    // Caddy takes an odd port for one that something in front maps to the usual one.
    let port = if edge.verb == "caddy" { String::new() } else { format!(":{}", at.port()) };
    moved.has(&format!("location: https://shop.example.com{port}/a?b"));

    ask(at, "https", "/", &["-H", "Accept-Encoding: gzip", "-o", "/dev/null"])
        .is("200")
        .has("content-encoding: gzip");
    let (small, big) = (shop.key("small"), shop.key("big"));
    fs::write(&small, vec![b'x'; 100 * 1024]).expect("the folder is ours");
    fs::write(&big, vec![b'x'; 100 * 1024 + 1]).expect("the folder is ours");
    let body = |path: &Path| format!("@{}", path.display());
    let answer = ask(at, "https", "/", &["--data-binary", &body(&small)]).is("200");
    assert!(answer.body.contains("\"size\": 102400"), "{}", answer.body);
    // HAProxy ends such a request of HTTP/2 without an answer that curl would take, and reads nothing of a body that it
    // refuses: a client that does not ask first may lose the answer with its connection.
    let asked = ["--http1.1", "-H", "Expect: 100-continue"];
    let how = if edge.verb == "haproxy" { &asked[..] } else { &["--http2"] };
    ask(at, "https", "/", &[how, &["--data-binary", &body(&big)]].concat()).is("413");

    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", GREETING, &at.ip().to_string(), &at.port().to_string()]);
    assert_eq!(Said::of(&mut python).exits(0).out, "HELLO\nAGAIN\n");

    if matches!(edge.verb, "nginx" | "caddy") {
        let forever = "cache-control: public, max-age=31536000, immutable";
        ask(at, "https", "/static/app.0123456789ab.css", &[]).is("200").has(forever).has("text/css");
        let gzip = ["-H", "Accept-Encoding: gzip", "-o", "/dev/null"];
        ask(at, "https", "/static/app.0123456789ab.css", &gzip).is("200").has("content-encoding: gzip");
        ask(at, "https", "/static/robots.txt", &[]).is("200").has("cache-control: public, max-age=300");
        ask(at, "https", "/static/gone.0123456789ab.css", &[]).is("404").lacks("immutable");
        ask(at, "https", "/static/../app.py", &["--path-as-is"]).lacks("text/x-python");
    } else {
        // The app answers: these serve no files.
        let answer = ask(at, "https", "/static/robots.txt", &[]).is("200");
        assert!(answer.body.contains("\"path\": \"/static/robots.txt\""), "{}", answer.body);
    }
}

#[test]
fn clients_get_all_of_it_through_nginx() {
    clients_get_all_of_it(&NGINX, None);
}

#[test]
fn clients_get_all_of_it_through_a_current_nginx_and_a_unix_socket() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    clients_get_all_of_it(&NGINX_CURRENT, Some(Target::Unix(folder.path().join("shop one.sock"))));
}

#[test]
fn clients_get_all_of_it_through_haproxy() {
    clients_get_all_of_it(&HAPROXY, None);
}

#[test]
fn clients_get_all_of_it_through_traefik() {
    clients_get_all_of_it(&TRAEFIK, None);
}

#[test]
fn clients_get_all_of_it_through_caddy() {
    clients_get_all_of_it(&CADDY, None);
}
