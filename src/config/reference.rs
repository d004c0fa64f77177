//! What an image is called: `registry.example.com:5000/shop/web:43`, or the same by its digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A registry's longest name of an image.
const LONGEST: usize = 255;

/// The longest tag.
const LONGEST_TAG: usize = 128;

/// The name of an image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// `registry.example.com:5000`
    registry: String,
    /// `shop/web`
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// `sha256:` and 64 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// It, if it is one.
    pub fn parse(text: &str) -> Option<Digest> {
        let digits = text.strip_prefix("sha256:")?;
        let good = digits.len() == 64 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        good.then(|| Digest(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits: the name of a blob.
    pub fn digits(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The name of the release folder: `sha256-` and the first twelve.
    pub fn id(&self) -> String {
        format!("sha256-{}", &self.digits()[..12])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reference {
    /// `registry.example.com:5000`
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The digest that it is held to.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What skopeo is asked for: of a tag and a digest the digest counts.
    pub fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => self.pinned(digest),
            (None, Some(tag)) => format!("docker://{}/{}:{tag}", self.registry, self.repository),
            (None, None) => format!("docker://{}/{}:latest", self.registry, self.repository),
        }
    }

    /// The same image by its digest.
    pub fn pinned(&self, digest: &Digest) -> String {
        format!("docker://{}/{}@{digest}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

impl TryFrom<String> for Reference {
    type Error = String;

    fn try_from(text: String) -> Result<Reference, String> {
        text.parse()
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Reference, String> {
        if let Some((user, _)) = text.split('/').next().and_then(|it| it.rsplit_once('@')) {
            // Not with the password that may stand behind it.
            let user = user.split(':').next().unwrap_or_default();
            if !user.is_empty() && text.contains('/') {
                return Err("it names a user: who logs in stands in the registries' auth file (`skopeo login`), not in the \
                            name of the image"
                    .to_owned());
            }
        }
        if text.contains("://") {
            return Err(
                "write it without `docker://` or another scheme: registry.example.com/shop:43".to_owned()
            );
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => {
                let why =
                    || "what is behind the @ is no digest: sha256: and 64 hexadecimal digits".to_owned();
                (named, Some(Digest::parse(digest).ok_or_else(why)?))
            }
            None => (text, None),
        };
        let (registry, rest) = named.split_once('/').ok_or_else(no_registry)?;
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_registry(registry) {
            return Err(no_registry());
        }
        if repository.len() > LONGEST || !repository.split('/').all(is_part) {
            return Err(format!(
                "`{repository:.80}` is no name of an image: lower-case letters, digits, and . _ - between them"
            ));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(format!(
                "`{tag:.80}` is no tag: letters, digits, dots, - and _, at most {LONGEST_TAG}"
            ));
        }
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Ok(Reference { registry, repository, tag: tag.map(str::to_owned), digest })
    }
}

fn no_registry() -> String {
    "it does not begin with a registry, which a dot, a port or `localhost` shows: registry.example.com/shop:43".to_owned()
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let part = |it: &str| {
        let inner = it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
        !it.is_empty() && inner && !it.starts_with('-') && !it.ends_with('-')
    };
    let shows = host == "localhost" || host.contains('.') || port.is_some();
    shows
        && host.len() <= LONGEST
        && host.split('.').all(part)
        && port.is_none_or(|it| it.parse::<u16>().is_ok_and(|it| it > 0))
}

fn is_part(part: &str) -> bool {
    let edge = |it: Option<char>| it.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "._-".contains(it);
    edge(part.chars().next()) && edge(part.chars().next_back()) && part.chars().all(inner)
}

fn is_tag(tag: &str) -> bool {
    let inner = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let begins = tag.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_');
    begins && tag.len() <= LONGEST_TAG && tag.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:f5b5b1c393eec5d8bdd0c797a9e3250eb20344a121c4c25be63f3b4aa777b231";

    #[test]
    fn a_reference_is_asked_for_by_its_digest_if_it_has_one_and_else_by_its_tag() {
        for (text, asked) in [
            ("registry.example.com/shop:43", "docker://registry.example.com/shop:43".to_owned()),
            ("localhost/a/b_c.d", "docker://localhost/a/b_c.d:latest".to_owned()),
            ("10.0.0.1:5000/shop:v1.0-rc_1", "docker://10.0.0.1:5000/shop:v1.0-rc_1".to_owned()),
            (&format!("r.io/shop@{DIGEST}"), format!("docker://r.io/shop@{DIGEST}")),
            (&format!("r.io/shop:43@{DIGEST}"), format!("docker://r.io/shop@{DIGEST}")),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.asked(), asked);
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_what_to_write() {
        for (text, part) in [
            ("", "does not begin with a registry"),
            ("shop:43", "does not begin with a registry"),
            ("library/shop:43", "does not begin with a registry"),
            ("-x.io/shop", "does not begin with a registry"),
            ("r.io:0/shop", "does not begin with a registry"),
            ("docker://r.io/shop", "without `docker://`"),
            ("r.io/Shop", "lower-case"),
            ("r.io/", "lower-case"),
            ("r.io/../x", "lower-case"),
            ("r.io/a//b", "lower-case"),
            ("r.io/shop:", "is no tag"),
            ("r.io/shop:-x", "is no tag"),
            ("r.io/shop:a b", "is no tag"),
            ("r.io/shop:1:2", "is no tag"),
            ("r.io/shop@sha256:12", "no digest"),
            ("r.io/shop@md5:f5b5", "no digest"),
        ] {
            let why = text.parse::<Reference>().unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn a_password_in_a_reference_is_refused_and_not_repeated() {
        let why = "ci:sesame@r.io/shop:43".parse::<Reference>().unwrap_err();
        assert!(why.contains("names a user") && !why.contains("sesame"), "{why}");
    }

    #[test]
    fn a_release_is_named_by_twelve_digits() {
        assert_eq!(Digest::parse(DIGEST).unwrap().id(), "sha256-f5b5b1c393ee");
        assert_eq!(Digest::parse(&DIGEST.to_uppercase()), None);
    }
}
