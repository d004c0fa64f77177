//! Finding a Python that can make virtual environments, and running it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::DemoError;

/// Of the log and of a failed command's output, the end tells most.
const LAST_LINES: usize = 30;

/// The asked for Python, or the system's own before one in PATH: other users can run that.
pub(super) fn find(asked: Option<&Path>) -> Result<PathBuf, DemoError> {
    let candidates = match asked {
        Some(path) => vec![path.to_owned()],
        None => vec![PathBuf::from("/usr/bin/python3"), PathBuf::from("python3")],
    };
    let mut reasons = Vec::new();
    for python in candidates {
        match attempt(&python) {
            Ok(()) => return Ok(python),
            Err(reason) => reasons.push(format!("{}: {reason}", python.display())),
        }
    }
    Err(DemoError::Python(reasons.join("; ")))
}

fn attempt(python: &Path) -> Result<(), String> {
    const TRY: &str =
        "import sys, venv, ensurepip\nif sys.version_info < (3, 8): sys.exit('it is older than 3.8')";
    let tried = Command::new(python).args(["-c", TRY]).stdin(Stdio::null()).output();
    let output = tried.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(error.trim().lines().next_back().unwrap_or("it fails").to_owned())
}

pub(super) fn run(command: &mut Command) -> Result<(), DemoError> {
    let output = command.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => last_lines(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat())),
        Err(error) => error.to_string(),
    };
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    Err(DemoError::Command { command: words.join(" "), output })
}

pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_python_is_said_with_the_package_to_install() {
        let error = find(Some(Path::new("/nonexistent/python"))).unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent/python") && error.contains("apt-get install python3-venv"),
            "{error}"
        );
    }

    #[test]
    fn a_command_that_fails_is_shown_with_its_words() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo words >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("failed:\nout\nwords"), "{error}");
    }
}
