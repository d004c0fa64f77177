//! Writes the manual pages and the completions, from the very arguments that the programs take.
//!
//! `cargo run --example pages -- DIR` makes DIR/man, with the pages of packaging/man too, and DIR/completions. An example, so that what makes them is no part
//! of the programs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use ostler::cli::Cli;
use ostler::run::Arguments;

mod manual;

/// Where each page sends its reader for more.
const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n\\fBostlerd\\fR(8), \\fBostler\\fR(1), \\fBostler.toml\\fR(5), \
                        \\fBostler\\-operations\\fR(7), \\fBostler\\-messages\\fR(7), \\fBostler\\-deploy\\fR(7), \
                        \\fBostler\\-migrations\\fR(7), \\fBostler\\-security\\fR(7), \\fBsystemctl\\fR(1), \
                        \\fBjournalctl\\fR(1)\n";

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
            let file = clap_complete::generate_to(shell, &mut command.clone(), &name, &completions)?;
            if name == "ostler" {
                let text = fs::read_to_string(&file)?;
                let (verbs, options) = (verbs_of_apps(&command), options_with_values(&command));
                fs::write(&file, with_apps(shell, &text, &verbs, &options))?;
            }
        }
        command = command.disable_help_subcommand(true);
        command.build();
        page(&command, section, &man)?;
        // Each verb has a page of its own, as `man ostler-restart`.
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            page(verb, section, &man)?;
            for nested in nested(verb) {
                page(nested, section, &man)?;
            }
        }
    }
    handbook(&man)
}

/// The pages that people write, `packaging/man/NAME.SECTION.md`.
fn handbook(man: &Path) -> io::Result<()> {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man"))? {
        let source = entry?.path();
        let name = source.file_stem().expect("it has a name");
        fs::write(man.join(name), manual::page(&fs::read_to_string(&source)?, &date()))?;
    }
    Ok(())
}

