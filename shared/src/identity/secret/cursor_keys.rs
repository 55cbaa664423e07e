//! The keys that positions in lists are sealed with.

/// Names a key, so that the right one is tried and no other.
pub type KeyId = [u8; 4];

/// A key that cursors are sealed with.
#[derive(Clone, Copy)]
pub struct CursorKey {
    /// Its name, which every cursor carries.
    pub id: KeyId,
    /// The key.
    pub key: [u8; 32],
}

/// The keys of a deployment: cursors are sealed with the current one, those of the previous one are still opened.
#[derive(Clone, Copy)]
pub struct CursorKeys {
    /// Seals and opens.
    pub current: CursorKey,
    /// Opens.
    pub previous: Option<CursorKey>,
}

impl CursorKeys {
    /// The key of this name.
    pub fn find(&self, id: KeyId) -> Option<&CursorKey> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }
}
