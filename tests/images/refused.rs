//! What cannot be pulled: one sentence, its exit status, and nothing is left.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::harness::free_address;
use crate::image::Image;
use crate::registry::PASSWORD;
use crate::shop::{Shop, only_root};

#[test]
fn what_is_wrong_with_a_name_is_said_before_anybody_is_asked() {
    if !only_root("a name that is none") {
        return;
    }
    let shop = Shop::new();
    for (name, part) in [
        ("shop:43", "does not begin with a registry"),
        ("docker://r.io/shop:43", "without `docker://`"),
        ("r.io/shop@sha256:1", "no digest"),
        ("ci:hidden@r.io/shop:43", "names a user"),
    ] {
        let said = shop.says(&["images", "pull", "shop", name]).exits(64).says(&[part]);
        assert!(!said.err.contains("without `docker://` names"), "{said}");
    }
    shop.says(&["images", "pull", "shpo", "r.io/shop"]).exits(64).says(&["did you mean `shop`?"]);
    let both = ["restart", "shop", "--image", "r.io/shop", "--release", "/x"];
    shop.says(&both).exits(64).says(&["cannot be used with"]);
    shop.has_nothing();
}

#[test]
fn no_such_tag_is_64_and_a_registry_that_is_away_is_75() {
    if !only_root("a registry that is away") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    shop.pull("shop:2").exits(64).says(&["the registry has no"]);
    shop.pull("other:1").exits(64).says(&["the registry has no"]);
    let nobody = format!("{}/shop:1", free_address());
    shop.says(&["images", "pull", "shop", &nobody]).exits(75).says(&["cannot be asked now", "refused"]);
    shop.has_nothing();
}

#[test]
fn a_wrong_password_is_77_and_names_the_file_and_is_shown_to_nobody() {
    if !only_root("a wrong password") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    shop.log_in("of-somebody-else");
    let home = shop.site.path("home/.docker/config.json").display().to_string();
    let said = shop.pull("shop:1").exits(77).says(&["does not let", &home, "skopeo login"]);
    assert!(!said.all().contains("of-somebody-else") && !said.all().contains(PASSWORD), "{said}");
    let missing = shop.site.path("missing.json");
    let mut command = shop.command(&["images", "pull", "shop", &shop.registry.name("shop:1")]);
    let said = crate::harness::Said::of(command.env("REGISTRY_AUTH_FILE", &missing));
    said.exits(77).says(&["missing.json ($REGISTRY_AUTH_FILE)"]);
    shop.has_nothing();
    shop.log_in(PASSWORD);
    shop.pulled("shop:1");
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused_with_where_to_put_it() {
    if !only_root("a certificate") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let mut command = shop.command(&["images", "pull", "shop", &shop.registry.name("shop:1")]);
    let said = crate::harness::Said::of(command.env_remove("SSL_CERT_FILE"));
    said.exits(1).says(&["is not trusted here", "/etc/containers/certs.d/"]);
    shop.has_nothing();
}

#[test]
fn a_corrupt_layer_is_refused() {
    if !only_root("a corrupt layer") {
        return;
    }
    let shop = Shop::new();
    let noise: String = (0..200_000).map(|_| fastrand::alphanumeric()).collect();
    shop.push(Image::of(&[json!([{"name": "noise", "text": noise}])]), "shop:1");
    let largest = shop.registry.blobs().remove(0);
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    shop.pull("shop:1").exits(1).says(&["is not what", "promises"]);
    shop.has_nothing();
}

#[test]
fn an_image_that_can_run_no_app_is_refused_with_what_was_looked_for() {
    if !only_root("an image without gunicorn") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::bare(vec![json!([{"name": "bin/sh", "text": "x", "mode": 0o755}])]), "shop:none");
    let said = shop.pull("shop:none").exits(1);
    said.says(&["no python in its PATH (/usr/local/bin:/usr/bin)"]);
    shop.has_nothing();
    let python = json!([{"name": "usr/local/bin/python3", "text": "x", "mode": 0o755}]);
    shop.push(Image::bare(vec![python]), "shop:python");
    shop.pull("shop:python").exits(1).says(&["no gunicorn in /usr/local/lib/python3*/site-packages"]);
    shop.has_nothing();
}

#[test]
fn without_skopeo_or_umoci_it_is_said_what_to_install() {
    if !only_root("a machine without skopeo") {
        return;
    }
    let shop = Shop::new();
    let mut command = shop.command(&["images", "pull", "shop", "r.io/shop:1"]);
    let said = crate::harness::Said::of(command.env("PATH", shop.site.path("home")));
    said.exits(1).says(&["there is no skopeo here", "apt install skopeo umoci"]);
    shop.has_nothing();
}

#[test]
fn an_app_without_a_link_or_with_a_folder_that_its_user_cannot_write_is_refused() {
    if !only_root("a folder of somebody else's") {
        return;
    }
    let shop = Shop::new();
    std::os::unix::fs::chown(shop.site.path("srv"), Some(0), None).unwrap();
    let said = shop.pull("shop:1").exits(77);
    said.says(&["cannot be written by", &shop.account.name, "install -d -o"]);
    fs::create_dir(shop.site.path("srv/current")).unwrap();
    shop.pull("shop:1").exits(64).says(&["leads through no link"]);
}
