//! What holds of every reader of foreign bytes, whatever the bytes, and who tries it.
//!
//! A law takes bytes and panics where they break it. The laws stand beside what they are about (`fuzzing.rs` in each
//! room), with what to begin from in `tests/fuzz/corpus/NAME`: a seed, and what was found once. They are tried in every
//! test run with some thousand changes of those, the same each time, and by `make fuzz` under libFuzzer, which sees
//! which code was reached. What it finds goes into the corpus.

/// Every law, by the name of its folder in the corpus.
pub fn laws() -> Vec<crate::config::fuzzing::Law> {
    let rooms = [
        crate::config::fuzzing::LAWS,
        crate::observe::fuzzing::LAWS,
        crate::control::fuzzing::LAWS,
        crate::cli::fuzzing::LAWS,
        crate::run::fuzzing::LAWS,
    ];
    rooms.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;

    use fastrand::Rng;

    use super::laws;

    /// What means something to one reader or another.
    const WORDS: &str = "\" ' \\ \\␤ ␤ \r \0 \t ` $ ${ } $( ) % %( )s %% = : ; | && > 2>&1 # [ ] { } {{ }} , . - -- / .. \
        null true false 0 -1 1e308 1e-400 18446744073709551616 -9223372036854775809 NaN inf [] {} \\u0000 \\ud800 \u{1b}[2J \
        \u{202e} \u{2028} \u{feff} \u{e000} \u{85} é 💥 \u{7f} unix: systemd: [:: localhost @ gunicorn ExecStart= [Service]␤ \
        sh␣-c␣ env export -w -b GET␣ POST␣ ␣HTTP/1.1 \r␤ \r␤\r␤ Host:␣ Transfer-Encoding:␣chunked Content-Length:␣ \
        /v1/ /readyz/ <script> <!-- ]]> ␣␣File␣\" ,␣in␣ ,␣line␣ Traceback␣(most␣recent␣call␣last): (most␣recent␣call␣first):";

    fn range_of(dice: &mut Rng, length: usize, most: usize) -> std::ops::Range<usize> {
        let at = dice.usize(..length + 1);
        at..(at + dice.usize(..most)).min(length)
    }

    fn corpus(law: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(law);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    fn changed(dice: &mut Rng, all: &[(PathBuf, Vec<u8>)], words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = all[dice.usize(..all.len().max(1))].1.clone();
        for _ in 0..=dice.usize(..5) {
            let range = range_of(dice, bytes.len(), 40);
            match dice.usize(..7) {
                0 => drop(bytes.drain(range)),
                1 => {
                    let copy = bytes[range].to_vec();
                    let to = dice.usize(..bytes.len() + 1);
                    bytes.splice(to..to, copy);
                }
                2 => {
                    let other = &all[dice.usize(..all.len().max(1))].1;
                    let part = range_of(dice, other.len(), 400);
                    bytes.splice(range, other[part].iter().copied());
                }
                3 if !bytes.is_empty() => {
                    let at = dice.usize(..bytes.len().max(1));
                    bytes[at] = dice.u8(..);
                }
                4 => drop(bytes.splice(range, words[dice.usize(..words.len().max(1))].iter().copied())),
                _ => drop(bytes.splice(
                    range.start..range.start,
                    words[dice.usize(..words.len().max(1))].iter().copied(),
                )),
            }
        }
        bytes
    }

    /// Every `of`th law, beginning with this one: they share the processors.
    fn try_some(first: usize, of: usize) {
        let number = |name: &str, usual: u64| {
            std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
        };
        let (inputs, seed) = (number("OSTLER_FUZZ_INPUTS", 1500), number("OSTLER_FUZZ_SEED", 1));
        let words: Vec<String> =
            WORDS.split_whitespace().map(|word| word.replace('␣', " ").replace('␤', "\n")).collect();
        let words: Vec<&[u8]> = words.iter().map(|it| it.as_bytes()).collect();
        for (name, law) in laws().into_iter().skip(first).step_by(of) {
            let all = corpus(name);
            for (path, bytes) in &all {
                let held = catch_unwind(AssertUnwindSafe(|| law(bytes)));
                assert!(held.is_ok(), "{} breaks its law", path.display());
            }
            for number in seed..seed + inputs {
                let bytes = changed(&mut Rng::with_seed(number), &all, &words);
                if catch_unwind(AssertUnwindSafe(|| law(&bytes))).is_err() {
                    let path = std::env::temp_dir().join(format!("{name}-{number}"));
                    fs::write(&path, &bytes).unwrap();
                    panic!(
                        "OSTLER_FUZZ_SEED={number} breaks the law {name}; what did is in {}: {:?}",
                        path.display(),
                        String::from_utf8_lossy(&bytes)
                    );
                }
            }
        }
    }

    #[test]
    fn no_bytes_break_a_law_of_what_reads_them_1() {
        try_some(0, 4);
    }

    #[test]
    fn no_bytes_break_a_law_of_what_reads_them_2() {
        try_some(1, 4);
    }

    #[test]
    fn no_bytes_break_a_law_of_what_reads_them_3() {
        try_some(2, 4);
    }

    #[test]
    fn no_bytes_break_a_law_of_what_reads_them_4() {
        try_some(3, 4);
    }

    #[test]
    fn each_law_has_its_corpus_and_no_corpus_is_without_one() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        let folders: BTreeSet<String> =
            fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        let laws: BTreeSet<String> = laws().into_iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(folders, laws);
    }
}