/// The day of `$SOURCE_DATE_EPOCH`, so that the same sources make the same pages; without it today.
fn date() -> String {
    let day = std::env::var("SOURCE_DATE_EPOCH").map_or("now".to_owned(), |epoch| format!("@{epoch}"));
    let said = std::process::Command::new("date").args(["--utc", "+%F", "--date", &day]).output();
    let said = said.expect("every system that packages are made on has date(1)");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// The verbs of a verb: `pull` of `images`.
fn nested(verb: &Command) -> impl Iterator<Item = &Command> {
    verb.get_subcommands().filter(|it| it.get_name() != "help")
}

/// A verb that takes an app.
struct VerbOfApps {
    /// `restart`, `images pull`
    name: String,
    /// Behind how many other words.
    place: usize,
    /// The verbs that may stand in the app's place.
    instead: Vec<String>,
}

fn verbs_of_apps(command: &Command) -> Vec<VerbOfApps> {
    let of = |prefix: &str, verb: &Command| {
        let place = verb.get_positionals().position(|argument| argument.get_id() == "app")?;
        let instead = nested(verb).map(|it| it.get_name().to_owned()).collect();
        Some(VerbOfApps { name: format!("{prefix}{}", verb.get_name()), place, instead })
    };
    let mut verbs = Vec::new();
    for verb in command.get_subcommands() {
        verbs.extend(of("", verb));
        verbs.extend(nested(verb).filter_map(|it| of(&format!("{} ", verb.get_name()), it)));
    }
    verbs
}

/// The options that take a value, with a verb or without: `--socket|-n`.
fn options_with_values(command: &Command) -> String {
    let verbs = command.get_subcommands().flat_map(|verb| std::iter::once(verb).chain(nested(verb)));
    let all = std::iter::once(command).chain(verbs);
    let taking = all.flat_map(Command::get_arguments).filter(|it| it.get_action().takes_values());
    let long_and_short = |it: &clap::Arg| {
        let long = it.get_long().map(|long| format!("--{long}"));
        long.into_iter().chain(it.get_short().map(|short| format!("-{short}"))).collect::<Vec<_>>()
    };
    let options: BTreeSet<String> = taking.flat_map(long_and_short).collect();
    options.into_iter().collect::<Vec<_>>().join("|")
}

/// The completion, which asks ostlerd for the apps' names: `ostler __apps` prints them, or nothing.
fn with_apps(shell: Shell, text: &str, verbs: &[VerbOfApps], options: &str) -> String {
    match shell {
        Shell::Bash => {
            let place = |VerbOfApps { name, place, instead }: &VerbOfApps| {
                format!("'{name}') place={place} instead='{}' ;;", instead.join(" "))
            };
            let places: Vec<String> = verbs.iter().map(place).collect();
            let of_verbs = |it: &VerbOfApps| it.name.contains(' ').then(|| format!("'{}'", it.name));
            let nested: Vec<String> = verbs.iter().filter_map(of_verbs).collect();
            let (head, _) =
                text.rsplit_once("if [[ \"${BASH_VERSINFO").expect("it registers its function last");
            format!(
                "{head}{}",
                BASH.replace("PLACES", &places.join("\n        "))
                    .replace("NESTED", &nested.join("|"))
                    .replace("OPTIONS", options)
            )
        }
        Shell::Zsh => {
            let asks = text.lines().map(|line| match line.contains(":app -- ") {
                true => line.replace(":_default'", ":_ostler_apps'"),
                false => line.to_owned(),
            });
            let asks = asks.collect::<Vec<_>>().join("\n");
            let (first, rest) = asks.split_once('\n').expect("its first line is #compdef");
            format!("{first}\n{ZSH}{rest}\n")
        }
        _ => {
            let line = |VerbOfApps { name, .. }: &VerbOfApps| {
                let names = "-f -a \"(ostler __apps 2>/dev/null)\"";
                let when = match name.split_once(' ') {
                    Some((verb, nested)) => format!("{verb}; and __fish_seen_subcommand_from {nested}"),
                    None => name.clone(),
                };
                format!("complete -c ostler -n \"__fish_ostler_using_subcommand {when}\" {names}\n")
            };
            format!("{}\n{}", text.trim_end(), verbs.iter().map(line).collect::<String>())
        }
    }
}

const BASH: &str = r#"_ostler_or_app() {
    _ostler "$@"
    local cur=${COMP_WORDS[COMP_CWORD]} verb= place= instead= given=0 i
    [[ $cur == -* ]] && return
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        OPTIONS) ((i++)) ;;
        -*) ;;
        *)
            case "$verb ${COMP_WORDS[i]}" in
            " "*) verb=${COMP_WORDS[i]} ;;
            NESTED) verb+=" ${COMP_WORDS[i]}" ;;
            *) ((given++)) ;;
            esac
            ;;
        esac
    done
    # Not behind an option that takes a value.
    case ${COMP_WORDS[COMP_CWORD - 1]} in OPTIONS) return ;; esac
    case $verb in
        PLACES
        *) return ;;
    esac
    [[ $given == "$place" ]] && COMPREPLY=($(compgen -W "$instead $(ostler __apps 2>/dev/null)" -- "$cur"))
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _ostler_or_app -o nosort -o bashdefault -o default ostler
else
    complete -F _ostler_or_app -o bashdefault -o default ostler
fi
"#;

const ZSH: &str = r#"
_ostler_apps() {
    local -a apps
    apps=(${(f)"$(ostler __apps 2>/dev/null)"})
    compadd -a apps
}
"#;

/// The synopsis with what each option takes: clap_mangen names the option alone.
fn with_values(command: &Command, text: &str) -> String {
    let escaped = |name: &str| name.replace('-', "\\-");
    let mut text = text.to_owned();
    for argument in command.get_arguments().filter(|it| it.get_action().takes_values()) {
        let (Some(long), Some(values)) = (argument.get_long(), argument.get_value_names()) else { continue };
        let values: Vec<String> = values.iter().map(|value| escaped(value)).collect();
        let option = format!("\\fB\\-\\-{}\\fR", escaped(long));
        for end in [']', '>'] {
            let with = format!("{option} \\fI{}\\fR{end}", values.join(" "));
            text = text.replacen(&format!("{option}{end}"), &with, 1);
        }
    }
    text
}

fn page(command: &Command, section: &str, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(section)
        .source(format!("ostler {}", env!("CARGO_PKG_VERSION")))
        .manual("ostler")
        .date(date());
    let mut text = Vec::new();
    man.render(&mut text)?;
    let text = String::from_utf8(text).expect("help is text");
    // What stands below the options in --help. Words stay whole, and lines as they come: on a narrow terminal both can be read.
    let text = text.replace(".SH EXTRA\n", ".SH NOTES\n").replacen(".SH NAME\n", ".nh\n.ad l\n.SH NAME\n", 1);
    let text = with_values(command, &text.replace(".br\n\n.br\n", ".sp\n"));
    let file = folder.join(format!("{name}.{section}"));
    fs::write(file, format!("{}\n{SEE_ALSO}", manual::short(&text).trim_end()))
}
