//! A registry on loopback: TLS with a certificate of its own, and a password.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{Said, Site, free_address, kill, until};

pub const USER: &str = "ci";
pub const PASSWORD: &str = "sesame-street-1969";

/// Of that password: bcrypt, which is all that the registry takes, and which openssl cannot make.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuu3ykWxbqHufeGk.PFwUf0dhPbbFk1A3.";

pub struct Registry {
    pub address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Registry {
    /// Runs until it is dropped. Its certificate holds for `also` too.
    pub fn start(site: &Site, also: Option<SocketAddr>) -> Registry {
        let folder = site.path("registry");
        fs::create_dir(&folder).expect("the folder is new");
        let address = free_address();
        let file = |name: &str| folder.join(name).display().to_string();
        let names: Vec<String> =
            [Some(address), also].into_iter().flatten().map(|it| format!("IP:{}", it.ip())).collect();
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=registry", "-addext"]);
        openssl.arg(format!("subjectAltName={}", names.join(",")));
        Said::of(openssl.args(["-keyout", &file("key"), "-out", &file("crt")])).exits(0);
        fs::write(file("htpasswd"), format!("{USER}:{HASH}\n")).expect("the folder is ours");
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{address}', tls: {{certificate: {}, key: {}}}}}\n\
             auth: {{htpasswd: {{realm: shop, path: {}}}}}\n",
            file("data"),
            file("crt"),
            file("key"),
            file("htpasswd"),
        );
        fs::write(file("config.yml"), config).expect("the folder is ours");
        let log = fs::File::create(file("log")).expect("the folder is ours");
        let (mark, value) = site.mark();
        let mut serve = Command::new("docker-registry");
        serve
            .args(["serve", &file("config.yml")])
            .env(mark, value)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = serve.stderr(log).spawn().expect("docker-registry starts: tests/setup.sh installs it");
        let registry = Registry { address, folder, child };
        until("the registry listens", || TcpStream::connect(address).is_ok().then_some(()));
        registry
    }

    /// What a client has to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("crt")
    }

    /// The name of an image in it.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    /// Puts what is in an OCI layout there.
    pub fn push(&self, layout: &Path, image: &str) {
        self.push_as(layout, image, &["--all"]);
    }

    /// The same with more words for skopeo.
    pub fn push_as(&self, layout: &Path, image: &str, how: &[&str]) {
        let mut skopeo = Command::new("skopeo");
        skopeo.arg("copy").args(how).args(["--quiet", "--dest-creds", &format!("{USER}:{PASSWORD}")]);
        skopeo.arg(format!("oci:{}:it", layout.display())).arg(format!("docker://{}", self.name(image)));
        Said::of(skopeo.env("SSL_CERT_FILE", self.certificate())).exits(0);
    }

    /// The files of its blobs, the largest first.
    pub fn blobs(&self) -> Vec<PathBuf> {
        let mut find = Command::new("find");
        find.arg(self.folder.join("data")).args(["-path", "*/blobs/sha256/*/data", "-printf", "%s %p\n"]);
        let said = Said::of(&mut find).exits(0);
        let mut found: Vec<(u64, PathBuf)> = said
            .out
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(size, path)| (size.parse().expect("find prints numbers"), path.into()))
            .collect();
        found.sort();
        found.into_iter().rev().map(|(_, path)| path).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        kill(self.child.id() as i32, Signal::SIGTERM);
        // Whatever it says, it is gone then.
        let _ = self.child.wait();
    }
}
