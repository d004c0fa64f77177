//! Root does nothing for an app that its user could not do himself: what the app's code names, and what a path leads to that
//! its user exchanges while it is followed, is his own business or nobody's.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::{AppFile, Ostlerd, Site, WSGI, free_address, is_root, readable, usual_user};
use crate::load::{Target, get};

/// Whose app it is that attacks, and whose files are attacked.
const HIM: &str = "nobody";
const VICTIM: &str = "daemon";

/// Two paths that are exchanged as fast as their owner can.
const EXCHANGE: &str = "
import ctypes, sys
libc = ctypes.CDLL(None)
one, other = (path.encode() for path in sys.argv[1:])
print('begun', flush=True)
while True:
    libc.renameat2(-100, one, -100, other, 2)
";

fn may_attack() -> bool {
    let may = is_root() && usual_user() == Some(HIM);
    if !may {
        eprintln!("skipped: only root can become another user");
    }
    may
}

/// A folder of this user's.
fn folder(site: &Site, name: &str, user: &str) -> PathBuf {
    let path = site.path(name);
    fs::create_dir(&path).expect("the site is ours");
    readable(&path);
    chown(&path, user);
    path
}

fn chown(path: &Path, user: &str) {
    let done = Command::new("chown").arg("-h").arg(user).arg(path).status().expect("chown runs");
    assert!(done.success(), "{}", path.display());
}

/// `shop`, which attacks, and `blog`, which has nothing to do with it.
fn start<'a>(site: &'a Site, shop: AppFile) -> (AppFile, Ostlerd<'a>) {
    let shop = shop.write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("blog");
    (shop, ostlerd)
}

fn shop(site: &Site) -> AppFile {
    site.app("shop").workers(1).with("app.py", WSGI)
}

#[track_caller]
fn is_refused(ostlerd: &Ostlerd<'_>, words: &[&str]) {
    let said = ostlerd.ostler(&["restart", "shop"]);
    assert_ne!(said.code, Some(0), "{said}");
    said.says(words);
    ostlerd.ostler(&["restart", "blog"]).exits(0);
}

#[test]
fn the_code_of_an_app_binds_no_port_that_its_user_could_not_bind() {
    let may_all = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if !may_attack() || may_all.is_ok_and(|text| text.trim().parse::<u16>().is_ok_and(|it| it <= 99)) {
        return;
    }
    let site = Site::new();
    let own = free_address();
    let address = SocketAddr::new(own.ip(), 99);
    let conf = format!("bind = '{address}'\n");
    let (app, ostlerd) = start(&site, shop(&site).with("gunicorn.conf.py", &conf));
    let remedy = format!("write listen = \"{address}\" in {}", app.file.display());
    is_refused(&ostlerd, &[&format!("gunicorn's bind is {address}"), "cannot bind ports below", &remedy]);
    TcpStream::connect(address).expect_err("nobody listens there");
    site.check().says(&[&remedy]);

    // The app's file is root's word.
    app.listen(Target::Tcp(address)).write();
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.serving("shop");
    get(&Target::Tcp(address), "/").expect("it serves");
    assert_ne!(own.ip(), Ipv4Addr::LOCALHOST);
}

#[test]
fn the_code_of_an_app_makes_no_file_in_a_folder_of_root_s() {
    if !may_attack() {
        return;
    }
    let site = Site::new();
    let file = site.path("apps.d/zz.toml");
    let conf = format!("bind = 'unix:{}'\n", file.display());
    let (app, ostlerd) = start(&site, shop(&site).with("gunicorn.conf.py", &conf));
    is_refused(
        &ostlerd,
        &["zz.toml", "user nobody may not make or replace a socket", "`listen` of the app's file"],
    );
    assert!(fs::symlink_metadata(&file).is_err(), "it was made");

    // In one of his own he is free to, and the file is his.
    let run = folder(&site, "of-shop", HIM);
    let socket = run.join("shop.sock");
    app.release("gunicorn.conf.py", &format!("bind = 'unix:{}'\n", socket.display()));
    ostlerd.restart("shop");
    get(&Target::Unix(socket.clone()), "/").expect("it serves");
    assert_eq!(fs::metadata(&socket).expect("it is there").uid(), fs::metadata(&run).expect("it is").uid());

    // One of root's is to be had by the app's file, where nobody else can change it.
    let socket = site.path("shop.sock");
    let app = app.listen(Target::Unix(socket.clone())).write();
    ostlerd.ostler(&["reload"]).exits(0);
    get(&Target::Unix(socket.clone()), "/").expect("it serves");
    let everybodys = site.path("logs/deep");
    fs::create_dir(&everybodys).expect("the site is ours");
    let text = app.text().replace(&*socket.to_string_lossy(), &everybodys.join("x").to_string_lossy());
    fs::write(&app.file, text).expect("the site is ours");
    let said = ostlerd.ostler(&["reload"]);
    said.exits(78).says(&["root does not do it", "logs can be changed by everybody"]);
    get(&Target::Unix(socket), "/").expect("it serves on");
}

