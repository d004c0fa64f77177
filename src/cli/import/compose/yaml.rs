//! YAML as a tree: aliases are shared and never copied, so that a file of ten lines cannot fill the memory; merge keys (`<<`)
//! are put in; each part knows its line.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deeper nobody nests, and what walks the tree may go down into it.
const DEEPEST: usize = 64;

/// A part of the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Rc<Value>,
    /// From 1.
    pub(super) line: usize,
    /// How long it would be if every alias in it were written out.
    weight: u64,
}

#[derive(Debug)]
pub(super) enum Value {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// The line that is wrong, and what is wrong with it.
pub(super) type YamlFault = (usize, String);

struct Open {
    node: Value,
    line: usize,
    anchor: usize,
    /// Of a map: the key whose value comes next.
    key: Option<String>,
    weight: u64,
}

/// Reads the first document.
pub(super) fn read(text: &str) -> Result<Node, YamlFault> {
    // What aliases may add: a file that is many times as long as it looks was made to be.
    let most = (16 << 10) + 24 * text.len() as u64;
    let mut anchors: BTreeMap<usize, Node> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
        let line = span.start.line();
        let (done, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let weight = 1 + text.len() as u64;
                let plain = style == ScalarStyle::Plain;
                let value = match plain && ["", "~", "null", "Null", "NULL"].contains(&text.as_ref()) {
                    true => Value::Nothing,
                    false => Value::Text(text.into_owned()),
                };
                (Node { value: Rc::new(value), line, weight }, anchor)
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) if open.len() >= DEEPEST => {
                let _ = anchor;
                return Err((line, format!("it is nested more than {DEEPEST} deep")));
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open { node: Value::List(Vec::new()), line, anchor, key: None, weight: 1 });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open { node: Value::Map(Vec::new()), line, anchor, key: None, weight: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = open.pop() else { continue };
                let value = match done.node {
                    Value::Map(entries) => Value::Map(merged(entries)?),
                    other => other,
                };
                (Node { value: Rc::new(value), line: done.line, weight: done.weight }, done.anchor)
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(node) => (node.clone(), 0),
                None => return Err((line, "an alias stands in what it names".to_owned())),
            },
            Event::DocumentEnd => break,
            _ => continue,
        };
        if done.weight > most {
            return Err((line, "its aliases make it many times as long as it is".to_owned()));
        }
        if anchor > 0 {
            anchors.insert(anchor, done.clone());
        }
        let Some(parent) = open.last_mut() else { return Ok(done) };
        parent.weight = parent.weight.saturating_add(done.weight);
        if parent.weight > most {
            return Err((line, "its aliases make it many times as long as it is".to_owned()));
        }
        match (&mut parent.node, parent.key.take()) {
            (Value::List(items), _) => items.push(done),
            (Value::Map(entries), Some(key)) => entries.push((key, done)),
            (Value::Map(_), None) => match &*done.value {
                Value::Text(key) => parent.key = Some(key.clone()),
                Value::Nothing => parent.key = Some(String::new()),
                _ => return Err((done.line, "a key is a list or a map".to_owned())),
            },
            _ => {}
        }
    }
    Ok(Node { value: Rc::new(Value::Nothing), line: 1, weight: 0 })
}

/// With what `<<` names put behind the map's own keys; an own key wins, and so does the first of several maps.
fn merged(entries: Vec<(String, Node)>) -> Result<Vec<(String, Node)>, YamlFault> {
    let mut seen = BTreeSet::new();
    let mut own = Vec::new();
    let mut more = Vec::new();
    for (key, node) in entries {
        if key == "<<" {
            more.push(node);
        } else if !seen.insert(key.clone()) {
            return Err((node.line, format!("the key {key:?} stands in it twice")));
        } else {
            own.push((key, node));
        }
    }
    for node in more {
        let maps = match &*node.value {
            Value::List(items) => items.clone(),
            _ => vec![node.clone()],
        };
        for map in maps {
            let Value::Map(entries) = &*map.value else {
                return Err((map.line, "`<<` names what is no map".to_owned()));
            };
            let new = entries.iter().filter(|(key, _)| seen.insert(key.clone()));
            own.extend(new.cloned());
        }
    }
    Ok(own)
}

impl Node {
    /// The value of a key, where it is a map and has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node);
        found.filter(|node| !matches!(*node.value, Value::Nothing))
    }

    /// Of a map its entries; none of anything else.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        match &*self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Of a list its items; none of anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &*self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &*self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, or the one text that it is.
    pub(super) fn texts(&self) -> Vec<String> {
        match self.text() {
            Some(text) => vec![text.to_owned()],
            None => self.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
        }
    }

    /// In one line, for people and to compare.
    pub(super) fn shown(&self) -> String {
        match &*self.value {
            Value::Nothing => String::new(),
            Value::Text(text) => text.clone(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(Node::shown).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| format!("{key}: {}", node.shown()));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_merge_keys_are_put_in_and_own_keys_win() {
        let text = "x-a: &a\n  one: 1\n  two: &t [x, y]\nx-b: &b {two: 9, three: 3}\nc:\n  <<: [*a, *b]\n  one: own\nd: *t\n";
        let node = read(text).unwrap();
        let c = node.get("c").unwrap();
        assert_eq!(c.shown(), "{one: own, two: [x, y], three: 3}");
        assert_eq!(node.get("d").unwrap().texts(), ["x", "y"]);
        assert_eq!(c.line, 6);
    }

    #[test]
    fn a_file_that_laughs_is_refused_at_once() {
        let mut text = "a0: &a0 [lol, lol, lol]\n".to_owned();
        for n in 1..40 {
            let all = vec![format!("*a{}", n - 1); 9].join(", ");
            text += &format!("a{n}: &a{n} [{all}]\n");
        }
        assert!(read(&text).unwrap_err().1.contains("many times"));
        let mut merges = "a0: &a0 {k: v}\n".to_owned();
        for n in 1..60 {
            merges += &format!("a{n}: &a{n} {{<<: [*a{0}, *a{0}], k{n}: v}}\n", n - 1);
        }
        assert!(read(&merges).unwrap_err().1.contains("many times"));
        assert!(read("a: &a [*a]").is_err());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert_eq!(read("a: 1\nb: [1\nc: 2\n").unwrap_err().0, 3);
        assert_eq!(read("a: 1\nb: *x\n").unwrap_err().0, 2);
        assert_eq!(read("a: 1\na: 2\n").unwrap_err().0, 2);
        assert_eq!(read(&"- ".repeat(100_000)).unwrap_err().0, 1);
        assert!(matches!(*read("").unwrap().value, Value::Nothing));
    }
}
