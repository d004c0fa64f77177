//! What a registry says an image is made of, read: one image's manifest, or a list of them by platform.

use crate::config::Digest;
use serde::Deserialize;

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Manifest {
    /// One image, for one platform, which its configuration names.
    Image(Parts),
    /// One image for each of several platforms.
    List(Vec<Entry>),
}

/// The layers of an image, compressed as they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) layers: Vec<Blob>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// An image of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) platform: Platform,
}

/// `linux` and `amd64`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

impl Platform {
    /// This machine's, in the words of images.
    pub(super) fn own() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            other => other,
        };
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned() }
    }
}

#[derive(Deserialize)]
struct Raw {
    layers: Option<Vec<RawBlob>>,
    manifests: Option<Vec<RawEntry>>,
}

#[derive(Deserialize)]
struct RawBlob {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct RawEntry {
    digest: String,
    platform: Option<Platform>,
}

/// Reads one; the error completes "its manifest …".
pub(super) fn read(text: &[u8]) -> Result<Manifest, String> {
    let raw: Raw = serde_json::from_slice(text).map_err(|error| format!("is not understood: {error}"))?;
    match raw {
        Raw { layers: Some(layers), .. } => {
            let blob = |it: RawBlob| Some(Blob { digest: Digest::parse(&it.digest)?, size: it.size });
            let layers: Option<Vec<Blob>> = layers.into_iter().map(blob).collect();
            let layers = layers.ok_or("names a layer by another digest than sha256")?;
            Ok(Manifest::Image(Parts { layers }))
        }
        Raw { manifests: Some(entries), .. } => {
            let entry =
                |it: RawEntry| Some(Entry { digest: Digest::parse(&it.digest)?, platform: it.platform? });
            // What has no platform is no image: signatures and the like.
            Ok(Manifest::List(entries.into_iter().filter_map(entry).collect()))
        }
        _ => Err("has neither layers nor images: it is of a kind from before 2016, or no image's".to_owned()),
    }
}

impl Parts {
    /// As much as is downloaded if nothing of it is here yet. A registry may say any number.
    pub(super) fn size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

/// The image of a list that is for `platform`.
///
/// # Errors
///
/// The platforms that there are, in words.
pub(super) fn chosen<'a>(entries: &'a [Entry], platform: &Platform) -> Result<&'a Entry, String> {
    let found = entries.iter().find(|entry| entry.platform == *platform);
    found.ok_or_else(|| {
        let mut names: Vec<String> = entries.iter().map(|entry| entry.platform.to_string()).collect();
        names.dedup();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    #[test]
    fn a_list_gives_the_image_of_the_platform_or_names_those_that_there_are() {
        let entry = |letter, os: &str, architecture: &str| {
            format!(
                r#"{{"digest":"{}","platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#,
                digest(letter)
            )
        };
        let text = format!(
            r#"{{"manifests":[{},{},{{"digest":"{}"}}]}}"#,
            entry('a', "linux", "arm64"),
            entry('b', "linux", "amd64"),
            digest('c')
        );
        let Manifest::List(entries) = read(text.as_bytes()).unwrap() else { panic!("{text}") };
        let of =
            |architecture: &str| Platform { os: "linux".to_owned(), architecture: architecture.to_owned() };
        assert_eq!(chosen(&entries, &of("amd64")).unwrap().digest.as_str(), digest('b'));
        assert_eq!(chosen(&entries, &of("s390x")).unwrap_err(), "linux/arm64, linux/amd64");
        assert_eq!(chosen(&[], &of("s390x")).unwrap_err(), "none");
    }

    #[test]
    fn the_sizes_of_layers_add_up_and_do_not_overflow() {
        let text = format!(
            r#"{{"layers":[{{"digest":"{0}","size":18446744073709551615}},{{"digest":"{0}","size":7}}]}}"#,
            digest('a')
        );
        let Manifest::Image(parts) = read(text.as_bytes()).unwrap() else { panic!("{text}") };
        assert_eq!(parts.size(), u64::MAX);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"layers":[{"digest":"sha256:x","size":1}]}"#,
            r#"{"layers":[{"digest":"md5:"}]}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
