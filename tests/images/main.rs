//! Images: a real registry with TLS and a password, real skopeo and umoci, and what hostile images try.
//!
//! Images are made by buildah where they are as an operator's, and by hand (`layout.py`) where no tool would make them. All of
//! it needs root, who becomes the app's user. The programs come from `bash tests/setup.sh`, the environments from `bash
//! tests/venvs.sh`.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

#[path = "../daemon/harness/mod.rs"]
mod harness;
#[path = "../daemon/load/mod.rs"]
mod load;
#[path = "../daemon/deploy/server.rs"]
mod server;

mod ci;
mod container;
mod cut;
mod deploy_key;
mod disk;
mod hostile;
mod image;
mod narrow;
mod prune;
mod pull;
mod refused;
mod registry;
mod serves;
mod shop;
