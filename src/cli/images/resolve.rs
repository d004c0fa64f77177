//! From a reference to one image: its digest, for this machine's platform, and what it is made of.

use serde::Deserialize;

use super::manifest::{self, Manifest, Parts, Platform};
use super::person::Person;
use super::program::{Ended, Program};
use super::words::{self, Kind};
use crate::cli::error::VerbError;
use crate::cli::screen::one_line;
use crate::config::{Digest, Reference};
use crate::control::protocol::exit;
use std::time::Duration;

/// A registry that says nothing for so long is down.
const PATIENCE: Duration = Duration::from_secs(60);

/// One image, that no tag can change any more.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) platform: Platform,
    pub(super) parts: Parts,
}

/// Asks the registry.
pub(super) async fn resolve(reference: &Reference, person: &Person) -> Result<Image, VerbError> {
    let asking = Asking { reference, person };
    let (digest, found) = asking.manifest(&reference.asked()).await?;
    if let Some(held) = reference.digest().filter(|held| **held != digest) {
        return Err(VerbError::said(
            exit::FAILED,
            format!("the registry answers {held} with what has the digest {digest}"),
        ));
    }
    let own = Platform::own();
    let (digest, parts) = match found {
        Manifest::Image(parts) => (digest, parts),
        Manifest::List(entries) => {
            let entry =
                manifest::chosen(&entries, &own).map_err(|there| wrong_platform(reference, &there, &own))?;
            let (digest, found) = asking.manifest(&reference.pinned(&entry.digest)).await?;
            match found {
                Manifest::Image(parts) if digest == entry.digest => (digest, parts),
                _ => {
                    return Err(VerbError::said(
                        exit::FAILED,
                        format!("{reference}: the registry answers {} with another image", entry.digest),
                    ));
                }
            }
        }
    };
    let platform = asking.platform(&digest).await?;
    if platform != own {
        return Err(wrong_platform(reference, &platform.to_string(), &own));
    }
    Ok(Image { digest, platform, parts })
}

fn wrong_platform(reference: &Reference, there: &str, own: &Platform) -> VerbError {
    let there = one_line(there);
    VerbError::said(
        exit::FAILED,
        format!("{reference} is for {there:.300}, and this machine is {own}: build it for {own} too"),
    )
}

struct Asking<'a> {
    reference: &'a Reference,
    person: &'a Person,
}

impl Asking<'_> {
    /// A manifest with the digest that it has in fact.
    async fn manifest(&self, asked: &str) -> Result<(Digest, Manifest), VerbError> {
        let text = self.skopeo(&["inspect", "--raw", asked]).await?;
        let digest = Program::new("skopeo", self.person, &["manifest-digest", "/dev/stdin"]).input(&text);
        let said = self.well(digest.run(|| Ok(())).await?)?;
        let digest = Digest::parse(String::from_utf8_lossy(&said).trim());
        let failed =
            |why: &str| VerbError::said(exit::FAILED, format!("{}: its manifest {why}", self.reference));
        let digest = digest.ok_or_else(|| failed("has no sha256 digest"))?;
        let manifest = manifest::read(&text).map_err(|why| failed(&one_line(&why)))?;
        Ok((digest, manifest))
    }

    /// What the image says that it is for. skopeo holds it to the digest.
    async fn platform(&self, digest: &Digest) -> Result<Platform, VerbError> {
        let text = self.skopeo(&["inspect", "--config", "--raw", &self.reference.pinned(digest)]).await?;
        let named: NamedPlatform = serde_json::from_slice(&text).map_err(|error| {
            let why = one_line(&error.to_string());
            VerbError::said(
                exit::FAILED,
                format!("{}: its configuration is not understood: {why}", self.reference),
            )
        })?;
        let or_unknown =
            |it: Option<String>| it.filter(|it| !it.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        Ok(Platform { os: or_unknown(named.os), architecture: or_unknown(named.architecture) })
    }

    async fn skopeo(&self, arguments: &[&str]) -> Result<Vec<u8>, VerbError> {
        let run = Program::new("skopeo", self.person, arguments).run(|| Ok(()));
        let silent = || {
            VerbError::said(
                exit::TRY_AGAIN,
                format!("{} has not answered for {}s", self.reference.registry(), PATIENCE.as_secs()),
            )
        };
        let ended = tokio::time::timeout(PATIENCE, run).await.map_err(|_| silent())??;
        self.well(ended)
    }

    fn well(&self, ended: Ended) -> Result<Vec<u8>, VerbError> {
        match ended.well {
            true => Ok(ended.out),
            false => Err(failed(self.reference, self.person, &ended.err)),
        }
    }
}

#[derive(Deserialize)]
struct NamedPlatform {
    os: Option<String>,
    architecture: Option<String>,
}

/// Why skopeo failed, in words for who has typed the reference.
pub(super) fn failed(reference: &Reference, person: &Person, stderr: &str) -> VerbError {
    let (said, registry) = (words::last_words(stderr), reference.registry());
    let kind = words::kind(&said);
    let text = match kind {
        Kind::Unknown => format!("the registry has no {reference}: {said}"),
        Kind::Denied => format!(
            "{registry} does not let the app's user in; its password was looked for in {}, where `skopeo login {registry}` as that \
             user writes it: {said}",
            person.auth_files()
        ),
        Kind::Away => format!("{registry} cannot be asked now; try again: {said}"),
        Kind::Untrusted => format!(
            "the certificate of {registry} is not trusted here; put that of its issuer into /etc/containers/certs.d/{registry}/ca.crt: \
             {said}"
        ),
        Kind::Plain => format!("{registry} speaks no TLS, without which no image is taken: {said}"),
        Kind::Corrupt => format!(
            "what {registry} has sent is not what {reference} promises, and nothing of it is kept: {said}"
        ),
        Kind::Full => format!("the disk is full, and nothing of it is kept: {said}"),
        Kind::Other => format!("skopeo could not get {reference}: {said}"),
    };
    VerbError::said(kind.exit(), text)
}
