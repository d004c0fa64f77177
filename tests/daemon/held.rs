//! Files that somebody holds up: by a lease, by a pipe in their place, by a file system that does not answer. It costs the app
//! whose files they are, and nobody else.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};

use crate::harness::{AppFile, Ostlerd, Said, Site, WSGI, is_root, until, usual_user};
use crate::load::{Target, get};

/// One that every user may run.
const PYTHON: &str = "/usr/bin/python3";

/// The kernel takes a lease away after 45 s, and a loop that hangs hangs as long.
const AT_ONCE: Duration = Duration::from_secs(40);

/// The loop waits for no file, not even for the few seconds that whoever looks at one is given.
const LOOP: Duration = Duration::from_secs(4);

/// Whoever holds a path up; let go when it is dropped.
struct Hold {
    path: PathBuf,
    child: Option<Child>,
    mounted: bool,
}

impl Hold {
    /// By a lease, as the app's user, whose file it is.
    fn lease(path: &Path) -> Hold {
        let mut command = Command::new(PYTHON);
        if let Some(user) = usual_user().filter(|_| is_root()) {
            command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", "nogroup", "--clear-groups", "--", PYTHON]);
        }
        Hold::by(command, "lease", path, false)
    }

    /// By a file system in its place of which nothing is ever answered.
    fn dead(path: &Path) -> Hold {
        Hold::by(Command::new(PYTHON), "dead", path, true)
    }

    /// By a pipe that nobody writes to.
    fn pipe(path: &Path) -> Hold {
        fs::rename(path, path.with_extension("aside")).expect("the site is ours");
        nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o666)).expect("the site is ours");
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("it is ours");
        Hold { path: path.to_owned(), child: None, mounted: false }
    }

    fn by(mut command: Command, how: &str, path: &Path, mounted: bool) -> Hold {
        command.arg("-c").arg(include_str!("hold.py")).arg(how).arg(path).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python runs");
        let mut said = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut said).expect("it speaks UTF-8");
        let hold = Hold { path: path.to_owned(), child: Some(child), mounted };
        assert_eq!(said, "held\n", "{} is not held", path.display());
        hold
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        } else if fs::remove_file(&self.path).is_ok() {
            let _ = fs::rename(self.path.with_extension("aside"), &self.path);
        }
        if self.mounted {
            let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
            assert!(std::thread::panicking() || unmounted.is_ok_and(|it| it.success()));
        }
    }
}

/// Has a flag be true when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `shop`, with an environment file in a folder of its user's, and `blog` beside it.
struct Two {
    site: Site,
    shop: AppFile,
    blog: AppFile,
    env: PathBuf,
}

impl Two {
    fn new(change: impl FnOnce(&Site, AppFile) -> AppFile) -> Two {
        let site = Site::new();
        let folder = site.path("of-shop");
        fs::create_dir(&folder).expect("the site is ours");
        let env = folder.join("shop.env");
        fs::write(&env, "WORD=one\n").expect("the site is ours");
        if is_root() {
            let chown =
                Command::new("chown").arg("-R").arg(usual_user().unwrap_or("root")).arg(&folder).status();
            assert!(chown.expect("chown runs").success());
        }
        let shop =
            site.app("shop").tcp().workers(1).with("app.py", WSGI).key(&format!("env_files = [{env:?}]"));
        let shop = change(&site, shop).write();
        let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
        Two { site, shop, blog, env }
    }

    /// While shop is held: status is answered, blog is restarted and reloaded, and whoever asks hears what is held.
    fn costs_shop_alone(&self, ostlerd: &Ostlerd<'_>, words: &[&str]) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    ostlerd.status();
                    assert!(asked.elapsed() < AT_ONCE, "the loop hung for {:?}", asked.elapsed());
                }
            });
            ostlerd.ostler(&["restart", "shop"]).exits(78).says(words);
            ostlerd.restart("blog");
            let two = self.blog.text().replace("workers = 1", "workers = 2");
            fs::write(&self.blog.file, two).expect("the site is ours");
            ostlerd.ostler(&["reload"]).exits(78).says(words).says(&["everything else is as the files say"]);
            ostlerd.wait("blog", "is resized", |app| app.workers_wanted == 2);
            done.store(true, Ordering::Relaxed);
            watching.join().expect("status is answered");
        });
        ostlerd.ostler(&["status"]).exits(1).says(words);
        get(&self.shop.target(), "/").expect("shop serves");
    }

    fn is_well_again(&self, ostlerd: &Ostlerd<'_>) {
        until("nothing is refused", || ostlerd.status().config.valid.then_some(()));
        ostlerd.restart("shop");
        ostlerd.ostler(&["reload"]).exits(0);
    }
}

