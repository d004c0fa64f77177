//! The commands of README and of the handbook: each is run by a test that it names, and each is one that `ostler` takes.

use std::fs;
use std::path::Path;

use clap::Parser;
use ostler::cli::Cli;

use crate::documents::{self, Document};

/// Who runs the commands of a block, as the comment above it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunBy {
    /// The guide, in the order of the documents; it exits so, and says this.
    Guide { code: i32, says: Vec<String> },
    /// A test, or a target of the Makefile: the file, and the name in it.
    Test { file: String, name: Option<String> },
    /// Nobody.
    Nobody,
}

/// A fenced block of commands.
#[derive(Clone, Debug)]
pub struct Block {
    /// The document and the line.
    pub at: String,
    pub run_by: RunBy,
    pub text: String,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// Every block of commands, in the order of the document.
pub fn blocks(document: &Document) -> Vec<Block> {
    let lines: Vec<&str> = document.text.lines().collect();
    let mut blocks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if !["```sh", "```console", "```bash", "```shell"].contains(line) {
            continue;
        }
        let text: Vec<&str> = lines[at + 1..].iter().take_while(|line| **line != "```").copied().collect();
        let comment = at.checked_sub(1).map(|above| lines[above]).unwrap_or_default();
        blocks.push(Block { at: document.at(at + 1), run_by: run_by(comment), text: text.join("\n") + "\n" });
    }
    blocks
}

/// `<!-- guide -->`, `<!-- guide: exits 1, says "a", "b" -->`, `<!-- tested: FILE::NAME -->`
fn run_by(comment: &str) -> RunBy {
    let inside = comment.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
    match inside.map(|inside| inside.split_once(": ").unwrap_or((inside, ""))) {
        Some(("guide", how)) => {
            let code = how.strip_prefix("exits ").and_then(|rest| rest.split(',').next()?.parse().ok());
            let says = how.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            RunBy::Guide { code: code.unwrap_or(0), says }
        }
        Some(("tested", place)) => {
            let (file, name) = match place.split_once("::") {
                Some((file, name)) => (file, Some(name.to_owned())),
                None => (place, None),
            };
            RunBy::Test { file: file.to_owned(), name }
        }
        _ => RunBy::Nobody,
    }
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_command_of_the_documents_is_run_by_a_test() {
    let documents = documents::all();
    let blocks: Vec<Block> = documents.iter().flat_map(blocks).collect();
    assert!(blocks.len() > 15, "the blocks are found");
    let missing = blocks.iter().filter_map(|block| {
        let at = &block.at;
        match &block.run_by {
            RunBy::Guide { .. } => None,
            RunBy::Nobody => Some(format!("{at}: no comment says which test runs it")),
            RunBy::Test { file, name } => {
                let Some(text) = read(file) else { return Some(format!("{at}: there is no {file}")) };
                let lost = match name {
                    Some(name) => !text.contains(&format!("fn {name}(")),
                    None => targets(&block.text).any(|target| !text.contains(&format!("\n{target}:"))),
                };
                lost.then(|| format!("{at}: {file} has no such test"))
            }
        }
    });
    none("commands that no test runs", missing.collect());
    let other = documents.iter().flat_map(|document| {
        let lines = document.text.lines().enumerate();
        lines
            .filter(|(_, line)| line.starts_with("    ostler "))
            .map(|(at, line)| format!("{}: {line}", document.at(at + 1)))
    });
    none("commands in no fence", other.collect());
}

/// Of `make TARGET` lines.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("make ")?.split(' ').next())
}

/// Every `ostler …` of the document, in blocks and in lines, as words; where it stands beside it.
fn commands(document: &Document) -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    let mut lines = document.text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let mut line = line.to_owned();
        while let Some(begun) = line.strip_suffix('\\') {
            line = format!("{begun}{}", lines.next().map_or("", |(_, rest)| rest));
        }
        let code: Vec<&str> = match line.starts_with("ostler ") {
            true => vec![line.split(" #").next().unwrap_or_default()],
            false => line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("ostler ")).collect(),
        };
        for code in code {
            let words = code.split_whitespace().map(|word| word.trim_matches(['[', ']', '"']));
            commands.push((document.at(at + 1), words.map(str::to_owned).collect()));
        }
    }
    commands
}

#[test]
fn every_command_of_ostlers_in_the_documents_is_one_that_it_takes() {
    let commands: Vec<_> = documents::all().iter().flat_map(commands).collect();
    assert!(commands.len() > 80, "the commands are found");
    let wrong = commands.into_iter().filter_map(|(at, words)| {
        // A placeholder for a number, and a verb that stands for all of its kind.
        let words: Vec<String> = words
            .into_iter()
            .filter(|word| word != "…")
            .map(|word| match word.as_str() {
                "N" => "3".to_owned(),
                "DURATION" => "10m".to_owned(),
                "PROGRAM" => "nginx".to_owned(),
                "REF" => "registry.example.com/shop:43".to_owned(),
                _ => word,
            })
            .collect();
        if words.len() < 2 || words[1] == "VERB" || words[1].chars().all(char::is_uppercase) {
            return None;
        }
        let wrong = Cli::try_parse_from(&words).err()?;
        let kind = wrong.kind();
        // `ostler import` without what it needs is still its name.
        let named = [clap::error::ErrorKind::MissingRequiredArgument, clap::error::ErrorKind::DisplayHelp];
        (!named.contains(&kind)).then(|| format!("{at}: {}: {kind:?}", words.join(" ")))
    });
    none("commands that ostler does not take", wrong.collect());
}

