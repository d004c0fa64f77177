//! Text as roff takes it.

/// Text with nothing in it that roff would take for its own; what is to be typed has its own signs of ASCII.
pub(super) fn escape(text: &str, typed: bool) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => out += "\\(rs",
            '-' if typed => out += "\\-",
            '\'' if typed => out += "\\(aq",
            '`' => out += "\\(ga",
            '~' => out += "\\(ti",
            '^' => out += "\\(ha",
            letter if letter.is_ascii() => out.push(letter),
            letter => out += &format!("\\[u{:04X}]", u32::from(letter)),
        }
    }
    out
}

/// Lines of a block that stay as they are.
pub(super) fn literal(text: &str) -> String {
    text.lines().map(|line| guarded(&escape(line, true)) + "\n").collect()
}

/// Text whose lines roff fills: each sentence begins a line, and none is long.
pub(super) fn filled(text: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        let ended = line.trim_end_matches([')', '"']).trim_end_matches("\\fR").ends_with(['.', '!', '?']);
        if line.is_empty() {
            *line = word.to_owned();
        } else if ended || line.len() + word.len() > 76 {
            lines.push(word.to_owned());
        } else {
            *line += &format!(" {word}");
        }
    }
    lines.iter().map(|line| guarded(line) + "\n").collect()
}

/// A page with no long line, but for what has to be one.
pub(crate) fn short(page: &str) -> String {
    let line = |line: &str| match line.starts_with(['.', '\'', ' ']) || line.is_empty() {
        true => line.to_owned() + "\n",
        false => filled(line),
    };
    page.lines().map(line).collect()
}

/// A line that begins with what roff takes for a request would be one.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// How many columns text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    let mut rest = text;
    let mut columns = 0;
    while let Some(letter) = rest.chars().next() {
        let (taken, width) = match rest {
            it if it.starts_with("\\f") => (3, 0),
            it if it.starts_with("\\&") => (2, 0),
            it if it.starts_with("\\(") => (4, 1),
            it if it.starts_with("\\[") => (it.find(']').map_or(it.len(), |end| end + 1), 1),
            it if it.starts_with("\\-") => (2, 1),
            _ => (letter.len_utf8(), 1),
        };
        rest = &rest[taken..];
        columns += width;
    }
    columns
}
