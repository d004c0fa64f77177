//! The client itself: it has to see every loss, or the other tests show nothing.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt::Linger};

use crate::harness::{Gunicorn, Master, WSGI, eventually, free_address};
use crate::load::{Load, Outcome, Target, get};

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server does with one request.
#[derive(Clone, Copy)]
enum Act {
    /// Says this and keeps the connection.
    Say(&'static str),
    /// Says this and closes.
    SayAndClose(&'static str),
    /// Resets without a word.
    Reset,
    /// Says nothing and keeps the connection.
    Silence,
}

/// A server of one connection at a time that does as told and then always the last thing again.
fn toy(acts: &[Act]) -> Target {
    let listener = TcpListener::bind(free_address()).expect("the address is free");
    let address = listener.local_addr().expect("it is bound");
    let mut acts: VecDeque<Act> = acts.iter().copied().collect();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.expect("accept works"), &mut acts);
        }
    });
    Target::Tcp(address)
}

fn serve(mut stream: TcpStream, acts: &mut VecDeque<Act>) {
    let mut request = [0; 4096];
    while stream.read(&mut request).is_ok_and(|length| length > 0) {
        let act = if acts.len() > 1 { acts.pop_front() } else { acts.front().copied() };
        match act.expect("one is left") {
            Act::Say(text) => drop(stream.write_all(text.as_bytes())),
            Act::SayAndClose(text) => return drop(stream.write_all(text.as_bytes())),
            Act::Reset => {
                let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
                return setsockopt(&stream, Linger, &at_once).expect("the socket is ours");
            }
            Act::Silence => {}
        }
    }
}

#[track_caller]
fn the_client_calls_it(target: Target, keep_alive: bool, outcome: Outcome) {
    let load =
        Load::on(&target).connections(1).keep_alive(keep_alive).limit(Duration::from_millis(300)).start();
    load.more(4);
    let tally = load.stop();
    assert!(tally.count(outcome) >= 1, "the client should have called it {outcome:?}: {tally}");
    assert!(tally.samples.iter().all(|sample| [Outcome::Ok, outcome].contains(&sample.outcome)), "{tally}");
}

#[test]
fn a_whole_answer_is_ok_and_its_connection_is_used_again() {
    let load = Load::on(&toy(&[Act::Say(WHOLE)])).connections(1).keep_alive(true).start();
    load.more(30);
    let tally = load.stop();
    tally.lost_nothing();
    assert_eq!(tally.reused(), tally.samples.len() - 1, "{tally}");
}

#[test]
fn a_chunked_answer_is_ok() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n42\r\n0\r\n\r\n";
    let target = toy(&[Act::Say(chunked)]);
    assert_eq!(get(&target, "/").map(|response| response.text()), Ok("42".to_owned()));
}

#[test]
fn a_missing_listener_is_refused() {
    the_client_calls_it(Target::Tcp(free_address()), false, Outcome::Refused);
    the_client_calls_it(Target::Unix("/nonexistent/ostler.sock".into()), true, Outcome::Refused);
}

#[test]
fn a_reset_of_a_fresh_connection_is_a_loss() {
    the_client_calls_it(toy(&[Act::Reset]), false, Outcome::ResetFresh);
}

#[test]
fn a_close_without_a_word_is_a_loss() {
    the_client_calls_it(toy(&[Act::SayAndClose("")]), false, Outcome::ResetFresh);
}

#[test]
fn a_reset_of_a_reused_connection_is_a_loss_of_its_own_kind() {
    the_client_calls_it(toy(&[Act::Say(WHOLE), Act::Reset, Act::Say(WHOLE)]), true, Outcome::ResetReused);
}

#[test]
fn a_close_that_was_not_announced_is_a_loss() {
    the_client_calls_it(toy(&[Act::SayAndClose(WHOLE)]), true, Outcome::ResetReused);
}

#[test]
fn a_close_that_was_announced_is_none() {
    let goodbye = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    the_client_calls_it(toy(&[Act::SayAndClose(goodbye)]), true, Outcome::Ok);
}

#[test]
fn half_an_answer_is_truncated() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    the_client_calls_it(toy(&[Act::SayAndClose(half)]), false, Outcome::Truncated);
    the_client_calls_it(toy(&[Act::SayAndClose("HTTP/1.1 200")]), false, Outcome::Truncated);
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf";
    the_client_calls_it(toy(&[Act::SayAndClose(chunk)]), true, Outcome::Truncated);
}

#[test]
fn a_server_error_is_named() {
    let error = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    the_client_calls_it(toy(&[Act::Say(error)]), true, Outcome::ServerError);
}

#[test]
fn silence_is_a_time_out() {
    the_client_calls_it(toy(&[Act::Silence]), false, Outcome::TimedOut);
}

#[test]
fn plain_gunicorn_loses_nothing_while_nobody_touches_it() {
    let master = Master::start(Gunicorn::V23, WSGI, &["-k", "gthread", "--threads", "4", "--workers", "2"]);
    for keep_alive in [false, true] {
        let load = Load::on(&master.target).keep_alive(keep_alive).start();
        load.more(500);
        load.stop().lost_nothing();
    }
}

#[test]
fn the_client_sees_what_gunicorns_own_reload_loses() {
    let master = Master::start(Gunicorn::V23, WSGI, &["-k", "gthread", "--threads", "4", "--workers", "2"]);
    let lost = eventually(Duration::from_secs(60), || {
        let load = Load::on(&master.target).connections(12).keep_alive(true).start();
        load.more(200);
        master.signal(Signal::SIGHUP);
        load.more(1500);
        let tally = load.stop();
        (tally.lost() > 0).then_some(tally)
    });
    let tally = lost.expect("gunicorn 23 gthread loses keep-alive requests when it reloads");
    assert!(tally.count(Outcome::ResetReused) > 0, "{tally}");
}
