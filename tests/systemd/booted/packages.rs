//! The .deb on a booted Debian that had no ostler: install, upgrade, remove, purge, and what stands in their way.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{Said, until, venvs};
use crate::load::{Load, Running};
use crate::machine::Machine;
use crate::package::{Kind, NEW, OLD, Packages};
use crate::site::{put_shop, shop, target, visit};

/// A machine with these packages and the environments of the tests, and without ostler.
fn machine(packages: &Packages) -> Machine {
    let venvs = std::fs::canonicalize(venvs()).expect("run `bash tests/venvs.sh` first");
    Machine::bare(&[(venvs.clone(), venvs), (packages.folder().into(), packages.folder().into())])
}

/// As somebody types it, or what installs security updates by itself does.
#[track_caller]
fn apt_install(machine: &Machine, package: &str) -> Said {
    let options = "-y --reinstall --allow-downgrades -o Dpkg::Options::=--force-confold";
    machine.sh(&format!("DEBIAN_FRONTEND=noninteractive apt-get install {options} {package} 2>&1"))
}

#[track_caller]
fn installed(machine: &Machine, version: &str) {
    let status = machine.tell("dpkg-query -W -f '${Status} ${Version}' ostler");
    assert_eq!(status, format!("install ok installed {version}-1"));
}

/// Everything on the machine but what programs write while they run, and dpkg's and apt's own notes.
#[track_caller]
fn everything(machine: &Machine) -> String {
    machine.tell(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/log -o -path /var/cache \
         -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd/catalog -o -path /run/systemd \
         -o -path /run/udev -o -path /run/log -o -path /srv \\) -prune -o -print | sort; \
         find /run -name '*ostler*'; find /var/lib/dpkg /var/lib/systemd -name '*ostler*'; cat /etc/group",
    )
}

/// The serving processes: ostlerd and the app's workers.
#[track_caller]
fn who_serves(machine: &Machine) -> (String, Vec<i32>) {
    let pids = shop(machine).workers.into_iter().filter_map(|worker| worker.pid).collect();
    (machine.property("ostler", "MainPID"), pids)
}

fn clients(machine: &Machine) -> [Running; 2] {
    let load = Load::on(&target(machine)).connections(2).pause(Duration::from_millis(6));
    let running = [load.clone().start(), load.keep_alive(true).start()];
    running.iter().for_each(|load| load.more(50));
    running
}

#[track_caller]
fn lost_nothing(clients: [Running; 2]) {
    for load in clients {
        load.more(20);
        let tally = load.stop();
        eprintln!("{tally}");
        tally.lost_nothing();
    }
}

#[test]
pub fn a_package_comes_starts_goes_and_leaves_what_it_should() {
    let packages = Packages::new();
    let package = packages.package(Kind::Deb, OLD);
    let machine = machine(&packages);
    let before = everything(&machine);
    apt_install(&machine, &package).exits(0);
    installed(&machine, OLD);
    assert_eq!(machine.tell("systemctl is-enabled ostler; systemctl is-active ostler"), "enabled\nactive");
    assert_eq!(machine.property("ostler", "StatusText"), "no apps yet: put one into apps.d");
    assert_eq!(
        machine.tell("stat -c '%a %U %G' /etc/ostler /etc/ostler/apps.d /usr/bin/ostlerd | uniq"),
        "755 root root"
    );
    assert!(machine.tell("ostlerd --version").ends_with(OLD));
    machine.run(&["ostler", "check"]).exits(0).says(&["no apps yet", "shop.toml.example"]);
    machine.run(&["dpkg", "--verify", "ostler"]).exits(0);
    machine.tell("getent group ostler && systemd-analyze verify --man=no ostler.service");
    // The first app, as the guide has it: a file, and nothing to be called.
    put_shop(&machine, "");
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    assert!(visit(&machine).contains("200 OK"));
    machine.tell("mkdir -p /var/lib/ostler/shop && touch /var/lib/ostler/shop/migrations.jsonl");

    machine.run(&["apt-get", "remove", "-y", "ostler"]).exits(0);
    assert_eq!(
        machine.tell("find /proc -maxdepth 1 -user nobody; systemctl is-active ostler || true"),
        "inactive"
    );
    assert!(!machine.path("/run/shop.sock").exists() && !machine.path("/usr/bin/ostlerd").exists());
    machine.tell("test -e /etc/ostler/apps.d/shop.toml && test -e /var/lib/ostler/shop/migrations.jsonl");

    apt_install(&machine, &package).exits(0);
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));

    machine.run(&["apt-get", "purge", "-y", "ostler"]).exits(0);
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    let after = everything(&machine);
    let left: Vec<&str> = after.lines().filter(|line| !before.lines().any(|it| it == *line)).collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert_eq!(machine.tell("systemctl list-units --all --plain --no-legend 'ostler*'"), "");
}

