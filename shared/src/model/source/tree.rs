//! Tree of a YAML text: nodes with their places.
//!
//! The tree keeps the text of scalars, so that a decimal stays exact, and repeated keys, so that they are reported together with
//! all other mistakes. Anchors and aliases work within a budget.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};

use super::mistake::{Mistake, Spot};
use super::syntax::explained;

/// Maximum number of nodes that aliases add. No model needs more, and an alias bomb ends here.
const ALIAS_BUDGET: usize = 20_000;
/// Maximum depth; the tree is walked by recursion.
const MAX_DEPTH: usize = 64;

/// A YAML node.
#[derive(Debug, Clone)]
pub(in crate::model) struct Node {
    pub spot: Spot,
    pub data: Data,
}

/// Content of a node.
#[derive(Debug, Clone)]
pub(in crate::model) enum Data {
    /// A scalar: its text, and whether it has no quotes, so that it may be a number, a boolean or null.
    Scalar { text: String, plain: bool },
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping in the order of the file, with repeated keys.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Whether it is an empty or null scalar.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        1 + match &self.data {
            Data::Scalar { .. } => 0,
            Data::Sequence(items) => items.iter().map(Self::size).sum(),
            Data::Mapping(entries) => entries.iter().map(|(key, value)| key.size() + value.size()).sum(),
        }
    }

    /// Appends the canonical form, which two files share exactly if they say the same: without formatting, comments and anchors.
    pub fn canonical(&self, out: &mut String) {
        match &self.data {
            _ if self.is_null() => out.push('~'),
            Data::Scalar { text, plain } => {
                out.push(if *plain { 'p' } else { 'q' });
                out.push_str(&format!("{}:{text}", text.len()));
            }
            Data::Sequence(items) => {
                out.push('[');
                items.iter().for_each(|item| item.canonical(out));
                out.push(']');
            }
            Data::Mapping(entries) => {
                out.push('{');
                for (key, value) in entries {
                    key.canonical(out);
                    value.canonical(out);
                }
                out.push('}');
            }
        }
    }
}

/// The only document in `source`.
///
/// # Errors
/// One mistake: `source` is not one YAML document.
pub(in crate::model) fn load(file: &str, source: &str) -> Result<Node, Vec<Mistake>> {
    let mistake = |spot: Spot, message: String, help: &str| {
        vec![Mistake { file: file.to_owned(), line: spot.line, column: spot.column, message, help: help.to_owned() }]
    };
    let mut builder = Builder::default();
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    if let Err(error) = Parser::new_from_str(source).load(&mut builder, true) {
        let spot = Spot { line: error.marker().line(), column: error.marker().col() + 1 };
        let (message, help) = explained(error.info());
        return Err(mistake(spot, message, help));
    }
    if let Some((spot, message)) = builder.refused {
        return Err(mistake(spot, message, ""));
    }
    let start = Spot { line: 1, column: 1 };
    let mut documents = builder.documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => Ok(document),
        (None, _) => Err(mistake(start, "the file is empty".to_owned(), "a model needs at least `name` and `entities`")),
        (Some(_), Some(second)) => {
            Err(mistake(second.spot, "a second YAML document".to_owned(), "a model is one document; remove the `---`"))
        }
    }
}

/// A sequence or mapping whose end has not been read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    documents: Vec<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    expanded: usize,
    refused: Option<(Spot, String)>,
}

impl Builder {
    fn refuse(&mut self, spot: Spot, message: &str) {
        self.refused.get_or_insert_with(|| (spot, message.to_owned()));
    }

    fn push(&mut self, spot: Spot, data: Data, anchor: usize) {
        if self.open.len() >= MAX_DEPTH {
            self.refuse(spot, "nested too deeply");
        }
        self.open.push(Open { node: Node { spot, data }, anchor, key: None });
    }

    fn pop(&mut self) {
        if let Some(Open { node, anchor, .. }) = self.open.pop() {
            self.add(node, anchor);
        }
    }

    fn add(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            let size = node.size();
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match &mut parent.node.data {
            Data::Sequence(items) => items.push(node),
            Data::Mapping(entries) => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            Data::Scalar { .. } => {}
        }
    }

    fn alias(&mut self, id: usize, spot: Spot) {
        let Some((_, size)) = self.anchors.get(&id) else {
            return self.refuse(spot, "an alias to an anchor that is not complete");
        };
        self.expanded += size;
        if self.expanded > ALIAS_BUDGET {
            return self.refuse(spot, "aliases expand to too much");
        }
        let Some((node, _)) = self.anchors.get(&id) else { return };
        let node = Node { spot, data: node.data.clone() };
        self.add(node, 0);
    }
}

impl<'input> SpannedEventReceiver<'input> for Builder {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        if self.refused.is_some() {
            return;
        }
        let spot = Spot { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !forced;
                self.add(Node { spot, data: Data::Scalar { text: text.into_owned(), plain } }, anchor);
            }
            Event::SequenceStart(anchor, _) => self.push(spot, Data::Sequence(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.push(spot, Data::Mapping(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.pop(),
            Event::Alias(id) => self.alias(id, spot),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }
}
