//! What has to be done to files for an app's Unix sockets, apart from the loop: their file system may not answer.
//!
//! The loop asks for [`FileOrder`]s, which a thread carries out, and puts what is [`Done`] in place. What comes after the app was
//! told to stop is dropped, and its file with it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use super::bound::{Bound, Entry, entry_of, failed, name_of, start};
use super::{ListenError, Listeners};
use crate::config::{Address, AppName, Listen, Origin};
use crate::plan::Account;
use crate::run::files;
use crate::run::socket_activation::Passed;
use crate::run::unix_socket::{self, SocketFile, SocketPath};

/// Something to do to a file.
#[derive(Debug)]
pub(in crate::run) struct FileOrder {
    listen: Listen,
    owner: Option<Account>,
    place: SocketPath,
    what: FileTask,
    shuts: u64,
}

#[derive(Debug)]
enum FileTask {
    /// To make a socket, unless this one is there and has its file.
    Make(Option<OwnedFd>),
    /// To give a socket's file another mode.
    Access,
}

/// What came of an order.
#[derive(Debug)]
pub struct Done {
    listen: Listen,
    pub(super) done: Result<Made, ListenError>,
    shuts: u64,
}

/// What was made.
#[derive(Debug)]
pub(super) enum Made {
    /// A socket that does not listen yet, or does already.
    Socket(OwnedFd, Option<SocketFile>),
    /// Another mode.
    Access,
}

impl FileOrder {
    /// Does it. It may take for ever.
    pub(super) fn carry_out(self) -> Done {
        let FileOrder { listen, owner, place, what, shuts } = self;
        let done = match what {
            FileTask::Make(own) => made(&place, &listen, owner.as_ref(), own),
            FileTask::Access => {
                unix_socket::set_access(&place, listen.mode, owner.as_ref()).map(|()| Made::Access)
            }
        };
        Done { listen, done, shuts }
    }
}

fn made(
    place: &SocketPath,
    listen: &Listen,
    owner: Option<&Account>,
    own: Option<OwnedFd>,
) -> Result<Made, ListenError> {
    if let Some(own) = own
        && let Some(file) = unix_socket::file_of(place)?
    {
        return Ok(Made::Socket(own, Some(file)));
    }
    let (fd, file) = unix_socket::bind_file(place, listen.mode, owner)?;
    Ok(Made::Socket(fd, Some(file)))
}

/// Carries out orders of an app where they may hang.
pub(in crate::run) async fn carry_out(app: &AppName, orders: Vec<FileOrder>) -> Vec<Done> {
    let mut all = Vec::with_capacity(orders.len());
    for order in orders {
        let (listen, shuts, path) = (order.listen.clone(), order.shuts, order.place.path().to_owned());
        let done = files::within(app.to_string(), files::FEW, move || order.carry_out()).await;
        all.push(done.unwrap_or_else(|held| {
            let error = ListenError::Hangs { path, held: held.to_string() };
            Done { listen, done: Err(error), shuts }
        }));
    }
    all
}

impl Done {
    pub(super) fn gives_access_to(&self, wanted: &Listen) -> bool {
        self.listen.address == wanted.address && matches!(self.done, Ok(Made::Access) | Err(_))
    }

    /// Whether it is what came of an order like this one.
    pub(in crate::run) fn is_of(&self, order: &FileOrder) -> bool {
        self.listen.address == order.listen.address
    }

    /// Why it could not be done.
    pub(in crate::run) fn error(&self) -> Option<&ListenError> {
        self.done.as_ref().err()
    }

    /// Whether that is the doing of the app's user, and of nobody who has written the configuration.
    pub(in crate::run) fn is_of_the_app(&self) -> bool {
        let of_code = matches!(self.listen.origin, Origin::Code);
        self.error().is_some_and(|error| of_code || matches!(error, ListenError::Hangs { .. }))
    }
}

