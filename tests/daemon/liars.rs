//! Workers and zygotes that lie to ostlerd, on the socket that they have from it: it costs their own app, and nobody else.

use std::time::Duration;

use crate::harness::{AppFile, Ostlerd, Site, WSGI, eventually};
use crate::load::answers;

/// As an app that means no good begins: 5 is its control socket, and a zygote holds our end of it at 7.
const WIRE: &str = "
import array, json, os, socket, sys, threading, time
wire = socket.socket(fileno=os.dup(5))
try:
    end = socket.socket(fileno=os.dup(7))
except OSError:
    end = wire
def say(text):
    data = text.encode()
    while data:
        try:
            data = data[wire.send(data, socket.MSG_DONTWAIT):]
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            return False
    return True
";

/// Sends what nobody asks for: descriptors, with and without the option by which the kernel names who speaks.
const RIGHTS: &str = "
own = os.open('/dev/zero', os.O_RDONLY)
for option in (16, 76, None):
    for most in (1, 3, 4, 5, 200):
        for _ in range(20):
            try:
                if option:
                    end.setsockopt(socket.SOL_SOCKET, option, int(option == 76))
                wire.sendmsg([b'\\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [own] * most))], socket.MSG_DONTWAIT)
            except OSError:
                break
print('it has lied', flush=True)
";

/// More than ostlerd grows by, whoever lies; its tables of threads and buffers are a part of that.
const GROWN: u64 = 16 << 20;

/// An app that lies as soon as its `application` is imported, beside one that does not.
#[track_caller]
fn lies(preload: bool, lie: &str) {
    let site = Site::with_own_health();
    let honest = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let liar = site.app("liar").tcp().workers(1).key(&format!("preload = {preload}"));
    let liar = liar.table("[rollout]\nboot_timeout = \"20s\"\nmax_boot_failures = 1\nsettle = \"0s\"");
    let liar = liar.with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("liar");
    let before = (ostlerd.pids("shop"), ostlerd.process().rss(), ostlerd.process().descriptors().len());
    liar.release("app.py", &format!("{WIRE}{lie}\n{WSGI}"));
    let outcome = ostlerd.ostler(&["restart", "liar"]);
    assert!(matches!(outcome.code, Some(0 | 1)), "{outcome}");
    ostlerd.logs("it has lied");
    nothing_happened(&ostlerd, &honest, &before.0);
    let grown = ostlerd.process().rss().saturating_sub(before.1);
    assert!(grown < GROWN, "it has grown by {grown} bytes");
    // And the liar tells the truth again.
    liar.release("app.py", WSGI);
    ostlerd.restart("liar");
    ostlerd.serving("liar");
    let back = eventually(Duration::from_secs(60), || {
        (ostlerd.process().descriptors().len() <= before.2).then_some(())
    });
    assert!(back.is_some(), "{} descriptors before: {:#?}", before.2, ostlerd.process().descriptors());
}

fn nothing_happened(ostlerd: &Ostlerd<'_>, honest: &AppFile, pids: &[i32]) {
    assert_eq!(ostlerd.pids("shop"), pids);
    answers(&honest.target(), "1");
    let log = ostlerd.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn descriptors_that_a_worker_sends_are_closed() {
    lies(false, RIGHTS);
}

#[test]
fn descriptors_that_a_zygote_sends_are_closed() {
    lies(true, RIGHTS);
}

const FLOOD: &str = "
print('it has lied', flush=True)
for _ in range(100):
    if not say('x' * (1 << 20)) or not say('{}\\n' * 100000):
        break
";

#[test]
fn a_worker_that_talks_without_end_is_cut_off() {
    lies(false, FLOOD);
}

#[test]
fn a_zygote_that_talks_without_end_is_cut_off() {
    lies(true, FLOOD);
}

/// Words of the contract, in an order that no worker has, about others and with values that cannot be.
const DISORDER: &str = "
words = ['ready', 'forked', 'failed', 'loaded', 'proved', 'settings', 'tables', 'ran', 'here', 'ready', 'failed']
for word in words:
    say(json.dumps({'event': word, 'app': 'shop', 'worker': 1, 'generation': 1, 'pid': 1, 'message': [], 'stage': {}}) + '\\n')
say('{\"event\": \"failed\", \"stage\": \"boot\", \"message\": \"\\\\u001b[2J' + 'x' * 60000 + '\", \"traceback\": \"\\\\u0000\"}\\n')
say('[' * 60000 + '\\n')
say('{\"event\": \"ready\", \"event\": \"failed\"}\\n\\xff\\n{\"event\": 1e999}\\n')
print('it has lied', flush=True)
";

#[test]
fn a_worker_that_says_everything_in_disorder_is_believed_about_itself_alone() {
    lies(false, DISORDER);
}

#[test]
fn a_zygote_that_says_everything_in_disorder_is_believed_about_itself_alone() {
    lies(true, DISORDER);
}

const HALF: &str = "
say('{\"event\": \"rea')
print('it has lied', flush=True)
time.sleep(1000)
";

#[test]
fn a_worker_that_says_half_a_word_and_then_nothing_is_given_up_in_time() {
    lies(false, HALF);
}

#[test]
fn a_zygote_that_says_half_a_word_and_then_nothing_is_given_up_in_time() {
    lies(true, HALF);
}

/// Takes the socket apart: options, ends, and who may send.
const APART: &str = "
print('it has lied', flush=True)
for it in (wire, end):
    for option in range(1, 90):
        for value in (0, 1, 0x7fffffff):
            try:
                it.setsockopt(socket.SOL_SOCKET, option, value)
            except OSError:
                pass
    try:
        it.setblocking(True)
        it.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
os.close(5)
";

#[test]
fn a_worker_that_takes_its_socket_apart_harms_itself_alone() {
    lies(false, APART);
}

#[test]
fn a_zygote_that_takes_ostlerds_end_of_its_socket_apart_harms_itself_alone() {
    lies(true, APART);
}
