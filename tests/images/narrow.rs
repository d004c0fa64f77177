//! A disk that is too small: a file system of memory is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::Said;
use crate::image::Image;
use crate::shop::{Shop, only_root};

/// Mounted until it is dropped.
struct Small(PathBuf);

impl Small {
    fn at(folder: &Path, mebibytes: u32, owner: &str) -> Small {
        fs::create_dir(folder).expect("the folder is new");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(folder);
        Said::of(&mut mount).exits(0);
        Said::of(Command::new("chown").arg(owner).arg(folder)).exits(0);
        Small(folder.to_owned())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Said::of(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn an_image_that_unpacks_to_more_than_the_disk_has_is_ended_above_the_floor() {
    if !only_root("a bomb") {
        return;
    }
    let shop = Shop::new();
    let _small = Small::at(&shop.releases(), 600, &shop.account.name);
    shop.push(Image::of(&[json!([{"name": "bomb", "zeros": 700 * MIB}])]), "shop:bomb");
    shop.pull("shop:bomb").exits(1).says(&["larger than what the disk has", "512.0 MiB stay free"]);
    shop.has_nothing();
    shop.push(Image::of(&[json!([{"name": "hole", "hole": 1024 * 1024 * MIB}])]), "shop:hole");
    shop.pull("shop:hole").exits(1).says(&["nothing of it is kept"]);
    shop.has_nothing();
    shop.push(Image::of(&[]), "shop:small");
    shop.pulled("shop:small");
}

#[test]
fn an_image_for_which_there_is_no_room_is_not_even_downloaded() {
    if !only_root("a full disk") {
        return;
    }
    let shop = Shop::new();
    let _small = Small::at(&shop.releases(), 513, &shop.account.name);
    let noise: String = (0..600_000).map(|_| fastrand::alphanumeric()).collect();
    shop.push(Image::of(&[json!([{"name": "noise", "text": noise}])]), "shop:1");
    let said = shop.pull("shop:1").exits(1);
    said.clone().says(&["the disk has", "to download", "4 times"]);
    assert!(!said.out.contains("downloads"), "{said}");
    shop.has_nothing();
}