#[test]
fn a_lease_on_an_environment_file_costs_its_app_alone() {
    let two = Two::new(|_, app| app);
    let ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let hold = Hold::lease(&two.env);
    two.costs_shop_alone(&ostlerd, &["shop.env", "lease", "end that process"]);
    drop(hold);
    two.is_well_again(&ostlerd);
}

#[test]
fn a_pipe_in_place_of_an_environment_file_costs_its_app_alone() {
    let two = Two::new(|_, app| app);
    let ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let hold = Hold::pipe(&two.env);
    two.costs_shop_alone(&ostlerd, &["shop.env", "is no regular file"]);
    drop(hold);
    two.is_well_again(&ostlerd);
}

#[test]
fn a_dead_file_system_costs_its_app_alone_and_does_not_hold_up_the_end() {
    if !is_root() {
        eprintln!("skipped: only root can mount");
        return;
    }
    let two = Two::new(|_, app| app);
    let mut ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let hold = Hold::dead(&two.site.path("of-shop"));
    two.costs_shop_alone(&ostlerd, &["of-shop", "hangs", "other apps are not held up"]);
    let asked = Instant::now();
    ostlerd.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(ostlerd.ends().success());
    assert!(asked.elapsed() < AT_ONCE, "the end took {:?}", asked.elapsed());
    drop(hold);
}

#[test]
fn a_dead_release_costs_its_app_alone_and_does_not_hold_up_the_end() {
    if !is_root() {
        eprintln!("skipped: only root can mount");
        return;
    }
    let two = Two::new(|_, app| app);
    let ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let hold = Hold::dead(&two.shop.directory);
    two.costs_shop_alone(&ostlerd, &["releases/shop", "hangs"]);
    let asked = Instant::now();
    drop(ostlerd);
    assert!(asked.elapsed() < AT_ONCE, "the end took {:?}", asked.elapsed());
    drop(hold);
}

#[test]
fn a_dead_folder_of_a_socket_costs_its_app_alone_and_does_not_hold_up_the_end() {
    if !is_root() {
        eprintln!("skipped: only root can mount");
        return;
    }
    let two = Two::new(|site, app| {
        let run = site.path("of-shop/run");
        fs::create_dir(&run).expect("the site is ours");
        let user = usual_user().unwrap_or("root");
        assert!(Command::new("chown").arg(user).arg(&run).status().expect("chown runs").success());
        app.listen(Target::Unix(site.path("of-shop/run/shop.sock")))
    });
    let mut ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    let with = two.shop.text();
    let more = with.replace("run/shop.sock", "run/other.sock");
    let hold = Hold::dead(&two.site.path("of-shop/run"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also if the test fails: a thread that watches on would keep that from being seen.
        let over = Over(&done);
        let watching = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let asked = Instant::now();
                ostlerd.status();
                assert!(asked.elapsed() < LOOP, "the loop hung for {:?}", asked.elapsed());
            }
        });
        // Another socket there cannot be made, and everything else is as the files say.
        fs::write(&two.shop.file, more).expect("the site is ours");
        let two_workers = two.blog.text().replace("workers = 1", "workers = 2");
        fs::write(&two.blog.file, two_workers).expect("the site is ours");
        ostlerd.ostler(&["reload"]).exits(78).says(&[
            "of-shop/run",
            "hangs",
            "everything else is as the files say",
        ]);
        ostlerd.wait("blog", "is resized", |app| app.workers_wanted == 2);
        get(&two.shop.target(), "/").expect("shop serves");
        // Its file cannot be removed, and it cannot be made anew.
        fs::write(&two.shop.file, with).expect("the site is ours");
        ostlerd.ostler(&["reload"]).exits(0);
        ostlerd.ostler(&["stop", "shop"]).exits(0);
        let started = ostlerd.ostler(&["start", "shop"]);
        assert_ne!(started.code, Some(0), "{started}");
        started.says(&["of-shop/run"]);
        ostlerd.restart("blog");
        drop(over);
        watching.join().expect("status is answered");
    });
    let asked = Instant::now();
    ostlerd.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(ostlerd.ends().success());
    assert!(asked.elapsed() < AT_ONCE, "the end took {:?}", asked.elapsed());
    drop(hold);
}

