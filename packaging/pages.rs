//! Writes the manual pages and the completions, from the very arguments that the programs take.
//!
//! `cargo run --example pages -- DIR` makes DIR/man and DIR/completions. An example, so that what makes them is no part
//! of the programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use ostler::control::cli::Cli;
use ostler::run::Arguments;

/// Where each page sends its reader for more.
const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n\\fBostlerd\\fR(8), \\fBostler\\fR(1), \\fBostler.toml\\fR(5), \\fBsystemctl\\fR(1), \
                        \\fBjournalctl\\fR(1)\n.PP\n/usr/share/doc/ostler/README.md\n";

fn main() -> io::Result<()> {
    let to = std::env::args_os().nth(1).map(PathBuf::from).expect("usage: pages DIR");
    write(&to)
}

/// Makes both folders below `to`.
pub fn write(to: &Path) -> io::Result<()> {
    let (man, completions) = (to.join("man"), to.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for (mut command, section) in [(Arguments::command(), "8"), (Cli::command(), "1")] {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let name = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command.clone(), name, &completions)?;
        }
        command = command.disable_help_subcommand(true);
        command.build();
        page(&command, section, &man)?;
        // Each verb has a page of its own, as `man ostler-restart`.
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            page(verb, section, &man)?;
        }
    }
    Ok(())
}

fn page(command: &Command, section: &str, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(section)
        .source(format!("ostler {}", env!("CARGO_PKG_VERSION")))
        .manual("ostler");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let text = String::from_utf8(text).expect("help is text");
    // What stands below the options in --help.
    let text = text.replace(".SH EXTRA\n", ".SH NOTES\n");
    fs::write(folder.join(format!("{name}.{section}")), format!("{}\n{SEE_ALSO}", text.trim_end()))
}
