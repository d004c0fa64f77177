//! The ports of health: bound before anything is started, served for as long as ostlerd lives.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use super::listeners::{Bound, ListenError, Listeners, SocketName};
use super::passed::Passed;
use crate::config::{Address, HEALTH_DEFAULT, HealthConfig, Listen};
use crate::observe::health::{self, Listener, Sources, Token, TokenError};

/// Connections at once, where there are descriptors for so many.
const MOST: usize = 4096;

const BACKLOG: u32 = 1024;

/// Why ostlerd would not be seen where it should be, and so does not start.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// An address cannot be had.
    #[error("[health] {0}")]
    Listen(#[from] ListenError),
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A socket cannot be used.
    #[error("[health] cannot use the socket {name}: {source}")]
    Socket {
        /// Which.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Everything of health that is bound. Dropped, it closes the ports and removes the files of Unix sockets.
#[derive(Debug)]
pub(super) struct Ports {
    checks: Listeners,
    agent: Listeners,
    token: Option<Token>,
}

/// Binds what `[health]` asks for. The default port is done without where somebody has it: another ostlerd, most
/// likely, on a machine where nobody has asked for either.
pub(super) fn open(config: &HealthConfig, runtime: &Path, passed: &Passed) -> Result<Ports, HealthError> {
    let token = config.token_file.as_deref().map(Token::read).transpose()?;
    let mut checks = Listeners::new(runtime);
    match &config.listen {
        Some(addresses) => checks.bind_missing(&wanted(addresses), None, passed)?,
        None => {
            let default = [Address::Tcp(HEALTH_DEFAULT)];
            if let Err(error) = checks.bind_missing(&wanted(&default), None, passed) {
                tracing::warn!("health is not answered: {error} of [health] in the main file");
            }
        }
    }
    let mut agent = Listeners::new(runtime);
    agent.bind_missing(&wanted(config.agent.as_slice()), None, passed)?;
    Ok(Ports { checks, agent, token })
}

fn wanted(addresses: &[Address]) -> Vec<Listen> {
    addresses
        .iter()
        .map(|address| Listen { address: address.clone(), mode: None, backlog: BACKLOG })
        .collect()
}

impl Ports {
    /// Begins to answer. The ports stay bound until this is dropped, the answers go on until the runtime ends.
    pub(super) fn serve(&self, config: &HealthConfig, sources: Sources) -> Result<(), HealthError> {
        let sources = Sources { token: self.token.clone(), ..sources };
        let most = most_connections() / self.checks.all().len().max(1);
        for bound in self.checks.all() {
            tokio::spawn(health::serve(listener(bound)?, sources.clone(), most.max(16)));
            tracing::info!("health is answered on {}", bound.name);
        }
        for bound in self.agent.all() {
            tokio::spawn(health::serve_agent(listener(bound)?, sources.clone()));
        }
        if let Some(path) = &config.track_file {
            tokio::spawn(health::keep_track_file(path.clone(), sources.clone()));
        }
        tokio::spawn(health::draw_page(sources));
        Ok(())
    }
}

/// Half of the descriptors that ostlerd may open: the other half is for workers and the control socket.
fn most_connections() -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(soft / 2).unwrap_or(MOST).min(MOST)
}

fn listener(bound: &Bound) -> Result<Listener, HealthError> {
    let socket = || -> std::io::Result<Listener> {
        let fd: OwnedFd = bound.fd.try_clone()?;
        if let SocketName::Unix(_) = bound.name {
            let socket = std::os::unix::net::UnixListener::from(fd);
            socket.set_nonblocking(true)?;
            return tokio::net::UnixListener::from_std(socket).map(Listener::Unix);
        }
        let socket = std::net::TcpListener::from(fd);
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket).map(Listener::Tcp)
    };
    socket().map_err(|source| HealthError::Socket { name: bound.name.to_string(), source })
}
