//! The app that everybody serves, once as WSGI and once as ASGI, with the levers that the measures need.

/// Its text.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Seconds that its import takes.
    pub import: f64,
    /// How much it keeps: so many dictionaries with a list in each, as Python's collector of garbage looks at both, and
    /// not at what has only numbers and texts in it. Some 400 bytes each.
    pub heap: u32,
}

/// Loads at once and keeps nothing.
pub const SMALL: App = App { import: 0.0, heap: 0 };

/// A release that does not boot.
pub const BROKEN: &str = "raise RuntimeError('this release does not boot')\n";

impl App {
    /// One that takes so long to import.
    pub fn slow(import: f64) -> App {
        App { import, ..SMALL }
    }

    /// Its `app.py`: `application` is for WSGI, `asgi` for ASGI; `/` answers `PID 1`.
    pub fn text(self) -> String {
        let App { import, heap } = self;
        format!(
            "{HEAD}\ntime.sleep({import})\nHEAP = [{{'id': i, 'tags': ['item %d' % i]}} for i in range({heap})]\n{BODY}"
        )
    }
}

const HEAD: &str = "import asyncio, gc, os, time";

const BODY: &str = r#"
def answer(path, query):
    if path == "/spin":
        until = time.monotonic() + float(query)
        while time.monotonic() < until:
            pass
    elif path == "/collect":
        gc.collect()
        time.sleep(0.05)
    return b"%d 1" % os.getpid()

def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if path == "/sleep":
        time.sleep(float(query))
    body = answer(path, query)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path, query = scope["path"], scope["query_string"].decode()
    if path == "/sleep":
        await asyncio.sleep(float(query))
    body = answer(path, query)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"#;