#[test]
pub fn an_upgrade_touches_no_worker_and_loses_nothing_also_where_the_new_ostlerd_cannot_take_over() {
    let packages = Packages::new();
    let (old, staged) = (packages.package(Kind::Deb, OLD), packages.stage(Kind::Deb, NEW));
    let unit = staged.join("usr/lib/systemd/system/ostler.service");
    let text = std::fs::read_to_string(&unit).expect("it is laid out");
    std::fs::write(&unit, text.replace("RestartSec=500ms", "RestartSec=700ms")).expect("the folder is ours");
    let conffile = staged.join("etc/ostler/ostler.toml");
    std::fs::write(&conffile, "# Another one.\n").expect("the folder is ours");
    let new = packages.pack(Kind::Deb, &staged, NEW);
    let broken = packages.stage(Kind::Deb, "8.8.8");
    std::fs::write(broken.join("usr/bin/ostlerd"), "#!/bin/sh\necho 'error: no such luck' >&2\nexit 1\n")
        .expect("the folder is ours");
    let broken = packages.pack(Kind::Deb, &broken, "8.8.8");
    let machine = machine(&packages);
    apt_install(&machine, &old).exits(0);
    put_shop(&machine, "workers = 2\nargs = [\"-k\", \"gthread\", \"--threads\", \"4\"]");
    let edited = "[edge]\ndelay = \"0s\"\n";
    machine.write("/etc/ostler/ostler.toml", edited);
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    let before = who_serves(&machine);
    let clients = clients(&machine);
    let running = |version: &str| {
        installed(&machine, version);
        assert_eq!(who_serves(&machine), before);
        machine.tell(&format!("/proc/{}/exe --version", before.0))
    };
    // To a newer one, the same again, and back.
    for (package, version, pause) in [(&new, NEW, "700ms"), (&new, NEW, "700ms"), (&old, OLD, "500ms")] {
        apt_install(&machine, package).exits(0).says(&["its workers go on"]);
        assert!(running(version).ends_with(version));
        assert_eq!(machine.property("ostler", "RestartUSec"), pause);
        assert_eq!(machine.property("ostler", "NeedDaemonReload"), "no");
        assert_eq!(machine.read("/etc/ostler/ostler.toml").as_deref(), Some(edited));
    }
    let said = apt_install(&machine, &broken).exits(0);
    said.says(&["cannot take over", "no such luck", "goes on with every app"]);
    assert!(running("8.8.8").ends_with(OLD));
    apt_install(&machine, &new).exits(0);
    assert!(running(NEW).ends_with(NEW));
    lost_nothing(clients);
}

