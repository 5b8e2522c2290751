use std::{collections::BTreeSet, fs, path::Path};

use super::*;

fn differing(a: &Frame, b: &Frame) -> Vec<(usize, usize)> {
    let pairs = a.planes[0].iter().zip(&b.planes[0]).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| (at % a.width, at / a.width)).collect()
}

fn copy_of_the_built_in(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/default");
    for layer in fs::read_dir(built_in).unwrap() {
        let layer = layer.unwrap().path();
        fs::copy(&layer, folder.join(layer.file_name().unwrap())).unwrap();
    }
}

#[test]
fn every_pose_has_its_own_place() {
    let places: Vec<_> = Pose::all().map(Pose::index).collect();
    assert_eq!(places, (0..Pose::COUNT).collect::<Vec<_>>());
    assert_eq!(Pose::all().next(), Some(Pose::default()));
    assert_eq!(Mouth::new(9), Mouth::MAX);
}

#[test]
fn each_pose_looks_different_and_only_where_it_should() {
    let artwork = Artwork::built_in().unwrap();
    let rest = artwork.frame(Pose::default());
    assert_eq!((rest.width, rest.height), (512, 512));
    let planes = rest.planes.each_ref().map(Vec::len);
    assert_eq!(planes, [512 * 512, 256 * 256, 256 * 256]);
    let pictures: BTreeSet<_> = Pose::all().map(|pose| artwork.frame(pose).planes).collect();
    assert_eq!(pictures.len(), Pose::COUNT);

    let wide = artwork.frame(Pose { mouth: Mouth::MAX, ..Pose::default() });
    let changed = differing(&rest, &wide);
    assert!(changed.len() > 1000 && changed.iter().all(|(_, y)| (295..350).contains(y)));
    let blink = artwork.frame(Pose { eyes: Eyes::Closed, ..Pose::default() });
    let changed = differing(&rest, &blink);
    assert!(changed.len() > 500 && changed.iter().all(|(_, y)| (225..270).contains(y)));
}

#[test]
fn colours_are_those_of_television() {
    let mut pixels = resvg::tiny_skia::Pixmap::new(2, 2).unwrap();
    let of = |pixels: &resvg::tiny_skia::Pixmap| Frame::of(pixels).planes.map(|plane| plane[0]);
    pixels.fill(resvg::tiny_skia::Color::WHITE);
    assert_eq!(of(&pixels), [235, 128, 128]);
    pixels.fill(resvg::tiny_skia::Color::BLACK);
    assert_eq!(of(&pixels), [16, 128, 128]);
    pixels.fill(resvg::tiny_skia::Color::from_rgba8(255, 0, 0, 255));
    assert_eq!(of(&pixels), [82, 90, 240]);
}

#[test]
fn an_operators_folder_adds_avatars_and_may_replace_the_default() {
    let home = tempfile::tempdir().unwrap();
    copy_of_the_built_in(&home.path().join("anna"));
    fs::create_dir(home.path().join("not a name")).unwrap();
    fs::write(home.path().join("notes.txt"), "x").unwrap();
    let gallery = Gallery::load(Some(home.path())).unwrap();
    assert_eq!(gallery.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["anna", DEFAULT]);
    assert!(gallery.find("bert").is_none());

    let own = home.path().join(DEFAULT);
    copy_of_the_built_in(&own);
    let blue = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'>\
        <rect width='10' height='10' fill='blue'/></svg>";
    fs::write(own.join("base.svg"), blue).unwrap();
    let gallery = Gallery::load(Some(home.path())).unwrap();
    let frame = gallery.find(DEFAULT).unwrap().frame(Pose::default());
    assert_eq!(frame.planes[1][0], 240);
    assert_eq!(Gallery::load(None).unwrap().iter().count(), 1);
}

#[test]
fn artwork_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("anna");
    copy_of_the_built_in(&folder);
    let complaint = || Gallery::load(Some(home.path())).err().unwrap().to_string();
    let spoil = |text: &[u8]| fs::write(folder.join("mouth-3.svg"), text).unwrap();

    spoil(b"not a picture");
    assert!(complaint().starts_with("the avatar anna: mouth-3.svg is no SVG"), "{}", complaint());
    spoil(&vec![b' '; usize::try_from(LAYER_BYTES_MAX).unwrap() + 1]);
    assert_eq!(complaint(), "the avatar anna: mouth-3.svg is larger than 1048576 bytes");
    spoil(&vec![b' '; usize::try_from(LAYER_BYTES_MAX).unwrap()]);
    assert!(complaint().contains("is no SVG"));
    fs::remove_file(folder.join("mouth-3.svg")).unwrap();
    assert!(complaint().starts_with("the avatar anna: mouth-3.svg cannot be read"));
    let nowhere = home.path().join("nowhere");
    let complaint = Gallery::load(Some(&nowhere)).err().unwrap().to_string();
    assert!(complaint.contains("nowhere cannot be read"), "{complaint}");
}

#[test]
fn a_folder_holds_so_many_avatars_and_no_more() {
    let home = tempfile::tempdir().unwrap();
    for number in 0..AVATARS_MAX {
        fs::create_dir(home.path().join(format!("a{number}"))).unwrap();
    }
    let is_too_many =
        || matches!(Gallery::load(Some(home.path())), Err(GalleryError::TooMany { .. }));
    assert!(!is_too_many());
    fs::create_dir(home.path().join("one-more")).unwrap();
    assert!(is_too_many());
}

#[test]
fn artwork_reads_no_other_file() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("anna");
    copy_of_the_built_in(&folder);
    let blue = "<svg xmlns='http://www.w3.org/2000/svg' width='512' height='512'>\
        <rect width='512' height='512' fill='blue'/></svg>";
    let secret = home.path().join("secret.svg");
    fs::write(&secret, blue).unwrap();
    let peeking = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='512' height='512'>\
        <image href='{}' width='512' height='512'/></svg>",
        secret.display()
    );
    fs::write(folder.join("base.svg"), peeking).unwrap();
    let frame = Artwork::in_folder(&folder).unwrap().frame(Pose::default());
    assert_eq!(frame.planes[1][0], 128);
}

/// Writes the pictures down for whoever wants to look at them: `AVATAR_PICTURES=folder`.
#[test]
fn pictures_can_be_looked_at() {
    let Some(folder) = std::env::var_os("AVATAR_PICTURES") else { return };
    let artwork = Artwork::built_in().unwrap();
    for pose in Pose::all() {
        let name = format!("{:?}-{}.png", pose.eyes, pose.mouth.steps());
        artwork.pixels(pose).save_png(Path::new(&folder).join(name)).unwrap();
    }
}
