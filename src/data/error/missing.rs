//! A known set that is nowhere: what it would need, and where it was looked for.

use std::fmt;
use std::path::PathBuf;

/// A known set that was not found: what it is made of and where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSet {
    /// Name of the set.
    pub name: String,
    /// The forms it is read in; the files of one must lie together in one folder.
    pub forms: Vec<FormFiles>,
    /// Every folder looked in, in order.
    pub looked_in: Vec<LookedIn>,
    /// Whether it is a folder of its name with photographs.
    pub photographs: bool,
    /// Where the set may be had, if that can be said.
    pub hint: Option<&'static str>,
    /// The set it could be made from, which is missing as well.
    pub made_of: Option<&'static str>,
}

/// The files of one form of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormFiles {
    /// Their names.
    pub files: Vec<String>,
    /// Whether each may have `.gz` added.
    pub gz: bool,
}

/// One folder that was searched in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedIn {
    /// The folder.
    pub folder: PathBuf,
    /// What it has of a form; `None` where there is no such folder.
    pub lacks: Option<Lacks>,
}

/// What a folder has of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacks {
    /// No file of any form.
    All,
    /// A part of one form, without these files.
    Files(Vec<String>),
}

impl fmt::Display for FormFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.files.join(", "))?;
        if self.gz { f.write_str(" (each plain or .gz)") } else { Ok(()) }
    }
}

impl MissingSet {
    /// The files of all forms, as a text.
    pub fn files(&self) -> String {
        if self.photographs {
            return format!("a folder {} of photographs (JPEG, PNG, WebP and others)", self.name);
        }
        self.forms.iter().map(FormFiles::to_string).collect::<Vec<_>>().join("; or ")
    }
}

impl fmt::Display for MissingSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data set {} was not found: it needs {}", self.name, self.files())?;
        f.write_str(if self.photographs { "; " } else { " together in one folder; " })?;
        if self.looked_in.is_empty() {
            f.write_str("no folder was given to look in")?;
        } else {
            f.write_str("looked in ")?;
        }
        for (i, place) in self.looked_in.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", place.folder.display())?;
            match &place.lacks {
                None => f.write_str(" (no such folder)")?,
                Some(Lacks::All) => f.write_str(" (none of them)")?,
                Some(Lacks::Files(files)) => write!(f, " (lacks {})", files.join(", "))?,
            }
        }
        let (what, them) = if self.photographs { ("folder", "it") } else { ("files", "them") };
        write!(f, "; put the {what} in one of these folders, or give the folder that holds {them}")?;
        if let Some(base) = self.made_of {
            write!(f, ". It is made where {base} is found, and that was not found either")?;
        }
        if let Some(hint) = self.hint {
            write!(f, ". {hint}")?;
        }
        Ok(())
    }
}