/// What a link to a heading says, as code hosts make it.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

fn headings(text: &str) -> Vec<String> {
    let mut code = false;
    let lines = text.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code && line.starts_with('#')
    });
    lines.map(|line| slug(line.trim_start_matches(['#', ' ']))).collect()
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lost = Vec::new();
    for document in documents::all() {
        let own = headings(&document.text);
        let twice = own.iter().enumerate().filter(|(at, heading)| own[..*at].contains(heading));
        none("headings that links cannot tell apart", twice.map(|(_, heading)| heading.clone()).collect());
        let links = document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = root.join(document.path.parent().expect("it is a file")).join(file);
            let there = match file {
                "" => own.clone(),
                _ => headings(&fs::read_to_string(&target).unwrap_or_default()),
            };
            let file_is_there = file.is_empty() || target.exists();
            if !file_is_there || !heading.is_empty() && !there.iter().any(|it| it == heading) {
                lost.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    none("links that lead nowhere", lost);
}

/// The words between quotes on the right of each `=>` of a function in a source.
fn arms(source: &str, function: &str) -> Vec<String> {
    let body = source.split(function).nth(1).unwrap_or_else(|| panic!("{function} is gone"));
    let body = body.split("\n}\n").next().unwrap_or_default();
    let word = |line: &str| {
        let right = line.split_once("=> ")?.1;
        right.split('"').nth(1).map(str::to_owned)
    };
    body.lines().filter_map(word).collect()
}

#[test]
fn every_state_that_ostler_status_shows_is_explained() {
    let states = read("src/observe/words.rs").expect("it is there");
    let outcomes = read("src/supervise/migration/outcome.rs").expect("it is there");
    let mut words = arms(&states, "fn app_word(");
    words.extend(arms(&states, "fn worker_word("));
    words.extend(arms(&states, "let phase = match").into_iter().take(5));
    words.extend(arms(&outcomes, "impl fmt::Display for VerdictKind"));
    assert!(words.len() >= 8 + 5 + 5 + 7, "{words:?}");
    let page = documents::page("ostler-messages.7");
    let explained = page.below("What each state means");
    let missing = words.into_iter().filter(|word| !explained.contains(&format!("`{word}`"))).collect();
    none("states that ostler-messages(7) does not explain", missing);
}

#[test]
fn every_event_that_is_a_warning_or_an_error_is_explained() {
    let source = read("src/supervise/app_event.rs").expect("it is there");
    let levels = source.split("pub fn level(").nth(1).and_then(|rest| rest.split("_ => Level::Info").next());
    let levels = levels.expect("the levels are there");
    let camel = levels.split(|c: char| !c.is_alphanumeric()).filter(|word| {
        word.len() > 8
            && word.starts_with(char::is_uppercase)
            && !["AppEventKind", "VerdictKind", "Retryable"].contains(word)
    });
    let snake = |word: &str| {
        let mut snake = String::new();
        for letter in word.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    };
    let mut events: Vec<String> = camel.map(snake).collect();
    events.sort();
    events.dedup();
    assert!(events.len() >= 18, "{events:?}");
    let page = documents::page("ostler-messages.7");
    let messages = page.below("What each message means");
    let missing = events.into_iter().filter(|event| !messages.contains(&format!("`{event}`"))).collect();
    none("events that ostler-messages(7) does not explain", missing);
}

#[test]
fn every_warning_and_error_of_ostlerds_own_is_explained() {
    let page = documents::page("ostler-messages.7");
    let messages = page.below("What each message means").replace('`', "");
    let mut missing = Vec::new();
    let mut seen = 0;
    for folder in ["src/run", "src/observe"] {
        for file in sources(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).as_path()) {
            let text = fs::read_to_string(&file).expect("a source can be read");
            for mark in ["tracing::warn!(", "tracing::error!("] {
                for rest in text.split(mark).skip(1) {
                    let Some(part) = constant_part(rest) else { continue };
                    seen += 1;
                    if !messages.contains(&part) {
                        missing.push(format!("{}: {part}", file.display()));
                    }
                }
            }
        }
    }
    assert!(seen > 40, "only {seen} messages are found");
    none("messages that ostler-messages(7) does not explain", missing);
}

/// Of a message its longest piece between what is filled in; nothing where others' words are all of it.
fn constant_part(call: &str) -> Option<String> {
    let text = call.split(");").next()?.replace("\\\n", "\u{1}");
    let text = text.split('"').skip(1).step_by(2).max_by_key(|text| text.len())?;
    let joined: Vec<&str> = text
        .split('\u{1}')
        .enumerate()
        .map(|(index, part)| if index == 0 { part } else { part.trim_start() })
        .collect();
    let joined = joined.concat().replace("\\n", "{}").replace('`', "");
    let pieces = joined.split('{').enumerate().map(|(index, piece)| match index {
        0 => piece,
        _ => piece.split_once('}').map_or("", |(_, rest)| rest),
    });
    let longest = pieces.max_by_key(|piece| piece.len())?.trim_matches([' ', ':', ';', ',', '.']);
    (longest.len() >= 12).then(|| longest.to_owned())
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).expect("the package can be read") {
        let path = item.expect("the package can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}
