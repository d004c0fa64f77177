//! A Dockerfile's instructions: lines that go on, comments, and texts in place (`<<EOF`).
//!
//! By hand: the crates for it are not kept (dockerfile-parser, since 2021) or take neither heredocs nor `# escape`.

/// One instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// In capitals.
    pub(super) name: String,
    pub(super) rest: String,
    /// The texts in place, each by its mark.
    pub(super) texts: Vec<(String, String)>,
}

/// A file, taken apart.
pub(super) struct DockerLines {
    pub(super) instructions: Vec<Instruction>,
    /// What makes a line go on, and the next letter plain.
    pub(super) escape: char,
}

/// The line that is wrong, and what is wrong with it.
pub(super) type DockerFault = (usize, &'static str);

pub(super) fn read(text: &str) -> Result<DockerLines, DockerFault> {
    let text = text.trim_start_matches('\u{feff}');
    let escape = escape(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut instructions = Vec::new();
    let mut at = 0;
    while let Some(first) = lines.get(at) {
        at += 1;
        if first.trim().is_empty() || first.trim_start().starts_with('#') {
            continue;
        }
        let begin = at;
        let mut whole = String::new();
        let mut piece: &str = first;
        while let Some(open) = piece.trim_end().strip_suffix(escape) {
            whole.push_str(open);
            // Comments and empty lines in between are passed, as Docker passes them.
            let skipped = |line: &&&str| line.trim().is_empty() || line.trim_start().starts_with('#');
            at += lines[at..].iter().take_while(skipped).count();
            let Some(next) = lines.get(at) else {
                piece = "";
                break;
            };
            piece = next;
            at += 1;
        }
        whole.push_str(piece.trim_end());
        let (name, rest) = whole.trim().split_once(char::is_whitespace).unwrap_or((whole.trim(), ""));
        let mut instruction = Instruction {
            line: begin,
            name: name.to_ascii_uppercase(),
            rest: rest.trim().to_owned(),
            texts: Vec::new(),
        };
        if ["RUN", "COPY", "ADD"].contains(&instruction.name.as_str()) {
            for (mark, tabs) in marks(&instruction.rest) {
                let length = lines[at..].iter().position(|line| end(line, tabs) == mark);
                let length = length.ok_or((begin, "the text in place (<<) is not ended"))?;
                let text: String =
                    lines[at..at + length].iter().map(|line| end(line, tabs).to_owned() + "\n").collect();
                instruction.texts.push((mark, text));
                at += length + 1;
            }
        }
        instructions.push(instruction);
    }
    Ok(DockerLines { instructions, escape })
}

/// `# escape=` of the first lines; they end with what is no such directive.
fn escape(text: &str) -> char {
    for line in text.lines() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|line| line.split_once('=')) else {
            break;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" if value.trim() == "`" => return '`',
            "escape" | "syntax" | "check" => {}
            _ => break,
        }
    }
    '\\'
}

/// A line of a text in place: `<<-` takes the tabs before it away.
fn end(line: &str, tabs: bool) -> &str {
    if tabs { line.trim_start_matches('\t') } else { line }
}

/// The marks of texts in place, and whether tabs before their lines fall away.
fn marks(rest: &str) -> Vec<(String, bool)> {
    let mark = |word: &str| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (tabs, word) = word.strip_prefix('-').map_or((false, word), |word| (true, word));
        let word = word.trim_matches(['"', '\'']);
        let good = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        good.then(|| (word.to_owned(), tabs))
    };
    rest.split_whitespace().filter_map(mark).collect()
}
