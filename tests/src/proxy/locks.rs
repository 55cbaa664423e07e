//! Which items are in the hands of a transaction, and which single writes are under way.

use std::collections::HashMap;

enum Lock {
    Transaction,
    /// So many single writes: they queue up behind each other in the store.
    Singles(u32),
}

#[derive(Default)]
pub(crate) struct Locks(HashMap<String, Lock>);

impl Locks {
    /// Locks all items for a transaction, or tells which are taken.
    pub(crate) fn take(&mut self, keys: &[String]) -> Result<(), Vec<bool>> {
        let taken: Vec<bool> = keys.iter().map(|key| self.0.contains_key(key)).collect();
        if taken.contains(&true) {
            return Err(taken);
        }
        self.0.extend(keys.iter().map(|key| (key.clone(), Lock::Transaction)));
        Ok(())
    }

    pub(crate) fn give_back(&mut self, keys: &[String]) {
        for key in keys {
            self.0.remove(key);
        }
    }

    /// Begins a single write; `false` where a transaction holds the item.
    pub(crate) fn enter(&mut self, key: &str) -> bool {
        match self.0.entry(key.to_owned()).or_insert(Lock::Singles(0)) {
            Lock::Transaction => false,
            Lock::Singles(count) => {
                *count += 1;
                true
            }
        }
    }

    pub(crate) fn leave(&mut self, key: &str) {
        if let Some(Lock::Singles(count)) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }

    /// Whether a transaction holds it.
    pub(crate) fn is_held(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Lock::Transaction))
    }
}
