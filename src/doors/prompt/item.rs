//! What questions are made of.

/// `None`: the user gave up.
pub type Answered<T> = Option<T>;

/// Something to choose.
#[derive(Debug, Clone)]
pub struct Item {
    pub name: String,
    /// What helps to decide; may be empty.
    pub note: String,
}

impl Item {
    pub fn new(name: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name: name.into(), note: note.into() }
    }
}
