//! Deploying images from CI: the steps of packaging/examples/github-actions-image.yml, typed as they stand there, through a real
//! sshd with the key of packaging/examples/ostler-deploy, from a registry with TLS and a password.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::Said;
use crate::load::{Load, answers};
use crate::server::{Sshd, example, workflow};
use crate::serves::{code, ostlerd, push_all};
use crate::shop::{Shop, only_root};

/// The migration of each release is a program in its image.
const MIGRATES: &str = "[migrate]\ncommand = [\"python\", \"-c\", \"import app; app.migrate()\"]\n";

struct Ci<'a> {
    shop: &'a Shop,
    sshd: Sshd,
    steps: Value,
}

impl<'a> Ci<'a> {
    fn new(shop: &'a Shop) -> Ci<'a> {
        // The key is held to one repository; the issuer of the registry's certificate is known on a machine as it should be.
        let (script, repository) = (example("ostler-deploy"), shop.registry.name("shop"));
        let command = format!(
            "SSL_CERT_FILE={} {} shop {} {repository}",
            shop.registry.certificate().display(),
            script.display(),
            shop.site.path("srv").display()
        );
        let sshd = Sshd::start(&shop.site, &shop.account.name, &command);
        let steps = workflow("github-actions-image.yml")["jobs"]["deploy"]["steps"].clone();
        fs::create_dir(shop.site.path("runner")).expect("the folder is new");
        let ci = Ci { shop, sshd, steps };
        ci.step("Key", "").exits(0);
        ci
    }

    /// A step of the workflow, as GitHub's runner types it.
    fn step(&self, name: &str, image: &str) -> Said {
        let steps = self.steps.as_array().expect("a job has steps");
        let found = steps.iter().find(|step| step["name"] == name).and_then(|step| step["run"].as_str());
        let run = found.unwrap_or_else(|| panic!("no step {name:?} in {:#}", self.steps));
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run]).env_clear();
        bash.env("PATH", "/usr/bin:/bin").env("RUNNER_TEMP", self.shop.site.path("runner"));
        bash.env("IMAGE", self.shop.registry.name(image));
        bash.env("DEPLOY_HOST", self.sshd.address.ip().to_string());
        bash.env("DEPLOY_PORT", self.sshd.address.port().to_string());
        bash.env("DEPLOY_USER", &self.shop.account.name);
        bash.env("DEPLOY_KEY", &self.sshd.key).env("DEPLOY_KNOWN_HOSTS", &self.sshd.known_hosts);
        Said::of(bash.current_dir("/").stdin(Stdio::null()))
    }

    fn deploy(&self, image: &str) -> Said {
        self.step("Restart", image)
    }

    fn says(&self, command: &str) -> Said {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.shop.site.path("runner/ssh_config")).args(["server", "--", command]);
        Said::of(ssh.stdin(Stdio::null()))
    }
}

#[test]
fn deployments_of_images_from_ci_lose_no_request_whether_they_are_good_or_bad() {
    if !only_root("deployments of images from CI") {
        return;
    }
    let shop = Shop::new();
    let migrate = |more: &str| format!("\ndef migrate():\n    {more}\n");
    let good = |id: &str| code(id) + &migrate(&format!("print('{id} migrates')"));
    push_all(
        &shop,
        &[
            ("1", good("1")),
            ("2", good("2")),
            (
                "bad",
                format!("{}\nimport os\nif 'OSTLER_MIGRATION' not in os.environ:\n    1 / 0\n", good("bad")),
            ),
            ("unmigrated", code("unmigrated") + &migrate("raise SystemExit('no such column')")),
        ],
    );
    shop.of_image("shop:1");
    let file = fs::read_to_string(&shop.app.file).expect("it was written");
    fs::write(&shop.app.file, format!("{file}\n{MIGRATES}")).expect("the site is ours");
    let ostlerd = ostlerd(&shop);
    ostlerd.serving("shop");
    let (ci, target) = (Ci::new(&shop), shop.app.target());
    let load = Load::on(&target).start();
    load.more(20);
    for id in ["2", "1", "2"] {
        ci.deploy(&format!("shop:{id}")).exits(0).says(&["pulled in", "migration applied", "serves"]);
        answers(&target, id);
    }
    ci.deploy("shop:unmigrated").exits(1).says(&["no such column"]);
    answers(&target, "2");
    ci.deploy("shop:bad").exits(1).says(&["ZeroDivisionError"]);
    answers(&target, "2");
    ci.deploy("shop:none").exits(64).says(&["the registry has no"]);
    ci.deploy("other:1").exits(77);
    answers(&target, "2");
    ci.says("rollback").exits(0);
    answers(&target, "1");
    ci.says("status").exits(0).says(&["shop:1"]);
    load.stop().lost_nothing();
}
