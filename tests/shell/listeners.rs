use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler::config::{Address, Listen, Origin};
use ostler::run::listeners::{Listeners, SocketName};
use ostler::run::socket_activation::Passed;

use crate::support::{children, end, nobody, python};

fn listen(address: Address) -> Listen {
    Listen { address, mode: None, backlog: 16, origin: Origin::File }
}

fn tcp(address: &str) -> Listen {
    listen(Address::Tcp(address.parse().unwrap()))
}

fn unix(path: &Path) -> Listen {
    listen(Address::Unix(path.to_owned()))
}

fn bind(listeners: &mut Listeners, wanted: &[Listen]) -> Result<(), String> {
    listeners.bind_missing(wanted, None, &Passed::default()).map_err(|error| error.to_string())
}

/// Files go apart from whoever closes their sockets.
fn is_gone(path: &Path) {
    let began = Instant::now();
    while path.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} is still there", path.display());
        std::thread::yield_now();
    }
}

fn port(listeners: &Listeners, index: usize) -> u16 {
    match &listeners.all()[index].name {
        SocketName::Inet(_, port) | SocketName::Inet6(_, port) => *port,
        SocketName::Unix(path) => panic!("{path:?}"),
    }
}

#[test]
fn both_families_listen_apart_and_are_named_with_their_ports() {
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[tcp("0.0.0.0:0")]).unwrap();
    let first = port(&listeners, 0);
    // The wildcard of IPv6 does not take IPv4's port with it.
    let both = [tcp("0.0.0.0:0"), tcp(&format!("[::]:{first}"))];
    bind(&mut listeners, &both).unwrap();
    let names: Vec<_> = listeners.of(&both).iter().map(|bound| bound.name.clone()).collect();
    let expected = [SocketName::Inet("0.0.0.0".to_owned(), first), SocketName::Inet6("::".to_owned(), first)];
    assert_eq!(names, expected);
    let shown = names.iter().map(SocketName::to_string).collect::<Vec<_>>();
    assert_eq!(shown, [format!("0.0.0.0:{first}"), format!("[::]:{first}")]);
    std::net::TcpStream::connect(("127.0.0.1", first)).unwrap();
    std::net::TcpStream::connect(("::1", first)).unwrap();
}

#[test]
fn a_port_in_use_names_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let code = "import os, socket, time\n\
                    s = socket.create_server(('127.0.0.1', 0))\n\
                    os.write(5, b'%d\\n' % s.getsockname()[1])\ntime.sleep(600)";
        let holder = children().spawn(&python(code), &[(theirs.as_fd(), 5)]).unwrap();
        let mut line = String::new();
        BufReader::new(ours).read_line(&mut line).unwrap();
        let mut listeners = Listeners::new(folder.path());
        let address = format!("127.0.0.1:{}", line.trim());
        let error = bind(&mut listeners, &[tcp(&address)]).unwrap_err();
        let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users can be looked up");
        let user = own.expect("we are a user with a name").name;
        let expected = format!(
            "cannot listen on {address}: the port is in use by python3 (pid {}) of {user}; \
             stop that, or set another port in `listen`",
            holder.pid()
        );
        end(&holder).await;
        assert_eq!(error, expected);
        // The port is free again.
        bind(&mut listeners, &[tcp(&address)]).unwrap();
    });
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = bind(&mut Listeners::new(folder.path()), &[tcp("192.0.2.1:8000")]).unwrap_err();
    assert!(error.contains("no interface with that address"), "{error}");
}

#[test]
fn a_refused_listener_leaves_none_of_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[unix(&old)]).unwrap();
    let error = bind(&mut listeners, &[unix(&old), unix(&new), unix(&file)]).unwrap_err();
    assert!(error.contains(": a file is there; remove it"), "{error}");
    assert_eq!(listeners.all().len(), 1);
    is_gone(&new);
    assert!(old.exists() && file.exists());
}

#[test]
fn what_stays_wanted_is_not_touched_and_what_is_not_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, gone) = (folder.path().join("kept"), folder.path().join("gone"));
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[unix(&kept), unix(&gone)]).unwrap();
    let socket = Arc::as_ptr(&listeners.all()[0].fd);
    // Another mode or queue is put in force on the same socket.
    let wanted = Listen { mode: Some(0o600), backlog: 99, ..unix(&kept) };
    bind(&mut listeners, std::slice::from_ref(&wanted)).unwrap();
    assert!(gone.exists());
    listeners.drop_unwanted(std::slice::from_ref(&wanted));
    is_gone(&gone);
    assert_eq!(listeners.all().len(), 1);
    assert_eq!((&listeners.all()[0].listen, Arc::as_ptr(&listeners.all()[0].fd)), (&wanted, socket));
    assert_eq!(kept.metadata().unwrap().mode() & 0o777, 0o600);
    UnixStream::connect(&kept).unwrap();
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let other = UnixListener::bind(&path).unwrap();
    let mut listeners = Listeners::new(folder.path());
    let error = bind(&mut listeners, &[unix(&path)]).unwrap_err();
    assert!(error.contains("another process answers there"), "{error}");
    drop(other);
    bind(&mut listeners, &[unix(&path)]).unwrap();
    UnixStream::connect(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o666);
}