#[test]
fn an_upgrade_leaves_a_stopped_a_disabled_and_a_masked_ostler_as_they_are() {
    let packages = Packages::new();
    let (old, new) = (packages.package(Kind::Deb, OLD), packages.package(Kind::Deb, NEW));
    let machine = machine(&packages);
    apt_install(&machine, &old).exits(0);
    let states = [
        ("stop ostler", "enabled\ninactive"),
        ("disable ostler", "disabled\ninactive"),
        ("mask ostler", "masked\ninactive"),
    ];
    for (round, (change, state)) in states.into_iter().enumerate() {
        machine.tell(&format!("systemctl --quiet {change}"));
        let (package, version) = if round % 2 == 0 { (&new, NEW) } else { (&old, OLD) };
        apt_install(&machine, package).exits(0);
        installed(&machine, version);
        assert_eq!(machine.sh("systemctl is-enabled ostler; systemctl is-active ostler").out.trim(), state);
    }
}

#[test]
fn an_upgrade_within_a_migration_or_a_rollout_ends_soon_and_disturbs_neither() {
    let packages = Packages::new();
    let (old, new) = (packages.package(Kind::Deb, OLD), packages.package(Kind::Deb, NEW));
    let machine = machine(&packages);
    apt_install(&machine, &old).exits(0);
    let command = "command = [\"/bin/sh\", \"-c\", \"while [ ! -e /srv/go ]; do sleep 0.05; done\"]";
    machine.write("/srv/go", "");
    put_shop(&machine, "");
    let file = machine.read("/etc/ostler/apps.d/shop.toml").expect("it was written");
    machine.write("/etc/ostler/apps.d/shop.toml", &format!("{file}[migrate]\n{command}\n"));
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    let before = who_serves(&machine);
    machine.tell("rm /srv/go");
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    until("it migrates", || shop(&machine).migration.is_some().then_some(()));
    let clients = clients(&machine);
    apt_install(&machine, &new).exits(0).says(&["migrates its databases", "'ostler reexec'"]);
    installed(&machine, NEW);
    assert_eq!(who_serves(&machine), before);
    machine.write("/srv/go", "");
    assert!(restart.wait().expect("the child is ours").success());
    // In the middle of a rollout it is done, and the rollout goes on.
    until("only the new worker is left", || (shop(&machine).workers.len() == 1).then_some(()));
    let serving = who_serves(&machine).1[0];
    machine.write("/srv/shop/app.py", &super::unit::PATIENT.replace("/srv/go", "/srv/boot"));
    let mut restart = machine.command(&["ostler", "restart", "shop"]).spawn().expect("sh starts");
    until("a new worker boots", || (shop(&machine).workers.len() == 2).then_some(()));
    apt_install(&machine, &old).exits(0).says(&["its workers go on"]);
    installed(&machine, OLD);
    assert!(who_serves(&machine).1.contains(&serving), "the worker that serves goes on");
    machine.write("/srv/boot", "");
    // It has lost its ostlerd.
    let _ = restart.wait();
    machine.run(&["ostler", "wait"]).exits(0);
    assert_eq!(machine.property("ostler", "MainPID"), before.0);
    lost_nothing(clients);
}

#[test]
fn an_upgrade_while_ostlerd_starts_or_stops_hinders_neither() {
    let packages = Packages::new();
    let (old, new) = (packages.package(Kind::Deb, OLD), packages.package(Kind::Deb, NEW));
    let machine = machine(&packages);
    apt_install(&machine, &old).exits(0);
    machine.tell("systemctl stop ostler");
    put_shop(&machine, "");
    machine.write("/srv/shop/app.py", super::unit::PATIENT);
    machine.write("/etc/ostler/ostler.toml", "[edge]\ndelay = \"20s\"\n");
    machine.tell("systemctl start --no-block ostler");
    let starting = "0 of 1 app serves; shop: starting";
    until("the app boots", || (machine.property("ostler", "StatusText") == starting).then_some(()));
    apt_install(&machine, &new).exits(0);
    installed(&machine, NEW);
    machine.write("/srv/go", "");
    until("it has started", || (machine.property("ostler", "ActiveState") == "active").then_some(()));
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    assert_eq!(machine.property("ostler", "NRestarts"), "0");
    let clients = clients(&machine);
    let mut stop = machine.command(&["systemctl", "stop", "ostler"]).spawn().expect("sh starts");
    until("it drains", || crate::site::status(&machine).draining.then_some(()));
    let tallies = clients.map(Running::stop);
    apt_install(&machine, &old).exits(0).says(&["ostlerd is being stopped"]);
    installed(&machine, OLD);
    assert!(stop.wait().expect("the child is ours").success());
    assert_eq!(machine.property("ostler", "Result"), "success");
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    tallies.iter().for_each(crate::load::Tally::lost_nothing);
}

