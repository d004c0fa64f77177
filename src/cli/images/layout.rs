//! The downloaded layers, `.images`: an OCI layout that all image releases of a folder share.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::manifest::Parts;
use super::remove;
use crate::config::Digest;

const FOLDER: &str = ".images";

/// What belongs to it; everything else is left of a download that was cut.
const OWN: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// Where an index keeps a tag. Here a tag is the ID of a release.
const TAG: &str = "org.opencontainers.image.ref.name";

/// A longer index or manifest is none of ours.
const LONGEST: u64 = 8 << 20;

#[derive(Clone, Debug)]
pub(super) struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// That of a folder of releases; it need not be there.
    pub(super) fn of(releases: &Path) -> Layout {
        Layout { folder: releases.join(FOLDER) }
    }

    pub(super) fn path(&self) -> &Path {
        // Before the first download the disk is the same.
        if self.folder.is_dir() { &self.folder } else { self.folder.parent().unwrap_or(Path::new("/")) }
    }

    /// What skopeo writes to.
    pub(super) fn target(&self, digest: &Digest) -> String {
        format!("oci:{}", self.source(digest))
    }

    /// What umoci reads.
    pub(super) fn source(&self, digest: &Digest) -> String {
        format!("{}:{}", self.folder.display(), digest.id())
    }

    /// How many bytes of it are not here yet, and how many layers are.
    pub(super) fn missing(&self, parts: &Parts) -> (u64, usize) {
        let here = |digest: &Digest| self.blobs().join(digest.digits()).is_file();
        let missing = parts.layers.iter().filter(|layer| !here(&layer.digest));
        let missing = missing.fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        (missing, parts.layers.iter().filter(|layer| here(&layer.digest)).count())
    }

    /// What it takes on disk, with what is being written.
    pub(super) fn size(&self) -> u64 {
        let files = |folder: &Path| -> u64 {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|it| it.metadata().ok()).filter(fs::Metadata::is_file).map(|it| it.len()).sum()
        };
        files(&self.folder) + files(&self.blobs())
    }

    /// Keeps the blobs of these releases and nothing else; how many bytes that has freed.
    pub(super) fn keep(&self, ids: &HashSet<String>) -> io::Result<u64> {
        if !self.folder.is_dir() {
            return Ok(0);
        }
        let before = self.size();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if OWN.iter().all(|own| entry.file_name() != *own) {
                remove::tree(&entry.path())?;
            }
        }
        let needed = self.trim(ids)?;
        if needed.is_empty() {
            remove::tree(&self.folder)?;
            return Ok(before);
        }
        for entry in fs::read_dir(self.blobs())? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
                remove::tree(&entry.path())?;
            }
        }
        Ok(before.saturating_sub(self.size()))
    }

    /// Takes all other tags out of the index; the names of the blobs that those in it need.
    fn trim(&self, ids: &HashSet<String>) -> io::Result<HashSet<String>> {
        let file = self.folder.join("index.json");
        // One that a power cut has left half names nothing.
        let Some(mut index) = read(&file) else { return Ok(HashSet::new()) };
        let Some(all) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            return Ok(HashSet::new());
        };
        let before = all.len();
        all.retain(|it| it["annotations"][TAG].as_str().is_some_and(|tag| ids.contains(tag)));
        let kept: Vec<String> = all.iter().filter_map(|it| blob_of(&it["digest"])).collect();
        if all.len() != before {
            let draft = self.folder.join("index.json.draft");
            let mut written = File::create(&draft)?;
            written.write_all(index.to_string().as_bytes())?;
            written.sync_all()?;
            fs::rename(&draft, &file)?;
        }
        let mut needed = HashSet::new();
        for name in kept {
            if let Some(manifest) = read(&self.blobs().join(&name)) {
                needed.extend(blob_of(&manifest["config"]["digest"]));
                let layers = manifest["layers"].as_array().into_iter().flatten();
                needed.extend(layers.filter_map(|it| blob_of(&it["digest"])));
            }
            needed.insert(name);
        }
        Ok(needed)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs/sha256")
    }
}

fn blob_of(digest: &Value) -> Option<String> {
    Some(Digest::parse(digest.as_str()?)?.digits().to_owned())
}

fn read(file: &Path) -> Option<Value> {
    let file = File::open(file).ok()?;
    serde_json::from_reader(io::Read::take(file, LONGEST)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(letter: char) -> String {
        letter.to_string().repeat(64)
    }

    /// Two releases that share a layer, one with a layer of its own, and what a cut has left.
    fn layout() -> (tempfile::TempDir, Layout) {
        let releases = tempfile::tempdir().unwrap();
        let layout = Layout::of(releases.path());
        fs::create_dir_all(layout.blobs()).unwrap();
        let manifest = |layers: &[char]| {
            let blob = |letter: &char| serde_json::json!({"digest": format!("sha256:{}", name(*letter))});
            let layers: Vec<Value> = layers.iter().map(blob).collect();
            serde_json::json!({"config": blob(&'c'), "layers": layers}).to_string()
        };
        for (letter, text) in [
            ('1', manifest(&['a'])),
            ('2', manifest(&['a', 'b'])),
            ('a', "a".into()),
            ('b', "bb".into()),
            ('c', "c".into()),
            ('d', "d".into()),
        ] {
            fs::write(layout.blobs().join(name(letter)), text).unwrap();
        }
        let tag = |letter: char, id: &str| serde_json::json!({"digest": format!("sha256:{}", name(letter)), "annotations": {TAG: id}});
        let index = serde_json::json!({"manifests": [tag('1', "one"), tag('2', "two")]});
        fs::write(layout.folder.join("index.json"), index.to_string()).unwrap();
        fs::write(layout.folder.join("oci-layout"), "{}").unwrap();
        fs::write(layout.folder.join("oci-put-blob1"), "half").unwrap();
        (releases, layout)
    }

    fn blobs(layout: &Layout) -> Vec<char> {
        let mut names: Vec<char> = fs::read_dir(layout.blobs())
            .unwrap()
            .map(|it| it.unwrap().file_name().to_str().unwrap().chars().next().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn blobs_stay_as_long_as_a_release_needs_them() {
        let (_releases, layout) = layout();
        let both = HashSet::from(["one".to_owned(), "two".to_owned()]);
        layout.keep(&both).unwrap();
        assert_eq!(blobs(&layout), ['1', '2', 'a', 'b', 'c'], "what no release needs is gone");
        assert!(!layout.folder.join("oci-put-blob1").exists());
        layout.keep(&HashSet::from(["one".to_owned()])).unwrap();
        assert_eq!(blobs(&layout), ['1', 'a', 'c']);
        assert!(layout.keep(&HashSet::new()).unwrap() > 0);
        assert!(!layout.folder.exists(), "with the last release goes all of it");
        assert_eq!(layout.keep(&HashSet::new()).unwrap(), 0);
    }

    #[test]
    fn an_index_that_was_cut_is_begun_anew() {
        let (_releases, layout) = layout();
        fs::write(layout.folder.join("index.json"), "{\"mani").unwrap();
        layout.keep(&HashSet::from(["one".to_owned()])).unwrap();
        assert!(!layout.folder.exists());
    }
}
