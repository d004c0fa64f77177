//! The status page, as a browser sees it and as others do not.

mod browser;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::harness::{Site, WSGI, until};
use crate::health::{ask, listens, raw};
use browser::Browser;

/// A machine with a shop of two workers and an app that does not boot.
fn site() -> (Site, SocketAddr) {
    let site = Site::new();
    site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let bad = "raise ValueError('<script>document.title = \"taken\"</script>')";
    site.app("bad").tcp().workers(1).with("app.py", bad).key("optional = true").write();
    let address = listens(&site, &format!("token_file = \"{}\"", site.path("token").display()));
    std::fs::write(site.path("token"), "0123456789abcdef").expect("the site's folder is writable");
    (site, address)
}

fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    raw(address, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"))
}

/// A stream of pictures: after its greeting and a first one.
fn watch(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut stream = BufReader::new(stream);
    assert!(line(&mut stream).starts_with("HTTP/1.1 200 "));
    while !line(&mut stream).starts_with("data: <header>") {}
    stream
}

fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("it goes on");
    assert!(!line.is_empty(), "it has ended");
    line
}

#[test]
fn the_page_is_for_this_machine_and_nothing_that_an_app_says_is_markup() {
    let (site, address) = site();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.wait("bad", "has said why", |app| app.last_words.is_some());
    let page = get(address, "/", "Host: localhost\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.to_lowercase().contains("content-security-policy: default-src 'none';"), "{page}");
    for part in [">shop<", "2/2", "Workers of shop", "&lt;script&gt;document.title", "http-equiv=\"refresh\""]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("<script").count(), 1, "the page's own: {page}");
    let strangers = [
        "Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n",
        "Host: shop.example.com\r\n",
        "Host: localhost.example.com\r\nAuthorization: Bearer 0123456789abcdeX\r\n",
    ];
    for headers in strangers {
        for path in ["/", "/events"] {
            let refused = get(address, path, headers);
            assert!(refused.starts_with("HTTP/1.1 403 "), "{headers}: {refused}");
            assert!(!refused.contains("shop<") && !refused.contains("ostlerd 0"), "{refused}");
        }
    }
    let known = get(address, "/", "Host: shop.example.com\r\nAuthorization: Bearer 0123456789abcdef\r\n");
    assert!(known.contains("Workers of shop"), "{known}");
    let head = raw(address, "HEAD / HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(raw(address, "HEAD /events HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 OK"));
    assert!(raw(address, "POST / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 405"));
}

#[test]
fn who_watches_is_bounded_holds_up_no_check_and_ends_with_ostlerd() {
    let (site, address) = site();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut watching: Vec<_> = (0..8).map(|_| watch(address)).collect();
    let refused = get(address, "/events", "Host: localhost\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("fail: too many"), "{refused}");
    assert_eq!(ask(address, "/readyz").0, 200);
    assert!(
        get(address, "/", "Host: localhost\r\n").contains("Workers of shop"),
        "it can be read all the same"
    );
    // Seven of them read nothing; the eighth sees what happens all the same.
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    let mut eighth = watching.pop().expect("eight");
    until("the third worker is in the picture", || line(&mut eighth).contains(">3/3<").then_some(()));
    watching.pop();
    until("there is room again", || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        line(&mut BufReader::new(stream)).starts_with("HTTP/1.1 200 ").then_some(())
    });
    drop(ostlerd);
    let mut rest = String::new();
    // Cut off in the middle or at the end: it is over.
    while eighth.read_line(&mut rest).is_ok_and(|length| length > 0) {}
}

#[test]
fn a_browser_sees_the_page_live_dark_narrow_and_without_a_script() {
    let (site, address) = site();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.wait("bad", "has said why", |app| app.last_words.is_some());
    let mut browser = Browser::start(&site);
    let url = json!({ "url": format!("http://{address}/") });
    browser.ask("Page.navigate", url.clone());
    let shows = |browser: &mut Browser, text: &str| {
        let script = format!("document.body.innerText.includes({})", json!(text));
        until(format!("the page shows {text:?}"), || (browser.says(&script) == true).then_some(()));
    };
    shows(&mut browser, "2/2");
    assert!(browser.says("document.title").as_str().is_some_and(|it| it.starts_with("ready – ")));
    browser.says("window.here = true; document.querySelector('details').removeAttribute('open'); 1");
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    shows(&mut browser, "3/3");
    assert_eq!(browser.says("window.here"), true, "it is the same page");
    assert_eq!(browser.says("document.querySelector('details').open"), false, "what was closed stays closed");

    let paper = "getComputedStyle(document.body).backgroundColor";
    let colours = |value| json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
    browser.ask("Emulation.setEmulatedMedia", colours("light"));
    assert_eq!(browser.says(paper), "rgb(255, 255, 255)");
    browser.ask("Emulation.setEmulatedMedia", colours("dark"));
    assert_eq!(browser.says(paper), "rgb(20, 22, 26)");
    let narrow = json!({ "width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser.ask("Emulation.setDeviceMetricsOverride", narrow);
    assert_eq!(browser.says("document.documentElement.scrollWidth <= 400"), true, "nothing sticks out");
    assert_eq!(browser.complaints, Vec::<String>::new(), "its own policy lets it work");

    ostlerd.crash();
    shows(&mut browser, "ostlerd is not reachable");
    ostlerd = site.start();
    ostlerd.serving("shop");
    let hidden = "document.getElementById('stale').hidden";
    until("it goes on by itself", || (browser.says(hidden) == true).then_some(()));
    assert_eq!(browser.says("window.here"), true);

    browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.ask("Page.navigate", url);
    shows(&mut browser, "Workers of shop");
    assert_ne!(browser.says("window.here"), true);
}