impl Listeners {
    /// What is to be done to files for `wanted`.
    pub(in crate::run) fn orders(
        &self,
        wanted: &[Listen],
        owner: Option<&Account>,
        passed: &Passed,
    ) -> Vec<FileOrder> {
        let order = |listen: &Listen| {
            let Address::Unix(path) = &listen.address else { return None };
            let what = match self.bound.iter().find(|it| it.listen.address == listen.address) {
                None => FileTask::Make(passed.own_at(&listen.address)),
                Some(bound) if bound.listen.mode != listen.mode && !bound.is_to_be_replaced() => {
                    FileTask::Access
                }
                Some(_) => return None,
            };
            Some(self.order(path, listen, owner, what))
        };
        wanted.iter().filter_map(order).collect()
    }

    /// What is to be done to files for sockets that are to be replaced.
    pub(in crate::run) fn replacements(&self, owner: Option<&Account>) -> Vec<FileOrder> {
        let replaced = self.bound.iter().filter(|bound| bound.is_to_be_replaced());
        let order = |bound: &Bound| {
            let Address::Unix(path) = &bound.listen.address else { return None };
            Some(self.order(path, &bound.listen, owner, FileTask::Make(None)))
        };
        replaced.filter_map(order).collect()
    }

    fn order(&self, path: &Path, listen: &Listen, owner: Option<&Account>, what: FileTask) -> FileOrder {
        let place = SocketPath::new(path, listen, owner, &self.runtime_directory);
        FileOrder { listen: listen.clone(), owner: owner.cloned(), place, what, shuts: self.shuts }
    }

    /// Puts what was made for sockets that are to be replaced in their place; gives back the rest.
    pub(in crate::run) fn replace(&mut self, done: Vec<Done>) -> Result<Vec<Done>, ListenError> {
        let mut rest = Vec::new();
        for done in done.into_iter().filter(|done| done.shuts == self.shuts) {
            let is_it =
                |bound: &&mut Bound| bound.is_to_be_replaced() && bound.listen.address == done.listen.address;
            match self.bound.iter_mut().find(is_it) {
                Some(bound) => bound.replace(done.done?)?,
                None => rest.push(done),
            }
        }
        Ok(rest)
    }

    /// What was made at an address.
    pub(super) fn done_at(&self, wanted: &Listen, done: &mut Vec<Done>) -> Option<Result<Made, ListenError>> {
        let at = done.iter().position(|it| it.listen.address == wanted.address && it.shuts == self.shuts)?;
        Some(done.swap_remove(at).done)
    }
}

impl Bound {
    /// A Unix socket that was made for `wanted`, and listens from now on.
    pub(super) fn made(wanted: &Listen, made: Made) -> Result<Bound, ListenError> {
        let Made::Socket(fd, file) = made else {
            return Err(failed(wanted, "have its file made in time", nix::errno::Errno::EAGAIN));
        };
        if entry_of(fd.as_fd()) != Entry::Open {
            start(fd.as_fd(), wanted)?;
        }
        let name = name_of(fd.as_fd(), wanted)?;
        Ok(Bound { listen: wanted.clone(), fd: Arc::new(fd), name, file, entry: Entry::Open })
    }

    fn is_to_be_replaced(&self) -> bool {
        matches!(self.listen.address, Address::Unix(_)) && matches!(self.entry, Entry::Shut | Entry::Ended)
    }

    /// One that takes the place of a socket that has refused refuses too, until a worker comes.
    fn replace(&mut self, made: Made) -> Result<(), ListenError> {
        let Made::Socket(fd, file) = made else { return Ok(()) };
        let refuses = self.entry == Entry::Ended;
        if !refuses {
            start(fd.as_fd(), &self.listen)?;
        }
        self.entry = if refuses { Entry::Refused } else { Entry::Open };
        (self.fd, self.file) = (Arc::new(fd), file);
        Ok(())
    }
}
