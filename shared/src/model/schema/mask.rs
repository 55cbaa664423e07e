//! Sets of fields.

use super::entity::Entity;
use super::field::Field;
use super::positions::FieldIx;

/// A set of an entity's fields, by position.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct FieldMask(Vec<u64>);

impl FieldMask {
    /// The empty mask.
    pub fn none() -> Self {
        Self::default()
    }

    /// The mask of all `count` fields.
    pub fn all(count: usize) -> Self {
        let mut mask = Self::default();
        for position in 0..count {
            mask.insert(FieldIx(u16::try_from(position).unwrap_or(u16::MAX)));
        }
        mask
    }

    /// Adds a field.
    pub fn insert(&mut self, ix: FieldIx) {
        let (word, bit) = (usize::from(ix.0) / 64, ix.0 % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    /// Whether a field is in the mask.
    pub fn contains(&self, ix: FieldIx) -> bool {
        self.0.get(usize::from(ix.0) / 64).is_some_and(|word| word & (1 << (ix.0 % 64)) != 0)
    }

    /// Adds all fields of another mask.
    pub fn union(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether all fields of `other` are in the mask.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().enumerate().all(|(at, word)| word & !self.0.get(at).copied().unwrap_or(0) == 0)
    }

    /// The fields of the mask, in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldIx> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64u16)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| FieldIx(u16::try_from(at).unwrap_or(0) * 64 + bit))
        })
    }

    /// Whether the mask is empty.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<FieldIx> for FieldMask {
    fn from_iter<I: IntoIterator<Item = FieldIx>>(fields: I) -> Self {
        let mut mask = Self::default();
        for field in fields {
            mask.insert(field);
        }
        mask
    }
}

/// The fields of an entity that a caller may read and write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Masks {
    /// Readable fields.
    pub readable: FieldMask,
    /// Writable fields; `read_only` ones among them do not count.
    pub writable: FieldMask,
}

impl Masks {
    /// All fields of an entity.
    pub fn all(entity: &Entity) -> Self {
        let all = FieldMask::all(entity.fields.len());
        Self { readable: all.clone(), writable: all }
    }

    /// Whether the caller may write a field at all.
    pub fn may_write(&self, field: &Field) -> bool {
        !field.read_only && self.writable.contains(field.ix)
    }

    /// Whether the caller may see a field at all.
    pub fn may_read(&self, field: &Field) -> bool {
        !field.write_only && self.readable.contains(field.ix)
    }
}
