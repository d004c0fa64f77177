//! What of an app's output is asked for.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Logs {
    /// The app
    pub(super) app: String,
    /// Go on with what is written from now on, until you interrupt it
    #[arg(short, long)]
    pub(super) follow: bool,
    /// How many of the last lines, or `all` [default: 10; with --since all]
    #[arg(short = 'n', long, value_name = "N|all", value_parser = lines)]
    pub(super) lines: Option<LineLimit>,
    /// Only what this worker (`w17`) has written, or the workers of this generation (`g3`); from the journal alone
    #[arg(long, value_name = "wN|gN", value_parser = process)]
    pub(super) process: Option<ProcessFilter>,
    /// Only from this time on, as journalctl takes it: `10:30`, `yesterday`, `-1h`; from the journal alone
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) since: Option<String>,
    /// Ask no ostlerd: go by this main file and its apps.d [default: what ostlerd says; without one /etc/ostler/ostler.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineLimit {
    Last(u64),
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessFilter {
    Worker(u64),
    Generation(u64),
}

fn lines(text: &str) -> Result<LineLimit, String> {
    match text.parse() {
        Ok(count) => Ok(LineLimit::Last(count)),
        Err(_) if text == "all" => Ok(LineLimit::All),
        Err(_) => Err("it must be a number of lines, or `all`".to_owned()),
    }
}

fn process(text: &str) -> Result<ProcessFilter, String> {
    let number = |rest: &str| rest.bytes().all(|it| it.is_ascii_digit()).then(|| rest.parse().ok()).flatten();
    let worker = text.strip_prefix('w').and_then(number).map(ProcessFilter::Worker);
    let generation = || text.strip_prefix('g').and_then(number).map(ProcessFilter::Generation);
    worker
        .or_else(generation)
        .ok_or_else(|| "write a worker as `ostler status` names it, w17, or a generation, g3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_worker_or_a_generation() {
        assert_eq!(process("w17"), Ok(ProcessFilter::Worker(17)));
        assert_eq!(process("g3"), Ok(ProcessFilter::Generation(3)));
        for text in ["", "w", "g", "17", "w-1", "w+1", "w1x", "web"] {
            assert!(process(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lines_are_a_number_or_all() {
        assert_eq!((lines("0"), lines("all")), (Ok(LineLimit::Last(0)), Ok(LineLimit::All)));
        assert!(lines("-1").is_err() && lines("many").is_err());
    }
}
