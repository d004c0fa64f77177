//! Words of a line, as systemd and as supervisord take them apart. Nothing is expanded here.
//!
//! By hand: systemd knows C's escapes, and what supervisord takes from Python has no comments and other backslashes than a
//! shell's, so that the crate `shlex` reads either of them otherwise.

/// What is wrong with a line.
pub(super) type LineError = &'static str;

pub(super) const UNCLOSED: LineError = "a quote is not closed";

/// As systemd does: both quotes hold a word together and both know C's escapes; a backslash outside knows them too.
pub(super) fn systemd(line: &str) -> Result<Vec<String>, LineError> {
    split(line, false, |letters, quote| match letters.next() {
        None if quote.is_none() => Ok(String::new()),
        None => Err(UNCLOSED),
        Some(letter) => Ok(escape(letter, letters)),
    })
}

/// As Python's shlex does, which supervisord uses: a backslash takes the next letter as it is, but not in single quotes.
pub(super) fn shlex(line: &str) -> Result<Vec<String>, LineError> {
    split(line, true, |letters, quote| match letters.next() {
        Some(letter) if quote.is_some() && !"\"\\".contains(letter) => Ok(format!("\\{letter}")),
        Some(letter) => Ok(letter.to_string()),
        None => Err("the line ends in a backslash"),
    })
}

type Letters<'l> = std::iter::Peekable<std::str::Chars<'l>>;

fn split(
    line: &str,
    plain_in_single: bool,
    mut backslash: impl FnMut(&mut Letters<'_>, Option<char>) -> Result<String, LineError>,
) -> Result<Vec<String>, LineError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (_, '\\') if !(plain_in_single && quote == Some('\'')) => {
                let taken = backslash(&mut letters, quote)?;
                word.get_or_insert_default().push_str(&taken);
            }
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, space) if space.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err(UNCLOSED);
    }
    words.extend(word);
    Ok(words)
}

/// What stands behind systemd's backslash; one that it does not know is left as it is.
fn escape(letter: char, letters: &mut Letters<'_>) -> String {
    let simple = match letter {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        '\\' | '"' | '\'' => letter,
        'x' => return number(letter, letters, 2, 16),
        'u' => return number(letter, letters, 4, 16),
        'U' => return number(letter, letters, 8, 16),
        '0'..='7' => {
            let mut digits = letter.to_string();
            while digits.len() < 3 && letters.peek().is_some_and(|it| it.is_digit(8)) {
                digits.extend(letters.next());
            }
            return code(&digits, 8).unwrap_or_else(|| format!("\\{digits}"));
        }
        _ => return format!("\\{letter}"),
    };
    simple.to_string()
}

fn number(letter: char, letters: &mut Letters<'_>, length: usize, radix: u32) -> String {
    let mut digits = String::new();
    while digits.len() < length && letters.peek().is_some_and(|it| it.is_digit(radix)) {
        digits.extend(letters.next());
    }
    code(&digits, radix).unwrap_or_else(|| format!("\\{letter}{digits}"))
}

fn code(digits: &str, radix: u32) -> Option<String> {
    let code = u32::from_str_radix(digits, radix).ok().filter(|code| *code > 0)?;
    char::from_u32(code).map(String::from)
}
