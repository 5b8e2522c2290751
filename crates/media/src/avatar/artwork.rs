//! One avatar's layers, and how they are drawn.

use std::{fs, io, path::Path, sync::Arc};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{ImageHrefResolver, Options, Tree},
};

use super::{Eyes, Frame, Mouth, Pose, SIDE};

/// The largest file of a layer, in bytes.
pub const LAYER_BYTES_MAX: u64 = 1024 * 1024;

/// Why artwork cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtworkError {
    /// A layer is not there or cannot be read.
    #[error("{layer} cannot be read: {cause}")]
    Unreadable {
        /// Its file.
        layer: String,
        /// Why.
        cause: io::Error,
    },
    /// See [`LAYER_BYTES_MAX`].
    #[error("{layer} is larger than {LAYER_BYTES_MAX} bytes")]
    TooLarge {
        /// Its file.
        layer: String,
    },
    /// It is no picture.
    #[error("{layer} is no SVG that can be drawn: {cause}")]
    NotDrawable {
        /// Its file.
        layer: String,
        /// Why.
        cause: resvg::usvg::Error,
    },
    /// There is no memory for a picture.
    #[error("there is no memory to draw in")]
    Memory,
}

/// The layers that come with the program.
const BUILT_IN: [(&str, &[u8]); 9] = [
    ("base.svg", include_bytes!("../../avatars/default/base.svg")),
    ("eyes-open.svg", include_bytes!("../../avatars/default/eyes-open.svg")),
    ("eyes-half.svg", include_bytes!("../../avatars/default/eyes-half.svg")),
    ("eyes-closed.svg", include_bytes!("../../avatars/default/eyes-closed.svg")),
    ("mouth-0.svg", include_bytes!("../../avatars/default/mouth-0.svg")),
    ("mouth-1.svg", include_bytes!("../../avatars/default/mouth-1.svg")),
    ("mouth-2.svg", include_bytes!("../../avatars/default/mouth-2.svg")),
    ("mouth-3.svg", include_bytes!("../../avatars/default/mouth-3.svg")),
    ("mouth-4.svg", include_bytes!("../../avatars/default/mouth-4.svg")),
];

/// An avatar's layers, drawn.
pub struct Artwork {
    base: Pixmap,
    eyes: [Pixmap; 3],
    mouths: [Pixmap; 5],
}

impl Artwork {
    /// The avatar that comes with the program.
    pub fn built_in() -> Result<Self, ArtworkError> {
        Self::from_layers(|name| {
            let layer = BUILT_IN.iter().find(|(layer, _)| *layer == name);
            layer.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| unreadable(name, not_found()))
        })
    }

    /// The avatar in a folder.
    pub fn in_folder(folder: &Path) -> Result<Self, ArtworkError> {
        Self::from_layers(|name| {
            let path = folder.join(name);
            let length = fs::metadata(&path).map_err(|cause| unreadable(name, cause))?.len();
            if length > LAYER_BYTES_MAX {
                return Err(ArtworkError::TooLarge { layer: name.to_owned() });
            }
            fs::read(&path).map_err(|cause| unreadable(name, cause))
        })
    }

    fn from_layers(
        read: impl Fn(&str) -> Result<Vec<u8>, ArtworkError>,
    ) -> Result<Self, ArtworkError> {
        let layer = |name: &str| draw(name, &read(name)?);
        Ok(Self {
            base: layer("base.svg")?,
            eyes: [layer("eyes-open.svg")?, layer("eyes-half.svg")?, layer("eyes-closed.svg")?],
            mouths: [
                layer("mouth-0.svg")?,
                layer("mouth-1.svg")?,
                layer("mouth-2.svg")?,
                layer("mouth-3.svg")?,
                layer("mouth-4.svg")?,
            ],
        })
    }

    /// What a pose looks like.
    pub fn pixels(&self, pose: Pose) -> Pixmap {
        let mut picture = self.base.clone();
        let over = |picture: &mut Pixmap, layer: &Pixmap| {
            let paint = resvg::tiny_skia::PixmapPaint::default();
            picture.draw_pixmap(0, 0, layer.as_ref(), &paint, Transform::identity(), None);
        };
        over(&mut picture, &self.eyes[eyes_index(pose.eyes)]);
        over(&mut picture, &self.mouths[mouth_index(pose.mouth)]);
        picture
    }

    /// What a pose looks like, as a codec takes it.
    pub fn frame(&self, pose: Pose) -> Frame {
        Frame::of(&self.pixels(pose))
    }
}

fn eyes_index(eyes: Eyes) -> usize {
    match eyes {
        Eyes::Open => 0,
        Eyes::Half => 1,
        Eyes::Closed => 2,
    }
}

fn mouth_index(mouth: Mouth) -> usize {
    usize::from(mouth.steps())
}

fn unreadable(layer: &str, cause: io::Error) -> ArtworkError {
    ArtworkError::Unreadable { layer: layer.to_owned(), cause }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Draws a layer, fitted into the picture and centred.
fn draw(name: &str, svg: &[u8]) -> Result<Pixmap, ArtworkError> {
    let not_drawable = |cause| ArtworkError::NotDrawable { layer: name.to_owned(), cause };
    let tree = Tree::from_data(svg, &alone()).map_err(not_drawable)?;
    let mut picture = Pixmap::new(SIDE, SIDE).ok_or(ArtworkError::Memory)?;
    let (width, height) = (tree.size().width(), tree.size().height());
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let side = SIDE as f32;
    let scale = side / width.max(height);
    let (left, top) = ((side - width * scale) / 2.0, (side - height * scale) / 2.0);
    let placed = Transform::from_row(scale, 0.0, 0.0, scale, left, top);
    resvg::render(&tree, placed, &mut picture.as_mut());
    Ok(picture)
}

/// Artwork stands for itself: it reads no other file.
fn alone() -> Options<'static> {
    let image_href_resolver = ImageHrefResolver {
        resolve_data: Box::new(|_, _: Arc<Vec<u8>>, _| None),
        resolve_string: Box::new(|_, _| None),
    };
    Options { image_href_resolver, resources_dir: None, ..Options::default() }
}
