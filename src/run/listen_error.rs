//! Why an address cannot be listened on: what, where, why, and what to do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::holder::Holder;

/// Why a listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another socket is there.
    #[error(
        "cannot listen on {address}: the port is in use by {}; stop that, or set another port in `listen`",
        holder.as_ref().map_or_else(|| "another process".to_owned(), Holder::to_string)
    )]
    InUse {
        /// Where.
        address: SocketAddr,
        /// By whom, where that can be told.
        holder: Option<Holder>,
    },
    /// IPv6's wildcard has it, which was bound to take IPv4 too.
    #[error(
        "cannot listen on {address}: {by} of the same app takes IPv4 as well, and stays so as long as it is bound; \
         stop the app (`ostler stop APP`) and start it again"
    )]
    TakenToo {
        /// Where.
        address: SocketAddr,
        /// The other listener.
        by: String,
    },
    /// A port below 1024, and not root.
    #[error(
        "cannot listen on {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE; \
         use a port from 1024 on, or have systemd pass the socket and write `listen = \"systemd:NAME\"`"
    )]
    NotPermitted {
        /// Where.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error(
        "cannot listen on {address}: this machine has no interface with that address; \
         take one that `ip address` shows, or 0.0.0.0 for all"
    )]
    NotAvailable {
        /// Where.
        address: SocketAddr,
    },
    /// Something that is no socket is in the way.
    #[error("cannot listen on unix:{}: a {kind} is there; remove it, or set another path in `listen`", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is: `file`, `directory`.
        kind: &'static str,
    },
    /// Another process listens on the socket file.
    #[error(
        "cannot listen on unix:{}: another process answers there{}; stop it{}, or set another path in `listen`",
        path.display(),
        holder.as_ref().map_or_else(String::new, |holder| format!(": {holder}")),
        if holder.is_none() { " (`ss -xlp` names it)" } else { "" }
    )]
    Answered {
        /// Where.
        path: PathBuf,
        /// Which, where the kernel says so.
        holder: Option<Holder>,
    },
    /// The folder of a socket file is missing.
    #[error(
        "cannot listen on unix:{}: the directory {} is not there; make it, \
         or use a path in {}, where ostlerd makes directories itself", path.display(), parent.display(), ours.display()
    )]
    NoDirectory {
        /// Where.
        path: PathBuf,
        /// What is missing.
        parent: PathBuf,
        /// Where it would have been made.
        ours: PathBuf,
    },
    /// The app's code asks for what its user may not do.
    #[error(
        "cannot listen on unix:{}: user {user} may not make or replace a socket in {}, and root does not do it for what \
         gunicorn's settings name; let {user} write there, or write the address into `listen` of the app's file",
        path.display(), folder.display()
    )]
    OfCode {
        /// Where.
        path: PathBuf,
        /// In which folder.
        folder: PathBuf,
        /// Whom the app runs as.
        user: String,
    },
    /// The app's user may not, and root does not do it where others could lead him elsewhere.
    #[error(
        "cannot listen on unix:{}: user {user} may not make or replace a socket there, and root does not do it in a place \
         that others can change: {} can be changed by {by}; let {user} write there, or use a path in {}",
        path.display(), part.display(), ours.display()
    )]
    NotRoots {
        /// Where.
        path: PathBuf,
        /// Whom the app runs as.
        user: String,
        /// What of the path can be changed.
        part: PathBuf,
        /// By whom.
        by: String,
        /// Where root does it.
        ours: PathBuf,
    },
    /// Its file system does not answer.
    #[error("cannot listen on unix:{}: {held}", path.display())]
    Hangs {
        /// Where.
        path: PathBuf,
        /// What hangs.
        held: String,
    },
    /// The kernel takes 107 bytes.
    #[error(
        "cannot listen on unix:{}: the path has {} bytes, the kernel takes 107 at most; use a shorter one",
        path.display(), path.as_os_str().len()
    )]
    TooLong {
        /// Where.
        path: PathBuf,
    },
    /// No such socket came from systemd.
    #[error(
        "cannot listen on systemd:{name}: systemd passed {}; write FileDescriptorName={name} and \
         Service=ostler.service into the .socket unit, and restart it",
        if passed.is_empty() { "no sockets".to_owned() } else { format!("only {}", passed.join(", ")) }
    )]
    NotPassed {
        /// The name.
        name: String,
        /// The names that were passed.
        passed: Vec<String>,
    },
    /// Anything else.
    #[error("cannot listen on {what}: cannot {step}: {}", error.desc())]
    Failed {
        /// The address.
        what: String,
        /// The call, in words.
        step: &'static str,
        /// The kernel's answer.
        error: Errno,
    },
}

impl ListenError {
    /// How a step fails at the socket file `path`.
    pub(super) fn at_socket(path: &Path, step: &'static str, error: Errno) -> ListenError {
        ListenError::Failed { what: format!("unix:{}", path.display()), step, error }
    }

    /// Whether it may be otherwise later, without any change of the configuration.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            ListenError::InUse { .. } | ListenError::NotAvailable { .. } | ListenError::Answered { .. }
        )
    }
}
