//! How much the disk has left, and how much of that an image may not take.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::manifest::Parts;
use crate::cli::error::VerbError;
use crate::cli::screen::bytes;
use crate::control::protocol::exit;

/// Less than this is never left, nor less than a twentieth of the disk.
const FLOOR: u64 = 512 << 20;

/// How much larger an image is taken to be when it is unpacked.
const UNPACKED: u64 = 4;

/// Of one disk, for who is not root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    free: u64,
    floor: u64,
    /// How many files it can still have; `None` where there is no such number.
    files: Option<Files>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Files {
    free: u64,
    all: u64,
}

impl Room {
    pub(super) fn of(folder: &Path) -> io::Result<Room> {
        let disk = statvfs(folder)?;
        let unit = disk.fragment_size();
        let (free, all) = (disk.blocks_available() * unit, disk.blocks() * unit);
        let files = Files { free: disk.files_available(), all: disk.files() };
        Ok(Room { free, floor: floor(all), files: Some(files).filter(|it| it.all > 0) })
    }

    /// Why there is not enough for an image of which so much has to be downloaded.
    pub(super) fn suffices(self, parts: &Parts, missing: u64) -> Result<(), VerbError> {
        let wanted = wanted(parts.size(), missing);
        if self.free.saturating_sub(self.floor) >= wanted {
            return Ok(());
        }
        Err(VerbError::said(
            exit::FAILED,
            format!(
                "the disk has {} left, of which {} stay free, and this image is taken to need {}: {} to download, and \
                 {UNPACKED} times its {} unpacked; `ostler images prune` removes old releases",
                bytes(self.free),
                bytes(self.floor),
                bytes(wanted),
                bytes(missing),
                bytes(parts.size()),
            ),
        ))
    }

    /// Why nothing may be written any more.
    pub(super) fn is_above_floor(self) -> Result<(), VerbError> {
        if let Some(Files { free, all }) = self.files.filter(|it| it.free < it.all / 20) {
            let why = format!(
                "the image had more files than the disk has room for: {free} of {all} are left, and a twentieth stays free, so it was \
                 ended and nothing of it is kept"
            );
            return Err(VerbError::said(exit::FAILED, why));
        }
        if self.free > self.floor {
            return Ok(());
        }
        Err(VerbError::said(
            exit::FAILED,
            format!(
                "the image was larger than what the disk has: {} are left, and {} stay free, so it was ended and nothing of it \
                 is kept; `ostler images prune` removes old releases",
                bytes(self.free),
                bytes(self.floor)
            ),
        ))
    }
}

/// Looks, and says why nothing may be written any more. A disk that cannot be looked at is no reason.
pub(super) fn watch(folder: &Path) -> Result<(), VerbError> {
    Room::of(folder).map_or(Ok(()), Room::is_above_floor)
}

fn floor(all: u64) -> u64 {
    FLOOR.max(all / 20)
}

fn wanted(size: u64, missing: u64) -> u64 {
    size.saturating_mul(UNPACKED).saturating_add(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(size: u64) -> Parts {
        let digest = crate::config::Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        Parts { layers: vec![super::super::manifest::Blob { digest, size }] }
    }

    #[test]
    fn the_floor_is_a_twentieth_and_half_a_gibibyte_at_least() {
        assert_eq!((floor(1 << 30), floor(100 << 30)), (512 << 20, 5 << 30));
    }

    #[test]
    fn a_twentieth_of_the_files_stays_free() {
        let room = |free, all| Room { free: 1000, floor: 500, files: Some(Files { free, all }) };
        assert!(room(50, 1000).is_above_floor().is_ok());
        assert!(room(49, 1000).is_above_floor().is_err());
    }

    #[test]
    fn an_image_needs_its_download_and_four_times_its_layers() {
        let room = Room { free: 1000, floor: 500, files: None };
        assert!(room.suffices(&parts(100), 100).is_ok());
        assert!(room.suffices(&parts(100), 101).is_err());
        assert!(room.suffices(&parts(126), 0).is_err());
        assert!(room.suffices(&parts(u64::MAX), u64::MAX).is_err(), "a registry may say any size");
        assert!(Room { free: 499, floor: 500, files: None }.suffices(&parts(0), 1).is_err());
    }
}
