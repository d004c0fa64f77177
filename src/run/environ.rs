//! What other processes have in their environment: the one way to read it.
//!
//! It is in the memory of the process, and a process can make whoever reads there wait for ever: one thread waits for a page of a
//! file that does not answer, another one wants to change the memory's map, and every reader is behind these. So it is
//! read on a thread of its own, with a limit. A thread that hangs is left behind, and the process it hangs at is not read
//! again before it has come back. What `/proc` shows of `stat`, `status`, `comm`, `cgroup`, `fd` and `ns` is the kernel's, and is
//! there at once.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::files;
use super::proc::{Stat, users_of};

/// Whoever has not been read within this holds up its reader.
const HANGS: Duration = Duration::from_secs(2);

/// How often it is looked whether one hangs.
const LOOK: Duration = Duration::from_millis(500);

/// So many threads are left hanging at what one user may do; then nothing more is read for that user.
const HANGING_MOST: usize = 8;

/// More than this of an environment is not looked at; the kernel takes little more.
const MOST: u64 = 4 * 1024 * 1024;

/// The number of the next thread.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What is being read, by the number of the thread.
static READING: Mutex<BTreeMap<u64, EnvironReading>> = Mutex::new(BTreeMap::new());

struct EnvironReading {
    user: u32,
    process: ProcessKey,
    began: Instant,
}

/// Number and start: another process may get the number.
type ProcessKey = (i32, u64);

/// Shows the environment of each of these processes that can hold something of this user's; what cannot be read is left out.
/// Blocks, and not for long.
pub(super) fn each(user: u32, pids: impl IntoIterator<Item = i32>, mut see: impl FnMut(i32, Vec<u8>)) {
    let may_be = pids.into_iter().filter(|&pid| user == 0 || acts_for(pid, user));
    let mut left: VecDeque<ProcessKey> =
        may_be.filter_map(|pid| Some((pid, Stat::of(pid)?.start))).filter(|it| !is_hanging(it)).collect();
    while !left.is_empty() && hanging(user) < HANGING_MOST {
        let (tell, told) = sync_channel(1);
        let (batch, number) = (left.clone(), NEXT.fetch_add(1, Ordering::Relaxed));
        let reads = move || {
            for process in batch {
                reading().insert(number, EnvironReading { user, process, began: Instant::now() });
                let environ = read(process.0);
                reading().remove(&number);
                // Nobody waits for one that took too long.
                if tell.send(environ).is_err() {
                    return;
                }
            }
        };
        if files::apart(reads).is_err() {
            return;
        }
        while let Some((pid, _)) = left.front().copied() {
            match told.recv_timeout(LOOK) {
                Ok(environ) => environ.into_iter().for_each(|environ| see(pid, environ)),
                // The thread may not have had a processor for so long.
                Err(RecvTimeoutError::Timeout) if !is_stuck(number) => continue,
                Err(RecvTimeoutError::Timeout) => {
                    tracing::debug!("process {pid} holds up whoever reads its environment");
                    left.pop_front();
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            left.pop_front();
        }
    }
}

/// None of one that has ended, or that may not be looked at.
fn read(pid: i32) -> Option<Vec<u8>> {
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    let mut environ = Vec::new();
    // What could be read before an error counts.
    let _ = file.take(MOST).read_to_end(&mut environ);
    Some(environ)
}

/// Whether one of its users is this one: real, effective, saved, or for files. Others cannot have inherited anything of
/// that user's, except from a program of root's.
fn acts_for(pid: i32, user: u32) -> bool {
    users_of(pid).is_some_and(|users| users.contains(&user))
}

impl EnvironReading {
    fn hangs(&self) -> bool {
        self.began.elapsed() >= HANGS
    }
}

/// Whether the thread of this number hangs.
fn is_stuck(number: u64) -> bool {
    reading().get(&number).is_some_and(EnvironReading::hangs)
}

/// Whether a thread hangs at this process.
fn is_hanging(process: &ProcessKey) -> bool {
    reading().values().any(|it| it.process == *process && it.hangs())
}

fn hanging(user: u32) -> usize {
    reading().values().filter(|it| it.user == user && it.hangs()).count()
}

fn reading() -> MutexGuard<'static, BTreeMap<u64, EnvironReading>> {
    READING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_whose_memory_nobody_can_read_holds_up_nobody_for_long() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can mount");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let hold = include_str!("../../tests/daemon/hold.py");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", hold, "memory", "12345"]).arg(folder.path()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let held: i32 = said.trim().strip_prefix("held ").unwrap().parse().unwrap();
        let mut other = Command::new("setpriv")
            .args(["--reuid=12345", "--clear-groups", "--", "sleep", "600"])
            .env("MARK", "x")
            .spawn()
            .unwrap();
        let beside = other.id() as i32;
        while users_of(beside).is_none_or(|users| users != [12345; 4]) {
            std::thread::yield_now();
        }
        let process = (held, Stat::of(held).unwrap().start);
        // Its readers wait from when its threads stand where they are to.
        while !is_hanging(&process) {
            each(12345, [held, beside], |_, _| {});
        }
        let mut shown = Vec::new();
        each(12345, [held, beside], |pid, environ| shown.push((pid, environ)));
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].0, beside);
        assert!(shown[0].1.split(|&it| it == 0).any(|it| it == b"MARK=x"));
        assert!(is_hanging(&process));
        server.kill().unwrap();
        server.wait().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(Command::new("umount").arg("-l").arg(folder.path()).status().unwrap().success());
        // Its reader comes back with it.
        while is_hanging(&process) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_environment_of_a_process_is_shown_to_those_of_its_user_alone() {
        let own = std::process::id() as i32;
        let user = nix::unistd::geteuid().as_raw();
        let mut shown = Vec::new();
        each(user, [own, i32::MAX], |pid, environ| shown.push((pid, environ)));
        assert_eq!(shown.len(), 1);
        let path = std::env::var("PATH").unwrap();
        assert!(shown[0].1.split(|&it| it == 0).any(|it| it == format!("PATH={path}").as_bytes()));
        each(user + 4711, [own], |pid, _| panic!("{pid} is none of that user's"));
    }
}
