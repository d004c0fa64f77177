//! ostlerd as PID 1 of a container: an image that buildah has made, run by runc with the rights that Docker gives.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::bundle::{debian, packages};
use crate::harness::{Said, Site, WSGI, free_address, program, until};
use crate::image::Buildah;
use crate::load::{Target, get};
use crate::shop::only_root;

/// Docker's own.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A container, which is gone with this.
struct Container<'a> {
    site: &'a Site,
    child: Child,
}

impl Container<'_> {
    fn runc(site: &Site, words: &[&str]) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(site.path("runc")).args(words).arg(name(site)).stdin(Stdio::null());
        runc
    }

    fn run<'a>(site: &'a Site, bundle: &Path) -> Container<'a> {
        let log = fs::File::create(site.path("container.log")).expect("the site is ours");
        let words = ["run", "--bundle", &bundle.display().to_string()];
        let mut runc = Container::runc(site, &words);
        let (mark, value) = site.mark();
        runc.env(mark, value).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        Container { site, child: runc.spawn().expect("runc starts: tests/setup.sh installs it") }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.site.path("container.log")).unwrap_or_default()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = Container::runc(self.site, &["delete", "--force"]).output();
        let _ = self.child.wait();
    }
}

fn name(site: &Site) -> String {
    site.path("").file_name().and_then(|it| it.to_str()).expect("the site has a name").to_owned()
}

/// The network is the machine's, so that the tests reach it; all else is the container's own.
fn with_dockers_rights(bundle: &Path) {
    let file = bundle.join("config.json");
    let text = fs::read_to_string(&file).expect("umoci has made it");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    let process = &mut config["process"];
    process["terminal"] = json!(false);
    process["noNewPrivileges"] = json!(false);
    for set in ["bounding", "effective", "permitted"] {
        process["capabilities"][set] = json!(CAPABILITIES);
    }
    for set in ["inheritable", "ambient"] {
        process["capabilities"][set] = json!([]);
    }
    let namespaces = config["linux"]["namespaces"].as_array_mut().expect("it has namespaces");
    namespaces.retain(|it| it["type"] != "network");
    fs::write(&file, config.to_string()).expect("the site is ours");
}

#[test]
fn ostlerd_in_a_container_that_a_runtime_starts_serves_and_ends_as_it_should() {
    if !only_root("a container") {
        return;
    }
    let site = Site::new();
    let (clients, health) = (free_address(), free_address());
    let folder = site.path("layer");
    for (from, to) in [(env!("CARGO_BIN_EXE_ostlerd"), "ostlerd"), (env!("CARGO_BIN_EXE_ostler"), "ostler")] {
        fs::create_dir_all(folder.join("usr/bin")).expect("the site is ours");
        program::copy(from, &folder.join("usr/bin").join(to));
    }
    for folder in [folder.join("etc/ostler/apps.d"), folder.join("srv/shop")] {
        fs::create_dir_all(folder).expect("the site is ours");
    }
    packages(&folder.join("srv/lib"));
    fs::write(folder.join("srv/shop/app.py"), WSGI).expect("the site is ours");
    let main = format!("[health]\nlisten = [\"{health}\"]\n[edge]\ndelay = \"3s\"\n");
    fs::write(folder.join("etc/ostler/ostler.toml"), main).expect("the site is ours");
    let app = format!(
        "directory = \"/srv/shop\"\npython = \"/usr/bin/python3\"\napp = \"app:application\"\nlisten = \"{clients}\"\n\
         user = \"nobody\"\nworkers = 2\nenv = {{ PYTHONPATH = \"/srv/lib\" }}\n"
    );
    fs::write(folder.join("etc/ostler/apps.d/shop.toml"), app).expect("the site is ours");
    let (buildah, layout, bundle) = (Buildah::of(&site), site.path("layout"), site.path("bundle"));
    buildah.layer("scratch", &debian(), &[], "debian");
    let entry = ["--entrypoint", "[\"ostlerd\"]", "--cmd", "", "--workingdir", "/"];
    buildah.layer("debian", &folder, &entry, &format!("oci:{}:it", layout.display()));
    let mut umoci = Command::new("umoci");
    Said::of(umoci.args(["unpack", "--image", &format!("{}:it", layout.display())]).arg(&bundle)).exits(0);
    with_dockers_rights(&bundle);

    let mut container = Container::run(&site, &bundle);
    let ready = || get(&Target::Tcp(health), "/readyz").map(|it| it.status);
    until("the container is ready", || {
        let ended = container.child.try_wait().expect("the child is ours");
        assert!(ended.is_none(), "{ended:?}: {}", container.log());
        (ready().ok() == Some(200)).then_some(())
    });
    let target = Target::Tcp(clients);
    assert_eq!(get(&target, "/").expect("it serves").status, 200);
    until("the command says so inside", || {
        let mut inside = Container::runc(&site, &["exec"]);
        Said::of(inside.args(["ostler", "status"])).out.contains("2 of 2 workers ready").then_some(())
    });

    let slow = std::thread::spawn({
        let target = target.clone();
        move || get(&target, "/sleep?4")
    });
    until("the request is under way", || {
        let mut status = Container::runc(&site, &["exec"]);
        Said::of(status.args(["ostler", "status", "--json"])).out.contains("\"in_flight\":1").then_some(())
    });
    // As `docker stop` does.
    let mut stop = Container::runc(&site, &["kill"]);
    Said::of(stop.arg("TERM")).exits(0);
    until("health fails", || (ready().ok() == Some(503)).then_some(()));
    assert_eq!(get(&target, "/").expect("it serves on for the edge's delay").status, 200);
    assert_eq!(slow.join().expect("no panic").expect("it is answered").status, 200);
    let ended = until("the container ends", || container.child.try_wait().expect("the child is ours"));
    assert_eq!(ended.code(), Some(0), "{}", container.log());
    assert!(container.log().contains("ostlerd has stopped"), "{}", container.log());
}
