//! Operations of the API as plans and deprecations name them.

/// Operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Read of one record.
    Read,
    /// List of records.
    List,
    /// Creation of a record.
    Create,
    /// Change of a record by PUT or PATCH.
    Update,
    /// Deletion of a record.
    Delete,
    /// Request for an upload link, or completion of an upload.
    Upload,
    /// Request for a download link or a share.
    Download,
    /// Use of a system resource.
    System,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 8] =
        [Self::Read, Self::List, Self::Create, Self::Update, Self::Delete, Self::Upload, Self::Download, Self::System];

    /// Name in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::System => "system",
        }
    }
}
