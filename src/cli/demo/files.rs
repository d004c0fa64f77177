//! The folder of the demonstration: project, virtual environment, configuration; removed at the end where it is ours.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, User, mkdtemp};

use super::super::arguments::Demo;
use super::super::screen::{complain, say};
use super::error::DemoError;
use super::{project, python};

/// What the shop needs.
const REQUIREMENTS: [&str; 2] = ["Django>=4.2", "gunicorn>=23"];

/// Everything that the demonstration has on disk, and its port.
#[derive(Debug)]
pub(super) struct DemoFiles {
    folder: PathBuf,
    /// Short, since a socket's path may have 107 bytes; always temporary.
    runtime: TempFolder,
    kept: bool,
    address: SocketAddr,
}

/// A temporary folder, removed when dropped.
#[derive(Debug)]
struct TempFolder(PathBuf);

impl Drop for TempFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the machine's own cleaning of /tmp.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl DemoFiles {
    /// Makes everything up to a migrated database. Blocks: the virtual environment takes a while.
    pub(super) fn make(arguments: &Demo, json: bool) -> Result<DemoFiles, DemoError> {
        // The shop's user must be able to read what root makes here.
        umask(Mode::from_bits_truncate(0o022));
        let runtime = temporary()?;
        let folder = match &arguments.dir {
            Some(folder) => {
                make_folder(folder)?;
                folder.canonicalize().map_err(failed_to("find", folder))?
            }
            None => runtime.0.clone(),
        };
        let address = free_port().map_err(failed_to("find a free port for", &folder))?;
        let files = DemoFiles { folder, runtime, kept: arguments.dir.is_some(), address };
        files.refuse_a_foreign_project()?;
        let python = python::find(arguments.python.as_deref())?;
        files.make_venv(&python, json)?;
        files.make_project()?;
        files.manage(&["migrate"])?;
        let user = files.choose_user(json)?;
        files.configure(user.as_deref())?;
        Ok(files)
    }

    pub(super) fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    pub(super) fn views(&self) -> PathBuf {
        self.project().join(project::VIEWS_FILE)
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.join("etc/ostler.toml")
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub(super) fn runtime_dir(&self) -> PathBuf {
        self.runtime.0.join("run")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.runtime_dir().join("control.sock")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.join("ostlerd.log")
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    pub(super) fn end_of_log(&self) -> Option<String> {
        let log = fs::read(self.log_file()).ok().filter(|log| !log.is_empty())?;
        Some(python::last_lines(&String::from_utf8_lossy(&log)))
    }

    /// Puts other files in place, each in one step.
    pub(super) fn deploy(&self, release: &project::ProjectRelease) -> Result<(), DemoError> {
        for (name, text) in release {
            let path = self.project().join(name);
            let new = path.with_extension("py.new");
            fs::write(&new, text).map_err(failed_to("write", &new))?;
            fs::rename(&new, &path).map_err(failed_to("replace", &path))?;
        }
        Ok(())
    }

    /// Ends every process that still works in the project's folder; how many there were.
    pub(super) fn sweep(&self) -> usize {
        let project = self.project();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ours = processes.filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let there = fs::read_link(entry.path().join("cwd")).ok()?;
            (there == project && is_run_by(&entry.path(), &self.venv_python())).then_some(pid)
        });
        let signalled = ours.map(|pid| {
            // It may have ended meanwhile.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        });
        signalled.count()
    }

    /// What says that a project is the demonstration's.
    fn mark(&self) -> PathBuf {
        self.project().join(".ostler-demo")
    }

    fn refuse_a_foreign_project(&self) -> Result<(), DemoError> {
        let project = self.project();
        if project.exists() && !self.mark().exists() {
            return Err(DemoError::NotOurs(project));
        }
        Ok(())
    }

    /// A project as Django makes it, with the app; one that was played in is made anew.
    fn make_project(&self) -> Result<(), DemoError> {
        let (project, mark) = (self.project(), self.mark());
        if project.exists() {
            fs::remove_dir_all(&project).map_err(failed_to("remove", &project))?;
        }
        make_folder(&project)?;
        fs::write(&mark, "").map_err(failed_to("write", &mark))?;
        let mut django = Command::new(self.venv_python());
        python::run(django.args(["-m", "django", "startproject", project::NAME]).arg(&project))?;
        project::write(&project)
    }

    fn manage(&self, arguments: &[&str]) -> Result<(), DemoError> {
        let mut command = Command::new(self.venv_python());
        command.arg("manage.py").args(arguments).current_dir(self.project());
        python::run(&mut command)
    }

    fn venv_python(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    fn make_venv(&self, python: &Path, json: bool) -> Result<(), DemoError> {
        let venv = self.folder.join("venv");
        let (mark, expected) =
            (venv.join("ready"), format!("{} {}\n", python.display(), REQUIREMENTS.join(" ")));
        if fs::read_to_string(&mark).is_ok_and(|found| found == expected) {
            return Ok(());
        }
        tell(json, &format!("making a virtual environment with {} …", REQUIREMENTS.join(" and ")))?;
        python::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
        python::run(
            Command::new(self.venv_python()).args(["-m", "pip", "install", "--quiet"]).args(REQUIREMENTS),
        )?;
        fs::write(&mark, expected).map_err(failed_to("write", &mark))
    }

    /// As root, the least user that can reach the project and its Python; otherwise the user that runs this.
    fn choose_user(&self, json: bool) -> Result<Option<String>, DemoError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let python = self.venv_python().canonicalize().map_err(failed_to("find", &self.venv_python()))?;
        let reachable = open_to_all(&self.folder) && open_to_all(&python);
        let nobody = User::from_name("nobody").ok().flatten();
        let Some(nobody) = nobody.filter(|_| reachable) else {
            let folder = self.folder.display();
            tell(json, &format!("the shop runs as root: user nobody cannot reach {folder} and its Python"))?;
            return Ok(Some("root".to_owned()));
        };
        give(&self.project(), nobody.uid.as_raw(), nobody.gid.as_raw())
            .map_err(failed_to("give to user nobody", &self.project()))?;
        Ok(Some(nobody.name))
    }

    fn configure(&self, user: Option<&str>) -> Result<(), DemoError> {
        let apps = self.folder.join("etc/apps.d");
        make_folder(&apps)?;
        make_folder(&self.state_dir())?;
        let main = self.config_file();
        fs::write(&main, "# Made by `ostler demo`; the app is in apps.d.\n")
            .map_err(failed_to("write", &main))?;
        let text = |path: &Path| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
        let user = user.map(|name| format!("user = {}\n", toml::Value::from(name))).unwrap_or_default();
        let shop = format!(
            "# Made by `ostler demo`.\n\
             directory = {}\n\
             python = {}\n\
             app = \"shop.wsgi:application\"\n\
             listen = [\"{}\"]\n\
             {user}\
             workers = 2\n\
             args = [\"-k\", \"gthread\", \"--threads\", \"4\"]\n\
             # Compiled files are told apart by whole seconds, and you may be quicker.\n\
             env = {{ PYTHONDONTWRITEBYTECODE = \"1\" }}\n\
             \n\
             [rollout]\n\
             settle = \"1s\"\n",
            text(&self.project()),
            text(&self.venv_python()),
            self.address,
        );
        let file = apps.join("shop.toml");
        fs::write(&file, shop).map_err(failed_to("write", &file))
    }
}

fn failed_to(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let path = path.to_owned();
    move |source| DemoError::File { what, path, source }
}

fn tell(json: bool, text: &str) -> io::Result<()> {
    if json {
        complain(text);
        return Ok(());
    }
    say(text)
}

fn temporary() -> Result<TempFolder, DemoError> {
    let template = std::env::temp_dir().join("ostler-demo-XXXXXX");
    let path = mkdtemp(&template).map_err(|errno| failed_to("make", &template)(errno.into()))?;
    let folder = TempFolder(path);
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(&folder.0, open).map_err(failed_to("open", &folder.0))?;
    Ok(folder)
}

fn make_folder(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(failed_to("make", path))
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Whether every user can go through the folders to `path` and read it.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|part| part.metadata().is_ok_and(|found| found.mode() & 0o005 == 0o005))
}

/// Gives `path` and all below it to a user; links are given, not followed.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
}

/// Whether the process was started as this Python: a shell that stands in the folder was not.
fn is_run_by(process: &Path, python: &Path) -> bool {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).next() == Some(python.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_open_to_all_and_goes_when_dropped() {
        let folder = temporary().unwrap();
        let path = folder.0.clone();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o755);
        drop(folder);
        assert!(!path.exists());
    }
}