#[test]
fn ostlerd_starts_with_the_other_apps_where_a_file_is_held() {
    for hold in [Hold::lease, Hold::pipe] {
        let two = Two::new(|_, app| app);
        let hold = hold(&two.env);
        let began = Instant::now();
        let ostlerd = two.site.start();
        assert!(began.elapsed() < AT_ONCE, "the start took {:?}", began.elapsed());
        ostlerd.serving("blog");
        ostlerd.ostler(&["status"]).exits(1).says(&["shop.env"]);
        drop(hold);
        ostlerd.serving("shop");
    }
}

#[test]
fn a_pipe_in_place_of_the_log_file_is_named() {
    let two = Two::new(|site, app| app.key(&format!("log_file = {:?}", site.path("logs/shop.log"))));
    let ostlerd = two.site.start();
    ostlerd.serving("shop");
    let hold = Hold::pipe(&two.site.path("logs/shop.log"));
    ostlerd.ostler(&["restart", "shop"]).exits(78).says(&["logs/shop.log", "named pipe"]);
    ostlerd.restart("blog");
    drop(hold);
    ostlerd.restart("shop");
}

#[test]
fn a_held_gunicorn_conf_py_holds_up_no_other_restart() {
    for hold in [Hold::lease, Hold::pipe] {
        let two = Two::new(|_, app| app.with("gunicorn.conf.py", ""));
        let conf = two.shop.directory.join("gunicorn.conf.py");
        if is_root() {
            let user = usual_user().unwrap_or("root");
            assert!(Command::new("chown").arg(user).arg(&conf).status().expect("chown runs").success());
        }
        let ostlerd = two.site.start();
        ostlerd.serving("shop");
        ostlerd.serving("blog");
        let hold = hold(&conf);
        let mut held = two.site.ostler_command(&["restart", "shop"]);
        let held = held.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler runs");
        ostlerd.restart("blog");
        let pid = nix::unistd::Pid::from_raw(held.id() as i32);
        let still = waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD));
        assert_eq!(still, Ok(nix::sys::wait::WaitStatus::StillAlive), "blog waited for shop");
        Said::from_child(held).exits(78).says(&["gunicorn.conf.py"]);
        drop(hold);
        ostlerd.restart("shop");
    }
}

#[test]
fn settings_that_hang_keep_no_change_of_another_app_from_being_put_in_force() {
    let two = Two::new(|_, app| app);
    let ostlerd = two.site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    two.shop.release("gunicorn.conf.py", "import time\ntime.sleep(600)\n");
    fs::write(&two.blog.file, two.blog.text().replace("workers = 1", "workers = 2"))
        .expect("the site is ours");
    two.shop.clone().env("WORD", "two").write();
    let words = ["shop: ", "has not read its settings", "everything else is as the files say"];
    ostlerd.ostler(&["reload"]).exits(78).says(&words);
    ostlerd.wait("blog", "is resized", |app| app.workers_wanted == 2);
    get(&two.shop.target(), "/").expect("shop serves");
}

#[test]
fn a_pipe_in_place_of_the_token_is_refused_in_words() {
    let site = Site::new();
    let token = site.path("token");
    nix::unistd::mkfifo(&token, Mode::S_IRUSR).expect("the site is ours");
    fs::write(site.config(), format!("[health]\ntoken_file = {token:?}\n")).expect("the site is ours");
    let said = site.start_in_vain();
    assert_ne!(said.code, Some(0), "{said}");
    said.says(&["token_file", "it is no regular file"]);
}