#[test]
fn where_nothing_may_be_started_nothing_is_and_the_unit_is_on_for_the_next_boot() {
    let packages = Packages::new();
    let package = packages.package(Kind::Deb, OLD);
    let machine = machine(&packages);
    // As in a chroot: a system without a running systemd.
    machine.tell(
        "mkdir /mnt/root && mount --rbind --make-rslave / /mnt/root && mount -t tmpfs tmpfs /mnt/root/run",
    );
    machine.run(&["chroot", "/mnt/root", "dpkg", "--install", &package]).exits(0);
    let state = "systemctl daemon-reload; systemctl is-enabled ostler; systemctl is-active ostler || true";
    assert_eq!(machine.tell(state), "enabled\ninactive");
    machine.run(&["chroot", "/mnt/root", "dpkg", "--purge", "ostler"]).exits(0);
    assert!(!machine.path("/etc/ostler").exists());
    // As in an image that is being built.
    machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
    machine.tell("chmod 755 /usr/sbin/policy-rc.d");
    apt_install(&machine, &package).exits(0);
    assert_eq!(machine.tell(state), "enabled\ninactive");
}

#[test]
fn a_full_disk_fails_the_upgrade_and_nothing_else() {
    let packages = Packages::new();
    let (old, new) = (packages.package(Kind::Deb, OLD), packages.package(Kind::Deb, NEW));
    let machine = machine(&packages);
    apt_install(&machine, &old).exits(0);
    put_shop(&machine, "");
    until("the app serves", || (machine.property("ostler", "StatusText") == "1 app serves").then_some(()));
    let before = who_serves(&machine);
    // /usr/bin on a disk of its own, with room for less than another ostlerd.
    machine.tell(
        "size=$(du -sk /usr/bin | cut -f1); mkdir -p /mnt/bin; mount -t tmpfs -o size=$((size + 512))k,mode=755 tmpfs \
         /mnt/bin && cp -a /usr/bin/. /mnt/bin/ && mount --bind /mnt/bin /usr/bin",
    );
    let said = machine.run(&["dpkg", "--install", &new]);
    assert_ne!(said.code, Some(0), "{said}");
    let said = said.says(&["No space left on device"]);
    assert!(said.all().lines().count() < 20, "{said}");
    installed(&machine, OLD);
    assert_eq!(who_serves(&machine), before);
    assert!(visit(&machine).contains("200 OK"));
    machine.tell("umount --lazy /usr/bin");
    apt_install(&machine, &new).exits(0);
    installed(&machine, NEW);
    assert_eq!(who_serves(&machine), before);
}

#[test]
fn the_programs_run_with_the_glibc_that_the_packages_ask_for() {
    for program in [env!("CARGO_BIN_EXE_ostlerd"), env!("CARGO_BIN_EXE_ostler")].map(PathBuf::from) {
        let said = Said::of(std::process::Command::new("objdump").arg("-T").arg(&program)).exits(0);
        let versions = said.out.split("GLIBC_").skip(1).filter_map(|rest| {
            let number = rest.split([')', ' ', '\n']).next()?;
            let (major, minor) = number.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
        });
        let most = versions.max().expect("it needs glibc");
        assert!(most <= (2, 34), "{} needs glibc {most:?}: EL 9 has 2.34", program.display());
    }
    let control = include_str!("../../../packaging/deb/control");
    assert!(control.contains("libc6 (>= 2.34)"));
    assert!(include_str!("../../../packaging/rpm/ostler.spec").contains("glibc >= 2.34"));
}
