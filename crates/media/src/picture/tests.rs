use std::sync::{Arc, LazyLock};

use openh264::{decoder::Decoder, formats::YUVSource as _};
use proptest::{collection::vec, prelude::any, prop_assert, proptest};

use super::{h264::RUN_MAX, *};
use crate::avatar::Frame;

static ARTWORK: LazyLock<Artwork> = LazyLock::new(|| Artwork::built_in().expect("drawn"));
static FRAMES: LazyLock<Vec<Frame>> =
    LazyLock::new(|| Pose::all().map(|pose| ARTWORK.frame(pose)).collect());
static PICTURES: LazyLock<Arc<Pictures>> =
    LazyLock::new(|| Arc::new(Pictures::code(&ARTWORK).expect("coded")));

/// Only so many rows are compared: a mouth and an eye are dozens of rows high.
const ROWS_APART: usize = 8;

/// The sum of squares by which a good picture is off: 40 dB, which nobody sees.
const ERROR_MAX: u64 = 6 * (512 * 512 / ROWS_APART) as u64;

/// The sum of squared errors of the brightness of what a decoder shows, by pose.
fn decoded(decoder: &mut Decoder, picture: &[u8]) -> [u64; Pose::COUNT] {
    let shown = decoder.decode(picture).expect("decoded").expect("a picture at once");
    let (width, height) = shown.dimensions();
    assert_eq!((width, height), (512, 512));
    let stride = shown.strides().0;
    let mut errors = [0; Pose::COUNT];
    for (error, frame) in errors.iter_mut().zip(FRAMES.iter()) {
        let mut sum = 0_u64;
        for row in (0..height).step_by(ROWS_APART) {
            let shown = &shown.y()[row * stride..row * stride + width];
            let wanted = &frame.planes[0][row * width..(row + 1) * width];
            let squares = shown.iter().zip(wanted).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
            sum += squares.sum::<u64>();
        }
        *error = sum;
    }
    errors
}

/// Whether a decoder shows this pose, well, and no other.
fn shows(errors: &[u64; Pose::COUNT], pose: Pose) -> bool {
    let best = errors.iter().copied().min().unwrap_or(0);
    let error = errors[pose.index()];
    error == best && error < ERROR_MAX
}

fn pose(index: usize) -> Pose {
    Pose::all().nth(index % Pose::COUNT).expect("a pose")
}

#[test]
fn every_pose_can_follow_every_other() {
    let mut decoder = Decoder::new().unwrap();
    let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
    let first = reel.turn(pose(7)).unwrap();
    assert!(shows(&decoded(&mut decoder, &first), Pose::default()));
    for from in Pose::all() {
        for to in Pose::all().filter(|to| *to != from) {
            for pose in [from, to] {
                if let Some(picture) = reel.turn(pose) {
                    let errors = decoded(&mut decoder, &picture);
                    assert!(shows(&errors, pose), "{from:?} to {to:?}: {errors:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]

    /// A viewer may begin, or begin anew, at any moment of any performance.
    #[test]
    fn any_order_of_pictures_decodes(turns in vec((0..Pose::COUNT, 0..10_u8), 1..80)) {
        let mut decoder = Decoder::new().unwrap();
        let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
        let mut begins = true;
        for (index, chance) in turns {
            if chance == 0 {
                reel.start_anew();
                begins = true;
            }
            let Some(picture) = reel.turn(pose(index)) else { continue };
            let wanted = if begins { Pose::default() } else { pose(index) };
            begins = false;
            let errors = decoded(&mut decoder, &picture);
            prop_assert!(shows(&errors, wanted), "{:?}", errors);
        }
    }

    /// A picture that a viewer misses takes nothing with it.
    #[test]
    fn a_lost_picture_spoils_no_other(lost in vec(any::<bool>(), 60)) {
        let mut decoder = Decoder::new().unwrap();
        let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
        decoded(&mut decoder, &reel.turn(Pose::default()).unwrap());
        for (index, is_lost) in lost.into_iter().enumerate() {
            let pose = pose(index * 7 + 1);
            let Some(picture) = reel.turn(pose) else { continue };
            if !is_lost {
                prop_assert!(shows(&decoded(&mut decoder, &picture), pose));
            }
        }
    }
}

#[test]
fn the_turns_of_pictures_are_counted_for_so_long_and_then_anew() {
    let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
    let mut decoder = Decoder::new().unwrap();
    let is_standing = |picture: &[u8]| picture[4] == 0x67;
    assert!(is_standing(&reel.turn(pose(0)).unwrap()));
    let standing = reel.pictures.h264.standing(true);
    decoded(&mut decoder, &standing);
    for turn in 1..=usize::from(RUN_MAX) {
        let wanted = pose(turn);
        let picture = reel.turn(wanted).unwrap();
        assert!(!is_standing(&picture), "turn {turn}");
        if turn > usize::from(RUN_MAX) - 20 {
            assert!(shows(&decoded(&mut decoder, &picture), wanted), "turn {turn}");
        }
    }
    let next = reel.turn(pose(3)).unwrap();
    assert!(is_standing(&next));
    assert_ne!(next[..], standing[..], "two that follow each other bear different names");
    assert!(shows(&decoded(&mut decoder, &next), Pose::default()));
    let last = reel.turn(pose(3)).unwrap();
    assert!(shows(&decoded(&mut decoder, &last), pose(3)));
}

#[test]
fn a_still_picture_is_sent_now_and_then() {
    let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
    reel.turn(pose(2)).unwrap();
    assert!(reel.turn(pose(2)).is_some());
    for _ in 0..3 {
        for _ in 1..STILL_TURNS {
            assert!(reel.turn(pose(2)).is_none());
        }
        assert!(reel.turn(pose(2)).is_some());
    }
    assert!(reel.turn(pose(4)).is_some());
}

#[test]
fn pictures_are_small() {
    let mut reel = Reel::new(Arc::clone(&PICTURES), VideoCodec::H264);
    let standing = reel.turn(pose(0)).unwrap().len();
    let sizes: Vec<_> = Pose::all()
        .map(|pose| {
            reel.turn(Pose { mouth: crate::avatar::Mouth::new(4 - pose.mouth.steps()), ..pose });
            reel.turn(pose).map_or(0, |picture| picture.len())
        })
        .collect();
    println!("standing {standing}, poses {sizes:?}");
    assert!(standing < 24_000, "{standing}");
    assert!(sizes.iter().all(|size| *size < 2_500), "{sizes:?}");
}
