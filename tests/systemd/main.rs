//! ostler on a booted Debian: systemd as process 1, the unit of the package, scopes and slices.
//!
//! Every test boots a machine of its own (half a second); `machine` says how. They need root, a control group
//! hierarchy of version 2, the packages that `bash tests/setup.sh` installs, and the Debians that
//! `make rootfs` makes: 13 is booted, and where it matters most (`booted::twelve`) 12 as well. Whoever is not root leaves them out with `--skip booted::`, as `make test` does.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

mod completions;
#[path = "../daemon/die.rs"]
mod die;
mod documents;
mod handbook;
#[path = "../daemon/harness/mod.rs"]
mod harness;
#[path = "../daemon/load/mod.rs"]
mod load;
mod machine;
mod package;
#[path = "../../packaging/pages.rs"]
mod pages;
mod readme;
mod site;

mod booted;
