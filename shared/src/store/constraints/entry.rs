//! What is stored of one index: its state, and of which definition.

use std::collections::BTreeMap;

use crate::store::table::{Attr, Item};

pub(super) const FINGERPRINT: &str = "f";
pub(super) const STATE: &str = "s";
pub(super) const RUN: &str = "r";

/// State of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Writers keep it; older records are not in it.
    Writing,
    /// Older records are being added.
    Building,
    /// Complete: it may be read.
    Ready,
    /// A version of the model that does not keep it has written.
    Stale,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Writing => "writing",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Stale => "stale",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Writing, Self::Building, Self::Ready, Self::Stale].into_iter().find(|state| state.name() == name)
    }
}

/// What is stored of one index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) fingerprint: String,
    pub(super) state: State,
    /// Which run of `reindex` is at work.
    pub(super) run: String,
}

pub(super) fn attribute(index: &str) -> String {
    format!("i_{index}")
}

impl Entry {
    pub(super) fn of(item: &Item, index: &str) -> Option<Self> {
        Self::at(item, &attribute(index))
    }

    /// What stands at an attribute of a state item.
    pub(super) fn at(item: &Item, attribute: &str) -> Option<Self> {
        let Attr::M(map) = item.attrs.get(attribute)? else { return None };
        Self::parse(map)
    }

    fn parse(map: &BTreeMap<String, Attr>) -> Option<Self> {
        let text = |name: &str| map.get(name).and_then(Attr::as_s);
        Some(Self { fingerprint: text(FINGERPRINT)?.to_owned(), state: State::parse(text(STATE)?)?, run: text(RUN)?.to_owned() })
    }

    pub(super) fn all(item: &Item) -> Vec<(String, Self)> {
        let entries = item.attrs.iter().filter_map(|(name, value)| {
            let Attr::M(map) = value else { return None };
            Some((name.strip_prefix("i_")?.to_owned(), Self::parse(map)?))
        });
        entries.collect()
    }

    pub(super) fn attr(&self) -> Attr {
        let text = |text: &str| Attr::S(text.to_owned());
        Attr::M(BTreeMap::from([
            (FINGERPRINT.to_owned(), text(&self.fingerprint)),
            (STATE.to_owned(), text(self.state.name())),
            (RUN.to_owned(), text(&self.run)),
        ]))
    }
}
