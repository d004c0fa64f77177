//! Health under people who do not behave: it goes on answering, and grows no larger.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::resource::{Resource, getrlimit};

use crate::harness::{Ostlerd, Site, WSGI, eventually, free_address, until};
use crate::health::{ask, listens};

fn served(site: &Site) -> SocketAddr {
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    listens(site, "")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a time");
    stream
}

#[test]
fn a_thousand_idle_connections_keep_nobody_out() {
    let site = Site::new();
    let address = served(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let idle: Vec<TcpStream> = (0..1000).map(|_| connect(address)).collect();
    for _ in 0..20 {
        assert_eq!(ask(address, "/readyz").0, 200);
    }
    drop(idle);
    assert_eq!(ask(address, "/livez").0, 200);
}

#[test]
fn the_memory_of_a_rush_comes_back_within_a_minute() {
    let site = Site::new();
    let address = served(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(ask(address, "/metrics").0, 200);
    let before = ostlerd.process().rss();
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("it is known");
    let many = (soft / 4).min(4096);
    let half = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: {}", "x".repeat(7000));
    let rush: Vec<TcpStream> = (0..many)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(half.as_bytes()).expect("it is read");
            stream
        })
        .collect();
    let control: Vec<_> = (0..many / 8).filter_map(|_| UnixStream::connect(site.socket()).ok()).collect();
    until("it has grown", || (ostlerd.process().rss() > before + many * 8192).then_some(()));
    let most = ostlerd.process().rss();
    drop((rush, control));
    let back = eventually(Duration::from_secs(60), || {
        let now = ostlerd.process().rss();
        (now < before + (4 << 20)).then_some(now)
    });
    let now = ostlerd.process().rss();
    println!("{many} connections: {before} bytes before, {most} at most, {now} after");
    assert!(back.is_some(), "{before} bytes before, {most} at most, {now} after a minute");
    is_well(&ostlerd, address);
}

#[test]
fn a_request_that_never_ends_is_cut_off() {
    let site = Site::new();
    let address = served(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut slow = connect(address);
    slow.set_read_timeout(Some(Duration::from_millis(1))).expect("a time");
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n").expect("it reads");
    let began = Instant::now();
    let cut = eventually(Duration::from_secs(300), || {
        // A byte of a header again and again: each one alone would look alive.
        let written = slow.write_all(b"X");
        let ended = matches!(slow.read(&mut [0]), Ok(0)) || written.is_err();
        ended.then_some(began.elapsed())
    });
    let after = cut.expect("it is cut off");
    assert!(after > Duration::from_secs(5), "{after:?} is too soon");
    assert_eq!(ask(address, "/livez").0, 200);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let site = Site::new();
    let address = served(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut stream = connect(address);
    let _ =
        stream.write_all(format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)).as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(ask(address, "/livez").0, 200);
}

/// Bytes that may be a request, or half of one, or none at all.
fn nonsense(rng: &mut Rng) -> Vec<u8> {
    let good =
        b"GET /readyz?verbose&exclude=%ff HTTP/1.1\r\nHost: x\r\nAccept: application/health+json\r\n\r\n";
    match rng.usize(..6) {
        0 => (0..rng.usize(..4096)).map(|_| rng.u8(..)).collect(),
        1 => {
            let mut bytes = good.to_vec();
            for _ in 0..1 + rng.usize(..8) {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
            bytes
        }
        2 => good.repeat(1 + rng.usize(..200)),
        3 => good[..rng.usize(..good.len())].to_vec(),
        4 => format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(rng.usize(..40_000))).into_bytes(),
        _ => {
            let headers: String = (0..rng.usize(..400)).map(|n| format!("H{n}: {n}\r\n")).collect();
            format!("POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{headers}\r\nffffffff\r\n")
                .into_bytes()
        }
    }
}

fn abuse(address: SocketAddr, rng: &mut Rng) {
    let mut stream = connect(address);
    let _ = stream.write_all(&nonsense(rng));
    match rng.usize(..3) {
        0 => {}
        1 => drop(stream.shutdown(Shutdown::Write)),
        _ => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 4096]);
        }
    }
}

fn is_well(ostlerd: &Ostlerd<'_>, address: SocketAddr) {
    assert_eq!(ask(address, "/livez"), (200, "ok\n".to_owned()));
    assert!(!ostlerd.log().contains("panicked"), "{}", ostlerd.log());
}

#[test]
fn nonsense_neither_stops_it_nor_makes_it_grow() {
    let seconds = std::env::var("OSTLER_FUZZ_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(10);
    let site = Site::new();
    let address = served(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let seed = u64::from(std::process::id());
    let mut rng = Rng::with_seed(seed);
    let mut run = |time: Duration| {
        let end = Instant::now() + time;
        let mut rounds = 0_u64;
        while Instant::now() < end {
            abuse(address, &mut rng);
            rounds += 1;
            if rounds.is_multiple_of(50) {
                is_well(&ostlerd, address);
            }
        }
        rounds
    };
    let time = Duration::from_secs(seconds);
    run(time / 4);
    let before = ostlerd.process().rss();
    let rounds = run(time * 3 / 4);
    let after = ostlerd.process().rss();
    is_well(&ostlerd, address);
    println!("seed {seed}: {rounds} connections, {before} bytes before, {after} after");
    assert!(
        after < before + (4 << 20),
        "seed {seed}: grown from {before} to {after} bytes in {rounds} connections"
    );
}

#[test]
fn however_many_hold_the_port_of_the_agent_haproxy_is_answered() {
    let site = Site::new();
    let agent = free_address();
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    listens(&site, &format!("agent = \"{agent}\""));
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for _ in 0..5 {
        let held: Vec<TcpStream> = (0..600).map(|_| connect(agent)).collect();
        let mut said = String::new();
        connect(agent).read_to_string(&mut said).expect("it ends");
        assert_eq!(said, "up ready 100%\n");
        drop(held);
    }
    let mut loud = connect(agent);
    let cut = (0..10_000).any(|_| loud.write_all(&[b'x'; 1024]).is_err());
    assert!(cut, "nobody takes in what somebody says without end");
}
