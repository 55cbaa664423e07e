//! As much as can be read of a text that is not YAML.
//!
//! A parser of YAML ends at the first mistake. Sections of a model, and entities, roles and plans within them, begin at a line of their
//! own, so each is read by itself; those that cannot be are told and left out, and what refers to them is not called unknown.

use super::mistake::Mistake;
use super::syntax::{NOT_YAML, explained};
use super::tree::{Node, load};

/// What can be read of a text that is not YAML as a whole.
pub(in crate::model) struct Salvage {
    /// The mistakes of the parts that cannot be read.
    pub mistakes: Vec<Mistake>,
    /// The document without these parts, if anything is left.
    pub document: Option<Node>,
    /// The parts: a section, and a name in it; `None`: all of the section.
    pub broken: Vec<(String, Option<String>)>,
}

/// Reads the parts of a text by themselves; `whole` is what is wrong with all of it.
pub(in crate::model) fn salvage(file: &str, source: &str, whole: Vec<Mistake>) -> Salvage {
    let is_syntax = |mistake: &Mistake| mistake.message.starts_with(NOT_YAML);
    if !whole.iter().all(is_syntax) {
        return Salvage { mistakes: whole, document: None, broken: Vec::new() };
    }
    let lines = source.lines().map(str::to_owned).collect();
    let mut rest = Rest { file, lines, has_anchors: source.contains('&'), mistakes: Vec::new(), broken: Vec::new() };
    for section in blocks(&rest.lines, 0, rest.lines.len(), 0) {
        rest.section(&section);
    }
    if rest.mistakes.is_empty() {
        return Salvage { mistakes: whole, document: None, broken: Vec::new() };
    }
    let document = load(file, &rest.lines.join("\n")).ok();
    Salvage { mistakes: rest.mistakes, document, broken: rest.broken }
}

/// Lines from a key to the next one of the same indentation.
struct Block {
    key: String,
    from: usize,
    to: usize,
}

struct Rest<'f> {
    file: &'f str,
    lines: Vec<String>,
    has_anchors: bool,
    mistakes: Vec<Mistake>,
    broken: Vec<(String, Option<String>)>,
}

impl Rest<'_> {
    fn section(&mut self, section: &Block) {
        let Some(mistakes) = self.wrong(section) else { return };
        let below = blocks(&self.lines, section.from + 1, section.to, indentation(&self.lines, section));
        let found = self.mistakes.len();
        for entry in &below {
            if let Some(mistakes) = self.wrong(entry) {
                self.give_up(entry, mistakes);
                self.broken.push((section.key.clone(), Some(entry.key.clone())));
            }
        }
        if self.mistakes.len() == found || self.wrong(section).is_some() {
            let told = if self.mistakes.len() == found { mistakes } else { Vec::new() };
            self.give_up(section, told);
            self.broken.push((section.key.clone(), None));
        }
    }

    /// The mistakes of a part, with their lines in the file. An alias may have its anchor in another part.
    fn wrong(&self, block: &Block) -> Option<Vec<Mistake>> {
        let text = self.lines[block.from..block.to].join("\n");
        if text.trim().is_empty() {
            return None;
        }
        if let Some(mistake) = self.tab(block) {
            return Some(vec![mistake]);
        }
        let mut mistakes = load(self.file, &text).err()?;
        let elsewhere = |mistake: &Mistake| self.has_anchors && mistake.message.contains("no such anchor");
        mistakes.retain(|mistake| mistake.message.starts_with(NOT_YAML) && !elsewhere(mistake));
        for mistake in &mut mistakes {
            // What is not closed is noticed after the end of the part: its last line is where to look.
            let line = (mistake.line + block.from).min(self.last(block));
            mistake.column = if line < mistake.line + block.from { 1 } else { mistake.column };
            mistake.line = line;
        }
        Some(mistakes).filter(|mistakes| !mistakes.is_empty())
    }

    /// A line that a tab indents: alone, a part may read as if it were none.
    fn tab(&self, block: &Block) -> Option<Mistake> {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let tab = |at: usize| self.lines[at][..indent(&self.lines[at])].find('\t').map(|column| (at, column));
        let (at, column) = (block.from..block.to).filter(|at| says_something(&self.lines[*at])).find_map(tab)?;
        let (message, help) = explained("tab");
        Some(Mistake { file: self.file.to_owned(), line: at + 1, column: column + 1, message, help: help.to_owned() })
    }

    /// Number of the last line of a part that says something.
    fn last(&self, block: &Block) -> usize {
        let filled = (block.from..block.to).rev().find(|at| !self.lines[*at].trim().is_empty());
        filled.unwrap_or(block.from) + 1
    }

    fn give_up(&mut self, block: &Block, mistakes: Vec<Mistake>) {
        self.mistakes.extend(mistakes);
        self.lines[block.from..block.to].iter_mut().for_each(String::clear);
    }
}

/// Indentation of the first line below a key that says something.
fn indentation(lines: &[String], block: &Block) -> usize {
    let mut below = lines[block.from + 1..block.to].iter().filter(|line| says_something(line));
    below.next().map_or(0, |line| depth(line))
}

fn says_something(line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with('#')
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The blocks of an indentation.
fn blocks(lines: &[String], from: usize, to: usize, indentation: usize) -> Vec<Block> {
    let key = |line: &String| {
        let (key, _) = line.trim_start().split_once(':')?;
        // A line that a tab indents belongs to whatever it was meant to.
        let is_indented_by_spaces = depth(line) == line.len() - line.trim_start().len();
        let named = says_something(line)
            && is_indented_by_spaces
            && depth(line) == indentation
            && !key.starts_with(['-', '{', '[', '}', ']', '"', '\'']);
        named.then(|| key.trim().to_owned())
    };
    let starts: Vec<(usize, String)> = (from..to).filter_map(|at| Some((at, key(&lines[at])?))).collect();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([to]);
    starts.iter().zip(ends).map(|((from, key), to)| Block { key: key.clone(), from: *from, to }).collect()
}