/// What nobody but its owner may touch: its folder, and a socket file at which nobody listens any more.
struct Victim {
    folder: PathBuf,
    was: Vec<(String, u64, u32, u32)>,
}

impl Victim {
    fn new(site: &Site) -> Victim {
        let folder = folder(site, "of-blog", VICTIM);
        drop(UnixListener::bind(folder.join("shop.sock")).expect("the site is ours"));
        fs::write(folder.join("shop.log"), "precious\n").expect("the site is ours");
        fs::write(folder.join("shop.env"), "TOKEN=precious\n").expect("the site is ours");
        for name in ["shop.sock", "shop.log", "shop.env"] {
            chown(&folder.join(name), VICTIM);
        }
        let was = Victim::look(&folder);
        Victim { folder, was }
    }

    fn look(folder: &Path) -> Vec<(String, u64, u32, u32)> {
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.expect("it is readable");
            let meta = entry.metadata().expect("it is there");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, meta.ino(), meta.mode(), meta.uid())
        };
        let mut all: Vec<_> = fs::read_dir(folder).expect("it is there").map(entry).collect();
        all.sort();
        all
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(Victim::look(&self.folder), self.was);
        let log = fs::read_to_string(self.folder.join("shop.log")).expect("it is there");
        assert_eq!(log, "precious\n");
    }
}

/// The app's user exchanges his folder for a link to another's, for as long as this lives.
struct Exchange(Child);

impl Exchange {
    fn begin(one: &Path, other: &Path) -> Exchange {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            HIM,
            "--regid",
            "nogroup",
            "--clear-groups",
            "--",
            "/usr/bin/python3",
            "-c",
        ]);
        let mut child =
            command.arg(EXCHANGE).args([one, other]).stdout(Stdio::piped()).spawn().expect("python runs");
        let mut said = String::new();
        let out = child.stdout.take().expect("it is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).expect("it speaks UTF-8");
        assert_eq!(said, "begun\n");
        Exchange(child)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder of shop's user, in it the folder that its paths go through, and a link to the victim's.
fn two_ways(site: &Site, victim: &Victim) -> (PathBuf, PathBuf) {
    folder(site, "of-shop", HIM);
    let run = folder(site, "of-shop/run", HIM);
    let link = site.path("of-shop/link");
    symlink(&victim.folder, &link).expect("the site is ours");
    chown(&link, HIM);
    (run, link)
}

#[test]
fn a_link_in_the_middle_of_a_path_reaches_no_file_of_another_app() {
    if !may_attack() {
        return;
    }
    let site = Site::new();
    let victim = Victim::new(&site);
    let (_, link) = two_ways(&site, &victim);
    let app = shop(&site).listen(Target::Unix(link.join("shop.sock")));
    let (app, ostlerd) = start(&site, app);
    is_refused(&ostlerd, &["root does not do it", "of-shop can be changed by nobody, whose it is"]);
    victim.is_untouched();
    let listens = |app: AppFile, name: &str| {
        app.key(&format!("{name} = {:?}", link.join("shop.log"))).tcp().write();
    };
    fs::remove_file(&app.file).expect("it is there");
    listens(shop(&site), "log_file");
    is_refused(&ostlerd, &["shop.log", "Permission denied"]);
    let app = shop(&site).key(&format!("env_files = [{:?}]", link.join("shop.env"))).tcp().write();
    is_refused(&ostlerd, &["shop.env is not nobody's own, but nobody could point it elsewhere"]);
    victim.is_untouched();
    drop(app);
}

#[test]
fn a_folder_that_is_exchanged_while_it_is_used_reaches_no_file_of_another_app() {
    if !may_attack() {
        return;
    }
    let site = Site::new();
    let victim = Victim::new(&site);
    let (run, link) = two_ways(&site, &victim);
    let app = shop(&site).listen(Target::Unix(run.join("shop.sock"))).tcp();
    let app = app.key(&format!("log_file = {:?}", run.join("shop.log")));
    let app = app.table("[rollout]\nsettle = \"100ms\"\nmax_boot_failures = 1");
    let (app, ostlerd) = start(&site, app);
    ostlerd.serving("shop");
    let exchange = Exchange::begin(&run, &link);
    let both = app.text();
    let alone = both.replace(&format!("\"unix:{}\", ", run.join("shop.sock").display()), "");
    assert_ne!(both, alone);
    for _ in 0..6 {
        // The socket's file is removed and made, at this moment or that; whether it can be is his own affair.
        fs::write(&app.file, &alone).expect("the site is ours");
        ostlerd.ostler(&["reload"]);
        victim.is_untouched();
        fs::write(&app.file, &both).expect("the site is ours");
        ostlerd.ostler(&["reload"]);
        victim.is_untouched();
    }
    drop(exchange);
    ostlerd.ostler(&["stop", "shop"]);
    victim.is_untouched();
    ostlerd.ostler(&["restart", "blog"]).exits(0);
}
