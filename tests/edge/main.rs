//! Real nginx, HAProxy, Traefik, Caddy and keepalived in front of two servers that ostlerd runs.
//!
//! Each edge runs what `ostler edge` prints, and none may lose a request while the servers behind it change. The
//! programs come from `bash tests/setup.sh` and `bash tests/venvs.sh`.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

#[path = "../systemd/documents.rs"]
mod documents;
#[path = "../daemon/harness/mod.rs"]
mod harness;
#[path = "../daemon/load/mod.rs"]
mod load;

mod cdn;
mod changes;
mod features;
mod forms;
mod front;
mod keepalived;
mod pair;
mod readme;
mod table;
mod trust;
