//! Who the client is behind Cloudflare: believed from its networks, and from nobody else. In a network namespace that has
//! one of its addresses.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::features::APP;
use crate::front::{from_venv, installed};
use crate::harness::{Said, Site, is_root};
use crate::pair::change;

/// Three edges at work, each asked from an address of Cloudflare's and from another one.
const NAMESPACE: &str = r#"
set -eu
ip link set lo up
ip address add 173.245.48.1/32 dev lo
"$1" -p . -e stderr -c main.conf 2>log &
"$2" -db -f haproxy 2>>log &
"$3" run --adapter caddyfile --config caddy 2>>log &
"$4" --configFile=traefik.yml >traefik.log 2>&1 &
for port in 8001 8002 8003; do
    until curl -sf -o /dev/null http://127.0.0.1:$port/; do sleep 0.05; done
    for from in 173.245.48.1 127.0.0.1; do
        curl -s --interface $from -H "CF-Connecting-IP: 203.0.113.9" http://127.0.0.1:$port/
        echo
    done
done
# Traefik listens before it has read what it is to do there: 404 until then.
code=
for _ in $(seq 600); do
    code=$(curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:8004/) && [ "$code" != 404 ] && break
    sleep 0.05
done
echo "$code"
"#;

#[test]
fn cloudflare_is_believed_about_a_client_and_nobody_else() {
    let site = Site::new();
    site.app("shop").args(&["-k", "asgi"]).workers(1).unix().tcp().with("app.py", APP).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let folder = tempfile::tempdir().expect("/tmp is writable");
    for (program, port) in [("nginx", "8001"), ("haproxy", "8002"), ("caddy", "8003")] {
        let words = [
            "edge",
            program,
            "--no-tls",
            "--cdn",
            "cloudflare",
            "--listen",
            "127.0.0.1",
            "--http-port",
            port,
        ];
        let mut text = ostlerd.ostler(&words).exits(0).out;
        if program == "haproxy" && !is_root() {
            text = change(&change(&text, "    user haproxy\n", ""), "    group haproxy\n", "");
        }
        fs::write(folder.path().join(program), text).expect("the folder is ours");
    }
    // In a network without an issuer, so that it asks none for a certificate.
    let acme = ["--main", "--email", "ops@example.com", "--cdn", "cloudflare", "--listen", "127.0.0.1"];
    let mut traefik =
        site.ostler_command(&["edge", "traefik", "--http-port", "8004", "--https-port", "8005"]);
    let own = Said::of(traefik.args(acme).arg("--folder").arg(folder.path())).exits(0).out;
    fs::write(folder.path().join("traefik.yml"), own).expect("the folder is ours");
    fs::create_dir(folder.path().join("dynamic")).expect("the folder is ours");
    let main = "daemon off; master_process off; pid nginx.pid;\nevents {}\nhttp {\n    access_log off;\n    \
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n    \
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n    include nginx;\n}\n";
    fs::write(folder.path().join("main.conf"), main).expect("the folder is ours");
    let mut command = Command::new("unshare");
    // A process namespace, so that nothing in it outlives its first process.
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", NAMESPACE, "namespace"]);
    command
        .arg(installed("nginx"))
        .arg(installed("haproxy"))
        .arg(from_venv("caddy"))
        .arg(from_venv("traefik"));
    for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, folder.path());
    }
    let said = Said::of(command.current_dir(&folder)).exits(0);
    let (told, code) = said.out.trim_end().rsplit_once('\n').unwrap_or_default();
    assert_eq!(code, "301", "Traefik sends clients to TLS: {said}");
    let told = told.lines().map(|line| {
        let told: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"));
        told["x-forwarded-for"].as_str().unwrap_or_default().to_owned()
    });
    assert_eq!(told.collect::<Vec<_>>(), ["203.0.113.9", "127.0.0.1"].repeat(3), "{said}");
}
