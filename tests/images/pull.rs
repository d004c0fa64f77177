//! What a pull gives.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Said, program, readable};
use crate::image::{Image, app_folder, built, foreign_architecture, own_architecture};
use crate::shop::{Shop, mode, only_root, steps};

#[test]
fn an_image_becomes_a_release_with_all_that_it_needs_and_its_users_own() {
    if !only_root("a pull") {
        return;
    }
    let shop = Shop::new();
    shop.registry.push(&built(&shop.site, "built", &[app_folder(&shop.site)]), "shop:43");
    let said = shop.pull("shop:43").exits(0);
    said.says(&["asks for", "for linux/", "1 layer", "unpacked in", "pulled in", "current leads to"]);
    let release = shop.pulled("shop:43");
    let record: Value =
        serde_json::from_slice(&fs::read(release.join("ostler-image.json")).unwrap()).unwrap();
    let digest = record["digest"].as_str().unwrap();
    assert_eq!(record["reference"], shop.registry.name("shop:43"));
    assert_eq!(record["architecture"], own_architecture());
    assert!(record["pulled"].as_str().is_some_and(|it| it.ends_with('Z')), "{record}");
    let id = format!("sha256-{}", &digest["sha256:".len()..][..12]);
    assert_eq!(release, shop.releases().join(&id));
    assert_eq!(fs::read_link(shop.site.path("srv/current")).unwrap(), Path::new("releases").join(&id));
    let config: Value = serde_json::from_slice(&fs::read(release.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["root"]["path"], "rootfs");
    assert_eq!(config["process"]["cwd"], "/app");
    assert_eq!(
        (mode(&release), mode(&release.join("tmp")), mode(&release.join("run"))),
        (0o755, 0o1777, 0o755)
    );
    for folder in ["proc", "dev", "sys", "tmp", "run", "usr/local/bin"] {
        assert!(release.join("rootfs").join(folder).is_dir(), "{folder}");
    }
    for file in ["etc/resolv.conf", "etc/hosts", "usr/local/bin/python3"] {
        assert!(release.join("rootfs").join(file).is_file(), "{file}");
    }
    let user = nix::unistd::User::from_name(&shop.account.name).unwrap().unwrap();
    let mut find = Command::new("find");
    find.arg(shop.site.path("srv")).args(["!", "-uid", &user.uid.to_string()]);
    assert_eq!(Said::of(&mut find).exits(0).out, "", "all of it belongs to the app's user");
    assert_eq!(shop.entries(), [".images".to_owned(), id]);
}

#[test]
fn what_is_here_already_is_not_pulled_again_and_a_tag_that_moved_is() {
    if !only_root("a second pull") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let first = shop.pulled("shop:1");
    let before = fs::metadata(first.join("config.json")).unwrap().ino();
    let again = shop.pull("shop:1").exits(0);
    again.clone().says(&["is here already"]);
    assert!(!again.all().contains("downloads"), "{again}");
    assert_eq!(fs::metadata(first.join("config.json")).unwrap().ino(), before);
    let layout = Image::of(&[json!([{"name": "new", "text": "2"}])]).make(&shop.site, "moved");
    shop.registry.push(&layout, "shop:1");
    let second = shop.pulled("shop:1");
    assert_ne!(first, second);
    let record = fs::read_to_string(second.join("ostler-image.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let pinned = format!("shop@{}", record["digest"].as_str().unwrap());
    shop.pull(&pinned).exits(0).says(&["is here already"]);
    shop.pull(&format!("shop@sha256:{}", "1".repeat(64))).exits(64).says(&["the registry has no"]);
    let current = fs::canonicalize(shop.site.path("srv/current")).unwrap();
    assert_eq!(current, first, "a link that is there is left alone");
}

#[test]
fn of_a_list_the_image_for_this_machine_is_taken_and_otherwise_both_are_named() {
    if !only_root("an image for several platforms") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]).list(&[foreign_architecture(), own_architecture()]), "shop:both");
    let release = shop.pulled("shop:both");
    let record = fs::read_to_string(release.join("ostler-image.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["architecture"], own_architecture());
    let both = [format!("linux/{}", foreign_architecture()), format!("linux/{}", own_architecture())];
    let both = [both[0].as_str(), both[1].as_str()];
    let entries = shop.entries();
    shop.push(Image::of(&[]).list(&[foreign_architecture()]), "shop:list");
    shop.pull("shop:list").exits(1).says(&both);
    shop.push(Image::of(&[]).architecture(foreign_architecture()), "shop:one");
    shop.pull("shop:one").exits(1).says(&both);
    assert_eq!(shop.entries(), entries);
}

#[test]
fn an_image_in_dockers_own_format_is_as_good_and_named_by_the_registrys_digest() {
    if !only_root("an image in Docker's format") {
        return;
    }
    let shop = Shop::new();
    let layout = Image::of(&[json!([{"name": "new", "text": "2"}])]).make(&shop.site, "docker");
    let digest = shop.site.path("digest");
    let how = ["--format", "v2s2", "--digestfile", digest.to_str().unwrap()];
    shop.registry.push_as(&layout, "shop:docker", &how);
    let digest = fs::read_to_string(digest).unwrap();
    let release = shop.pulled("shop:docker");
    let record = fs::read_to_string(release.join("ostler-image.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["digest"], digest.trim());
    assert_eq!(fs::read_to_string(release.join("rootfs/new")).unwrap(), "2");
    shop.pull(&format!("shop@{}", digest.trim())).exits(0).says(&["is here already"]);
    let kept = fs::read_dir(shop.releases().join(".images/blobs/sha256")).unwrap().count();
    assert_eq!(kept, 4, "two layers, a configuration and a manifest");
}

#[test]
fn json_has_a_line_for_each_step() {
    if !only_root("a pull") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let name = shop.registry.name("shop:1");
    let said = shop.says(&["images", "pull", "shop", &name, "--json"]).exits(0);
    let steps = steps(&said);
    let names: Vec<&str> = steps.iter().filter_map(|it| it["step"].as_str()).collect();
    let all =
        ["resolving", "resolved", "downloading", "downloaded", "unpacking", "unpacked", "pulled", "linked"];
    assert_eq!(names, all);
    let release = steps[6]["release"].as_str().unwrap();
    assert!(Path::new(release).is_dir(), "{release}");
    let listed = shop.says(&["images", "--json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let image = &listed["apps"][0]["images"][0];
    assert_eq!((image["reference"].as_str(), image["linked"].as_bool()), (Some(name.as_str()), Some(true)));
    assert!(image["size"].as_u64().is_some_and(|size| size > 0), "{listed}");
    shop.says(&["images", "shop"]).exits(0).says(&["linked", &name, "on disk in all"]);
}

#[test]
fn the_user_itself_may_pull_and_another_may_not() {
    if !only_root("a pull by users") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let ostler = shop.site.path("ostler");
    program::copy(env!("CARGO_BIN_EXE_ostler"), &ostler);
    readable(&shop.registry.certificate());
    let by = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", "nogroup", "--clear-groups", "--"]).arg(&ostler);
        command.args(["images", "pull", "shop", &shop.registry.name("shop:1"), "--config"]);
        command.arg(shop.site.config()).env("SSL_CERT_FILE", shop.registry.certificate());
        readable(&shop.site.path("registry"));
        Said::of(command.env("HOME", shop.site.path("home")).current_dir("/"))
    };
    let refused = by("daemon").exits(77);
    refused.clone().says(&["belong to its user", &shop.account.name]);
    assert_eq!(refused.err.lines().count(), 1, "{refused}");
    shop.has_nothing();
    by(&shop.account.name).exits(0).says(&["pulled in"]);
}

#[test]
fn the_images_of_every_app_are_listed_each_as_its_own_user() {
    if !only_root("a list of several users' images") {
        return;
    }
    let shop = Shop::new();
    shop.push(Image::of(&[]), "shop:1");
    let release = shop.pulled("shop:1");
    let mut blog = shop.site.app("blog").tcp().user(Some("nobody"));
    blog.directory = shop.site.path("blog/current");
    fs::create_dir(shop.site.path("blog")).unwrap();
    blog.write();
    shop.site.app("plain").tcp().user(Some("nobody")).write();
    // Root does not read what the app's user cannot.
    let secret = shop.site.path("secret");
    fs::write(&secret, r#"{"reference": "secret", "digest": "", "architecture": "", "pulled": ""}"#).unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let other = shop.releases().join("other");
    fs::create_dir(&other).unwrap();
    fs::hard_link(&secret, other.join("ostler-image.json")).unwrap();
    let listed = shop.says(&["images", "--json"]).exits(0);
    assert!(!listed.all().contains("secret"), "{listed}");
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let apps = listed["apps"].as_array().unwrap();
    let of = |name: &str| apps.iter().find(|it| it["app"] == name).map(|it| &it["images"]);
    assert_eq!(of("blog").and_then(Value::as_array).map(Vec::len), Some(0), "{listed}");
    let id = release.file_name().unwrap().to_str().unwrap();
    assert_eq!(of("shop").map(|it| it[0]["id"].as_str() == Some(id)), Some(true), "{listed}");
    assert!(of("plain").is_none(), "it has no link that could lead to a release: {listed}");
}
