//! Which releases stay, with an ostlerd that says what runs; and that `restart --image` ends as `restart --release` does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Ostlerd, Releases, Said, WSGI};
use crate::image::Image;
use crate::load::answers;
use crate::shop::{Shop, only_root};

/// A shop that serves a plain release, whose virtual environment is its own.
fn serving() -> Shop {
    let shop = Shop::new();
    let releases = Releases::new(&shop.site, Some(&shop.account.name));
    releases.add("plain", &[("app.py", WSGI)]);
    releases.link("releases/plain");
    let file = fs::read_to_string(&shop.app.file).expect("it was written");
    let python = shop.site.path("srv/current/venv/bin/python");
    let lines: Vec<String> = file
        .lines()
        .map(
            |line| {
                if line.starts_with("python = ") { format!("python = {python:?}") } else { line.to_owned() }
            },
        )
        .collect();
    fs::write(&shop.app.file, lines.join("\n") + "\n").expect("the site is ours");
    shop
}

/// The command that asks ostlerd.
fn asks(shop: &Shop, words: &[&str]) -> Said {
    let mut command = shop.site.ostler_command(words);
    Said::of(command.env("SSL_CERT_FILE", shop.registry.certificate()).env_remove("REGISTRY_AUTH_FILE"))
}

fn pull(shop: &Shop, number: u32) -> String {
    shop.push(
        Image::of(&[json!([{"name": "number", "text": number.to_string()}])]),
        &format!("shop:{number}"),
    );
    let name = shop.registry.name(&format!("shop:{number}"));
    let said = asks(shop, &["images", "pull", "shop", &name]).exits(0);
    let release = PathBuf::from(said.out.lines().last().expect("it prints the folder"));
    release.file_name().and_then(|it| it.to_str()).expect("a release has a name").to_owned()
}

#[test]
fn the_last_five_images_stay_and_those_in_use_and_no_layer_without_a_release() {
    if !only_root("what a pull removes") {
        return;
    }
    let shop = serving();
    let ostlerd = shop.site.start();
    ostlerd.serving("shop");
    let ids: Vec<String> = (1..=6).map(|number| pull(&shop, number)).collect();
    let is_there = |id: &String| shop.releases().join(id).is_dir();
    assert_eq!(ids.iter().map(is_there).collect::<Vec<_>>(), [false, true, true, true, true, true]);
    assert!(shop.releases().join("plain").is_dir(), "what is no image is nobody's to remove here");
    let blobs = || fs::read_dir(shop.releases().join(".images/blobs/sha256")).unwrap().count();
    assert_eq!(
        blobs(),
        1 + 5 * 3,
        "a shared layer, and for each its own, its configuration and its manifest"
    );
    // The oldest gets the link: it stays, whatever is pulled.
    let link = shop.site.path("srv/current");
    fs::remove_file(&link).unwrap();
    symlink(format!("releases/{}", ids[1]), &link).unwrap();
    let seventh = pull(&shop, 7);
    let eighth = pull(&shop, 8);
    assert!(is_there(&ids[1]) && !is_there(&ids[2]) && is_there(&seventh) && is_there(&eighth));
    fs::remove_file(&link).unwrap();
    symlink("releases/plain", &link).unwrap();
    // Nothing else names it.
    let said = asks(&shop, &["images", "prune"]).exits(0);
    said.says(&["removed 1 old release", &ids[1], "which frees"]);
    assert!(!is_there(&ids[1]));
    assert_eq!(blobs(), 1 + 5 * 3);
    let listed = asks(&shop, &["images", "--json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed["apps"][0]["images"].as_array().map(Vec::len), Some(5), "{listed}");
}

#[test]
fn the_image_that_serves_stays_however_old_it_is() {
    if !only_root("a release that serves") {
        return;
    }
    let shop = serving();
    // For ostlerd it is a release as any other; for images it is one of them, and the oldest.
    let record =
        json!({"reference": "r.io/shop:0", "digest": "sha256:0", "architecture": "any", "pulled": "1999"});
    fs::write(shop.releases().join("plain/ostler-image.json"), record.to_string()).unwrap();
    let ostlerd = shop.site.start();
    ostlerd.serving("shop");
    let link = shop.site.path("srv/current");
    for number in 1..=6 {
        pull(&shop, number);
    }
    fs::remove_file(&link).unwrap();
    symlink("releases/elsewhere", &link).unwrap();
    asks(&shop, &["images", "prune", "shop"]).exits(0);
    assert!(shop.releases().join("plain").is_dir(), "ostlerd says that it serves");
    asks(&shop, &["images", "shop"]).exits(0).says(&["serves", "r.io/shop:0"]);
    fs::remove_file(&link).unwrap();
    symlink("releases/plain", &link).unwrap();
    drop(ostlerd);
    asks(&shop, &["images", "prune", "shop"]).exits(69);
    let by_file = shop.says(&["images", "prune", "shop"]);
    by_file.exits(69).says(&["not reachable"]);
    assert!(shop.releases().join("plain").is_dir(), "without ostlerd nobody knows what runs");
}

#[test]
fn a_restart_with_an_image_pulls_it_and_then_asks_for_its_folder() {
    if !only_root("a restart with an image") {
        return;
    }
    let shop = serving();
    let ostlerd: Ostlerd<'_> = shop.site.start();
    ostlerd.serving("shop");
    // It looks as if it could run an app, and cannot.
    shop.push(Image::of(&[]), "shop:1");
    let name = shop.registry.name("shop:1");
    let said = asks(&shop, &["restart", "shop", "--image", &name]);
    assert!(matches!(said.code, Some(1 | 64 | 78)), "{said}");
    said.clone().says(&["pulled in", "asks for"]);
    let release = shop.entries().into_iter().find(|it| it.starts_with("sha256-")).expect("it was pulled");
    assert!(said.all().contains(&release), "{said}");
    assert_eq!(fs::read_link(shop.site.path("srv/current")).unwrap(), PathBuf::from("releases/plain"));
    ostlerd.serving("shop");
    answers(&shop.app.target(), "1");
    asks(&shop, &["restart", "shop", "--image", &shop.registry.name("shop:2")]).exits(64);
    ostlerd.serving("shop");
}