#[test]
fn a_socket_file_goes_with_its_socket_unless_it_is_kept_or_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sock");
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[unix(&path)]).unwrap();
    drop(listeners);
    is_gone(&path);

    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[unix(&path)]).unwrap();
    std::fs::rename(&path, folder.path().join("aside")).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(listeners);
    UnixStream::connect(&path).unwrap();
    drop(other);

    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[unix(&path)]).unwrap();
    listeners.keep_files();
    drop(listeners);
    assert!(path.exists());
}

#[test]
fn a_socket_file_has_the_mode_and_owner_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/shop/shop.sock");
    let account = nobody();
    let mut listeners = Listeners::new(folder.path());
    let wanted = [Listen { mode: Some(0o620), ..unix(&path) }];
    listeners.bind_missing(&wanted, account.as_ref(), &Passed::default()).unwrap();
    let meta = path.metadata().unwrap();
    assert_eq!(meta.mode() & 0o777, 0o620);
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    assert_eq!((meta.uid(), meta.gid()), account.map_or(own, |account| (account.uid, account.gid)));
}

#[test]
fn directories_are_made_below_our_own_only() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("run");
    let mut listeners = Listeners::new(&ours);
    bind(&mut listeners, &[unix(&ours.join("a/b/shop.sock"))]).unwrap();
    assert_eq!(ours.join("a/b").metadata().unwrap().permissions().mode() & 0o022, 0);
    for path in [folder.path().join("other/shop.sock"), ours.join("../other/shop.sock")] {
        let error = bind(&mut listeners, &[unix(&path)]).unwrap_err();
        assert!(error.contains("other is not there; make it, or use a path in "), "{error}");
    }
    let error = bind(&mut listeners, &[unix(&ours.join("x".repeat(120)))]).unwrap_err();
    assert!(error.contains("the kernel takes 107 at most"), "{error}");
}

#[test]
fn sockets_from_systemd_are_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let sockets: Vec<_> = ["web", "web", "admin"]
        .map(|name| (name.to_owned(), Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap().into())))
        .into();
    let passed = Passed::of(sockets);
    let mut listeners = Listeners::new(folder.path());
    let wanted = [listen(Address::Systemd("web".to_owned()))];
    listeners.bind_missing(&wanted, None, &passed).unwrap();
    listeners.bind_missing(&wanted, None, &passed).unwrap();
    assert_eq!(listeners.of(&wanted).len(), 2);
    let error = bind(&mut listeners, &[listen(Address::Systemd("shop".to_owned()))]).unwrap_err();
    assert!(error.starts_with("cannot listen on systemd:shop: systemd passed no sockets; "), "{error}");
    listeners.drop_unwanted(&[]);
    assert_eq!(passed.named("web").len(), 2);
}

#[test]
fn a_silent_client_is_kept_from_workers_that_would_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[tcp("127.0.0.1:0")]).unwrap();
    let address = ("127.0.0.1", port(&listeners, 0));
    let socket = std::net::TcpListener::from(listeners.all()[0].fd.try_clone().unwrap());
    listeners.defer_accept(true);
    let mut silent = std::net::TcpStream::connect(address).unwrap();
    let mut speaking = std::net::TcpStream::connect(address).unwrap();
    speaking.write_all(b"hello").unwrap();
    // Though the silent one came first.
    socket.set_nonblocking(false).unwrap();
    let mut text = [0; 5];
    socket.accept().unwrap().0.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    silent.write_all(b"later").unwrap();
    socket.accept().unwrap().0.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"later");
    listeners.defer_accept(false);
    let _silent = std::net::TcpStream::connect(address).unwrap();
    socket.accept().unwrap();
}

/// What the kernel does with `[::]` where nobody says otherwise.
fn takes_both() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|text| text.trim() == "0")
}

#[test]
fn the_wildcard_of_ipv6_takes_ipv4_as_the_kernel_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Listeners::new(folder.path());
    bind(&mut listeners, &[tcp("[::]:0")]).unwrap();
    let port = port(&listeners, 0);
    std::net::TcpStream::connect(("::1", port)).unwrap();
    assert_eq!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), takes_both());
    if takes_both() {
        // It has IPv4 as long as it is bound, and says so to who comes later.
        let wanted = [tcp(&format!("[::]:{port}")), tcp(&format!("0.0.0.0:{port}"))];
        listeners = Listeners::new(folder.path());
        bind(&mut listeners, &wanted[..1]).unwrap();
        let error = bind(&mut listeners, &wanted).unwrap_err();
        let expected =
            format!("cannot listen on 0.0.0.0:{port}: [::]:{port} of the same app takes IPv4 as well");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn the_wildcards_of_both_families_share_a_port_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    for first in ["0.0.0.0", "[::]"] {
        let mut free = Listeners::new(folder.path());
        bind(&mut free, &[tcp("0.0.0.0:0")]).unwrap();
        let port = port(&free, 0);
        drop(free);
        let mut wanted = [tcp(&format!("0.0.0.0:{port}")), tcp(&format!("[::]:{port}"))];
        if first == "[::]" {
            wanted.reverse();
        }
        let mut listeners = Listeners::new(folder.path());
        bind(&mut listeners, &wanted).unwrap();
        for (host, own) in [("127.0.0.1", "0.0.0.0"), ("::1", "[::]")] {
            let at = wanted.iter().position(|it| it.address.to_string().starts_with(own)).unwrap();
            let client = std::net::TcpStream::connect((host, port)).unwrap();
            let listener = std::net::TcpListener::from(listeners.of(&wanted)[at].fd.try_clone().unwrap());
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        }
    }
}
