//! A pull that is cut, wherever it is; and two at once.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Said, free_address, is_root, kill, program, until};
use crate::image::Image;
use crate::shop::{Shop, only_root};

/// Between a client and the registry: of each answer it passes on so much and no more, and then waits for ever.
struct Hanging {
    reached: Arc<AtomicBool>,
}

impl Hanging {
    fn before(address: SocketAddr, registry: SocketAddr, most: usize) -> Hanging {
        let listener = TcpListener::bind(address).expect("the address is free");
        let reached = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&reached);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(registry).expect("the registry listens");
                let (up, down) = (
                    client.try_clone().expect("a descriptor is free"),
                    server.try_clone().expect("a descriptor is free"),
                );
                std::thread::spawn(move || pass(up, down, usize::MAX, None));
                let told = Arc::clone(&told);
                std::thread::spawn(move || pass(server, client, most, Some(&told)));
            }
        });
        Hanging { reached }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, most: usize, reached: Option<&AtomicBool>) {
    let (mut passed, mut part) = (0, [0_u8; 16 * 1024]);
    while let Ok(count @ 1..) = from.read(&mut part) {
        passed += count;
        if passed > most {
            reached.expect("only answers have an end").store(true, Ordering::SeqCst);
            // Until the client gives up.
            while matches!(to.read(&mut part), Ok(1..)) {}
            return;
        }
        if to.write_all(&part[..count]).is_err() {
            return;
        }
    }
}

/// A shop whose registry hangs in the middle of a layer, and its name there.
fn hanging() -> (Shop, Hanging, String) {
    let address = free_address();
    let shop = Shop::reached_also_at(Some(address));
    let noise: String = (0..400_000).map(|_| fastrand::alphanumeric()).collect();
    shop.push(Image::of(&[json!([{"name": "noise", "text": noise}])]), "shop:1");
    let hanging = Hanging::before(address, shop.registry.address, 150_000);
    let auth = fs::read_to_string(shop.site.path("home/.docker/config.json")).expect("the site is ours");
    let auth = auth.replace(&shop.registry.address.to_string(), &address.to_string());
    fs::write(shop.site.path("home/.docker/config.json"), auth).expect("the site is ours");
    (shop, hanging, format!("{address}/shop:1"))
}

fn started(shop: &Shop, name: &str) -> Child {
    let mut command = shop.command(&["images", "pull", "shop", name]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
}

#[test]
fn a_download_that_is_cut_leaves_nothing() {
    if !only_root("a pull that is cut") {
        return;
    }
    let (shop, hanging, name) = hanging();
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        hanging.reached.store(false, Ordering::SeqCst);
        let child = started(&shop, &name);
        until("the download hangs", || hanging.reached.load(Ordering::SeqCst).then_some(()));
        kill(child.id() as i32, signal);
        Said::from_child(child).exits(status).says(&["interrupted; nothing of the image was kept"]);
        shop.has_nothing();
    }
}

#[test]
fn what_a_kill_has_left_is_ended_with_it_and_removed_by_the_next_pull() {
    if !only_root("a pull that is killed") {
        return;
    }
    let (shop, hanging, name) = hanging();
    let child = started(&shop, &name);
    until("the download hangs", || hanging.reached.load(Ordering::SeqCst).then_some(()));
    let pulling = |it: &&String| it.starts_with(".pulling-");
    assert!(shop.entries().iter().find(pulling).is_some(), "{:?}", shop.entries());
    kill(child.id() as i32, Signal::SIGKILL);
    let _ = child.wait_with_output();
    until("skopeo has ended with it", || shop.children().is_empty().then_some(()));
    shop.log_in(crate::registry::PASSWORD);
    let release = shop.pulled("shop:1");
    let id = release.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(shop.entries(), [".images".to_owned(), id]);
    let layers = fs::read_dir(shop.releases().join(".images")).unwrap().count();
    assert_eq!(layers, 3, "blobs, index.json and oci-layout");
}

#[test]
fn an_unpacking_is_modest_and_cut_leaves_nothing() {
    if !only_root("an unpacking that is cut") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let programs = shop.site.path("programs");
    fs::create_dir(&programs).unwrap();
    crate::harness::readable(&programs);
    // Makes half a bundle with a folder that is closed to its owner, and hangs.
    let half = "#!/bin/sh\nfor last; do :; done\nmkdir -p \"$last/rootfs/closed/x\"\nchmod 0 \"$last/rootfs/closed\"\n\
                touch \"$last/half\"\nexec sleep 100000 \"$last\"\n";
    // sleep takes numbers alone.
    let half = half.replace("exec sleep 100000 \"$last\"", "exec tail -f /dev/null \"$last/half\"");
    program::write(&programs.join("umoci"), half.as_bytes());
    let mut command = shop.command(&["images", "pull", "shop", &shop.registry.name("shop:1")]);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let umoci = until("umoci hangs", || {
        let tail = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it == "tail\n");
        shop.children().into_iter().find(tail)
    });
    let stat = fs::read_to_string(format!("/proc/{umoci}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let (session, terminal, nice) = (fields[3], fields[4], fields[16]);
    assert_eq!((session, terminal, nice), (umoci.to_string().as_str(), "0", "10"), "{stat}");
    let disk = Said::of(std::process::Command::new("ionice").args(["-p", &umoci.to_string()])).exits(0);
    assert_eq!(disk.out.trim(), "best-effort: prio 7");
    let environment = fs::read(format!("/proc/{umoci}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("of-root"), "root's environment stays root's");
    let user = nix::unistd::User::from_name(&shop.account.name).unwrap().unwrap();
    assert_eq!(fs::metadata(format!("/proc/{umoci}")).unwrap().uid(), user.uid.as_raw());
    // It was root: it is the user now, and yet no other process of that user can look into it.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let ids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    let all = |uid: u32| format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}");
    assert_eq!(ids, all(user.uid.as_raw()));
    assert_eq!(fs::metadata(format!("/proc/{}/fd", child.id())).unwrap().uid(), 0);
    kill(child.id() as i32, Signal::SIGINT);
    Said::from_child(child).exits(130);
    shop.has_nothing();
}

#[test]
fn a_second_pull_at_once_is_told_to_try_again() {
    if !only_root("two pulls at once") {
        return;
    }
    let (shop, hanging, name) = hanging();
    let child = started(&shop, &name);
    until("the download hangs", || hanging.reached.load(Ordering::SeqCst).then_some(()));
    shop.pull("shop:1").exits(75).says(&["another pull is under way"]);
    kill(child.id() as i32, Signal::SIGINT);
    Said::from_child(child).exits(130);
    shop.log_in(crate::registry::PASSWORD);
    shop.pulled("shop:1");
}
