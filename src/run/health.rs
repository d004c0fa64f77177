//! The ports of health: bound before anything is started, served for as long as ostlerd lives, kept for the next one.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use super::holder::holder_of;
use super::identity;
use super::listeners::bound::{Bound, SocketName, inode_of};
use super::listeners::{ListenError, Listeners};
use super::socket_activation::Passed;
use crate::config::{Address, HEALTH_DEFAULT, HealthConfig, Listen, Origin};
use crate::observe::health::{self, Listener, Sources, Token, TokenError};

/// Connections at once, where there are descriptors for so many.
const MOST: usize = 4096;

const BACKLOG: u32 = 1024;

/// After so long it is tried again to have what another process holds.
const PAUSE: Duration = Duration::from_secs(5);

/// Why ostlerd would not be seen where it should be, and so does not start.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// An address cannot be had as it is configured.
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
    checks: HealthListener,
    agent: HealthListener,
    token: Option<Token>,
    sources: Option<Sources>,
}

/// The addresses where one thing is answered.
#[derive(Debug)]
struct HealthListener {
    wanted: Vec<Listen>,
    listeners: Listeners,
    /// Of the listeners, so many are served.
    served: usize,
    /// Those that cannot be had now, and why.
    missing: BTreeMap<String, String>,
}

/// Binds what `[health]` asks for. What another process holds is done without for as long as it does: the apps do not
/// depend on it.
pub(super) fn open(config: &HealthConfig, runtime: &Path, passed: &Passed) -> Result<Ports, HealthError> {
    let token = config.token_file.as_deref().map(Token::read).transpose()?;
    let default = [Address::Tcp(HEALTH_DEFAULT)];
    let mut checks = HealthListener::of(config.listen.as_deref().unwrap_or(&default), runtime);
    let mut agent = HealthListener::of(config.agent.as_slice(), runtime);
    checks.bind(passed)?;
    agent.bind(passed)?;
    Ok(Ports { checks, agent, token, sources: None })
}

impl HealthListener {
    fn of(addresses: &[Address], runtime: &Path) -> HealthListener {
        let listen = |address: &Address| {
            let (address, origin) = (address.clone(), Origin::File);
            Listen { address, mode: None, backlog: BACKLOG, origin }
        };
        let mut wanted: Vec<Listen> = addresses.iter().map(listen).collect();
        // IPv4 first: where it stands beside IPv6's wildcard, that one leaves it the port.
        wanted.sort_by_key(|it| !matches!(it.address, Address::Tcp(address) if address.is_ipv4()));
        let (listeners, missing) = (Listeners::new(runtime), BTreeMap::new());
        HealthListener { wanted, listeners, served: 0, missing }
    }

    /// Binds what is missing, each for itself where not all of it can be had.
    fn bind(&mut self, passed: &Passed) -> Result<(), ListenError> {
        if self.listeners.bind_missing(&self.wanted, None, passed).is_ok() {
            for address in std::mem::take(&mut self.missing).into_keys() {
                tracing::info!("health: {address} can be had again");
            }
            return Ok(());
        }
        for listen in &self.wanted {
            let mut some = self.listeners.wanted();
            some.push(listen.clone());
            let name = listen.address.to_string();
            match self.listeners.bind_missing(&some, None, passed) {
                Ok(()) => {
                    if self.missing.remove(&name).is_some() {
                        tracing::info!("health: {name} can be had again");
                    }
                }
                Err(error) if may_pass(&error) => {
                    let words = unanswered(&error);
                    if self.missing.get(&name) != Some(&words) {
                        tracing::warn!("{words}; it is tried again every {} s", PAUSE.as_secs());
                        self.missing.insert(name, words);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Those that nobody answers yet.
    fn unserved(&mut self) -> &[Bound] {
        let all = self.listeners.all();
        &all[std::mem::replace(&mut self.served, all.len())..]
    }
}

/// What another process than an ostlerd has of the ports that `[health]` asks for, in words.
pub(super) fn taken(config: &HealthConfig) -> Vec<String> {
    let default = [Address::Tcp(HEALTH_DEFAULT)];
    let addresses = config.listen.as_deref().unwrap_or(&default).iter().chain(&config.agent);
    let words = |address: &Address| {
        let Address::Tcp(address) = *address else { return None };
        // The name alone proves nothing, but only ostlerd's own user can hinder himself.
        let holder = holder_of(address).filter(|it| !(it.name == "ostlerd" && it.user == own_name()))?;
        Some(unanswered(&ListenError::InUse { address, holder: Some(holder) }))
    };
    addresses.filter_map(words).collect()
}

fn own_name() -> String {
    identity::own_account().name
}

fn unanswered(error: &ListenError) -> String {
    format!("health is not answered: {error} of [health] in the main file")
}

/// Whether an address may be had later, without anybody changing the configuration.
fn may_pass(error: &ListenError) -> bool {
    use ListenError::{Answered, InUse, NotAvailable};
    matches!(error, InUse { .. } | Answered { .. } | NotAvailable { .. })
}

impl Ports {
    /// Begins to answer. The ports stay bound until this is dropped, the answers go on until the runtime ends.
    pub(super) fn serve(mut self, config: &HealthConfig, sources: Sources) -> Result<Ports, HealthError> {
        let sources = Sources { token: self.token.clone(), ..sources };
        self.sources = Some(sources.clone());
        self.serve_new()?;
        if let Some(path) = &config.track_file {
            tokio::spawn(health::keep_track_file(path.clone(), sources.clone()));
        }
        tokio::spawn(health::draw_page(sources));
        Ok(self)
    }

    fn serve_new(&mut self) -> Result<(), HealthError> {
        let Some(sources) = &self.sources else { return Ok(()) };
        let most = most_connections() / self.checks.wanted.len().max(1);
        for bound in self.checks.unserved() {
            tokio::spawn(health::serve(listener(bound)?, sources.clone(), most.max(16)));
            tracing::info!("health is answered on {}", bound.name);
        }
        for bound in self.agent.unserved() {
            tokio::spawn(health::serve_agent(listener(bound)?, sources.clone()));
        }
        Ok(())
    }

    /// Tries again what could not be had, from time to time. To be called once a second.
    pub(super) fn look(&mut self, looks: u64) {
        if self.unanswered().next().is_none() || !looks.is_multiple_of(PAUSE.as_secs()) {
            return;
        }
        let nothing = Passed::default();
        let tried =
            [&mut self.checks, &mut self.agent].into_iter().try_for_each(|listener| listener.bind(&nothing));
        if let Err(error) = tried.map_err(HealthError::from).and_then(|()| self.serve_new()) {
            tracing::error!("{error}");
        }
    }

    /// What is not answered, and why.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &String> {
        self.checks.missing.values().chain(self.agent.missing.values())
    }

    /// Every socket, by its number: they outlive ostlerd, so that nobody else gets them meanwhile.
    pub(super) fn sockets(&self) -> Vec<(u64, BorrowedFd<'_>)> {
        let all = self.checks.listeners.all().iter().chain(self.agent.listeners.all());
        all.filter_map(|bound| Some((inode_of(bound.fd.as_fd())?, bound.fd.as_fd()))).collect()
    }

    /// The next ostlerd answers there.
    pub(super) fn leave(&mut self) {
        self.checks.listeners.keep_files();
        self.agent.listeners.keep_files();
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
