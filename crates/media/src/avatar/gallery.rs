//! The avatars there are.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Artwork, ArtworkError};

/// The avatar that stands in for those we do not know.
pub const DEFAULT: &str = "default";
/// How many avatars a folder may hold.
pub const AVATARS_MAX: usize = 64;
/// The longest name of an avatar, in characters.
const NAME_MAX: usize = 64;

/// Why the avatars of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The folder cannot be read.
    #[error("the folder of avatars {} cannot be read: {cause}", folder.display())]
    Unreadable {
        /// Which.
        folder: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// See [`AVATARS_MAX`].
    #[error("the folder of avatars {} holds more than {AVATARS_MAX}", folder.display())]
    TooMany {
        /// Which.
        folder: PathBuf,
    },
    /// One of them cannot be drawn.
    #[error("the avatar {name}: {cause}")]
    Artwork {
        /// Which.
        name: String,
        /// Why.
        cause: ArtworkError,
    },
}

/// The avatars there are, by name.
pub struct Gallery {
    avatars: BTreeMap<String, Artwork>,
}

impl Gallery {
    /// The built-in avatar, and those of an operator's folder: each of its folders is one, named as
    /// the folder is. One that is called `default` takes the place of the built-in.
    pub fn load(folder: Option<&Path>) -> Result<Self, GalleryError> {
        let named = |name: &str| {
            let name = name.to_owned();
            move |cause| GalleryError::Artwork { name, cause }
        };
        let mut avatars = BTreeMap::new();
        for (name, path) in folder.map(folders).transpose()?.unwrap_or_default() {
            let artwork = Artwork::in_folder(&path).map_err(named(&name))?;
            avatars.insert(name, artwork);
        }
        if !avatars.contains_key(DEFAULT) {
            avatars.insert(DEFAULT.to_owned(), Artwork::built_in().map_err(named(DEFAULT))?);
        }
        Ok(Self { avatars })
    }

    /// The avatar of that name.
    pub fn find(&self, name: &str) -> Option<&Artwork> {
        self.avatars.get(name)
    }

    /// All avatars with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Artwork)> {
        self.avatars.iter().map(|(name, artwork)| (name.as_str(), artwork))
    }
}

/// The folders in a folder whose names can be names of avatars.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, GalleryError> {
    let unreadable = |cause| GalleryError::Unreadable { folder: folder.to_owned(), cause };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && is_name(name) {
            found.push((name.to_owned(), path.clone()));
        }
        if found.len() > AVATARS_MAX {
            return Err(GalleryError::TooMany { folder: folder.to_owned() });
        }
    }
    Ok(found)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}
