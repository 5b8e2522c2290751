//! Makes what an encoder wrote into pictures that may follow each other in any order.
//!
//! The encoder writes a stream of its own: each picture follows the one before, and their numbers say
//! so. Two things in the headers are changed, nothing in the pictures themselves:
//!
//! - The parameter set says that pictures carry the number of their turn (`pic_order_cnt_type` 0), and
//!   each picture carries one: sixteen bits that are set for each viewer when it is sent.
//! - Pictures that are predicted are no reference for others (`nal_ref_idc` 0). Each is predicted from
//!   the standing picture alone and changes nothing in the decoder's memory, so that any of them may
//!   follow any other.

use super::bits::{Reader, Writer, unescaped};

/// How many bits the number of a picture's turn has.
pub(super) const ORDER_BITS: u32 = 16;

const SLICE: u8 = 1;
const STANDING_SLICE: u8 = 5;
const SEQUENCE: u8 = 7;
const PICTURE: u8 = 8;
/// Of a predicted slice, whether or not all of the picture is of that kind.
const PREDICTED: [u32; 2] = [0, 5];

/// A unit whose header has been made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) header: u8,
    pub(super) payload: Vec<u8>,
    /// Where the number of its turn stands, in bits.
    pub(super) order_at: Option<usize>,
}

/// The standing picture and what a decoder must know before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) sequence: Unit,
    pub(super) picture: Unit,
    /// Twice the same: two that follow each other must bear different names.
    pub(super) slices: [Unit; 2],
    frame_number_bits: u32,
}

/// Reads the units of the first picture of a stream. `None`: it is not of the form that we know.
pub(super) fn standing(units: &[&[u8]]) -> Option<Standing> {
    let (mut sequence, mut picture, mut slices) = (None, None, None);
    for unit in units {
        let (&header, payload) = unit.split_first()?;
        let payload = unescaped(payload);
        match header & 0x1f {
            SEQUENCE => sequence = Some(with_order(header, &payload)?),
            PICTURE => picture = Some(plain(header, payload)?),
            STANDING_SLICE if slices.is_none() => {
                let bits = sequence.as_ref().map(|(_, bits)| *bits)?;
                let slice = |name| standing_slice(header, &payload, bits, name);
                slices = Some([slice(0)?, slice(1)?]);
            }
            _ => return None,
        }
    }
    let (sequence, frame_number_bits) = sequence?;
    Some(Standing { sequence, picture: picture?, slices: slices?, frame_number_bits })
}

/// Reads the units of a picture that is predicted from the standing one.
pub(super) fn predicted(units: &[&[u8]], standing: &Standing) -> Option<Unit> {
    let [unit] = units else { return None };
    let (&header, payload) = unit.split_first()?;
    if header & 0x1f != SLICE {
        return None;
    }
    let payload = unescaped(payload);
    let (mut from, mut to) = (Reader::new(&payload), Writer::default());
    let kind = slice_start(&mut from, &mut to)?;
    let frame_number = from.bits(standing.frame_number_bits)?;
    if !PREDICTED.contains(&kind) || frame_number != 1 {
        return None;
    }
    to.bits(standing.frame_number_bits, frame_number);
    let order_at = Some(to.position());
    to.bits(ORDER_BITS, 0);
    let has_count = from.bit()?;
    to.bit(has_count);
    if has_count {
        let count = from.ue()?;
        to.ue(count);
    }
    // There is one picture to refer to, so that no order of them needs saying.
    skip_reordering(&mut from)?;
    to.bit(false);
    if header & 0x60 != 0 && from.bit()? {
        return None;
    }
    to.rest(&mut from);
    Some(Unit { header: SLICE, payload: to.finish(), order_at })
}

/// The parameter set of the sequence with the turns of pictures in it, and the width of their numbers.
fn with_order(header: u8, payload: &[u8]) -> Option<(Unit, u32)> {
    let (mut from, mut to) = (Reader::new(payload), Writer::default());
    let profile = from.bits(8)?;
    to.bits(8, profile);
    let rest = from.bits(16)?;
    to.bits(16, rest);
    let (id, frame_number, order_type) = (from.ue()?, from.ue()?, from.ue()?);
    // Other profiles have more to say here.
    if profile != 66 || order_type != 2 || frame_number > 12 {
        return None;
    }
    to.ue(id);
    to.ue(frame_number);
    to.ue(0);
    to.ue(ORDER_BITS - 4);
    to.rest(&mut from);
    Some((Unit { header, payload: to.finish(), order_at: None }, frame_number + 4))
}

/// The parameter set of pictures, as it is, if it is of the form that we know: no arithmetic coding,
/// whose bits could not be moved, and nothing more to say about turns.
fn plain(header: u8, payload: Vec<u8>) -> Option<Unit> {
    let mut from = Reader::new(&payload);
    let _ids = (from.ue()?, from.ue()?);
    let is_known = !from.bit()? && !from.bit()?;
    is_known.then_some(Unit { header, payload, order_at: None })
}

fn standing_slice(header: u8, payload: &[u8], frame_number_bits: u32, name: u32) -> Option<Unit> {
    let (mut from, mut to) = (Reader::new(payload), Writer::default());
    slice_start(&mut from, &mut to)?;
    let frame_number = from.bits(frame_number_bits)?;
    to.bits(frame_number_bits, frame_number);
    let _name = from.ue()?;
    to.ue(name);
    to.bits(ORDER_BITS, 0);
    to.rest(&mut from);
    Some(Unit { header, payload: to.finish(), order_at: None })
}

/// Copies the start of a slice that holds a whole picture, and says of what kind it is.
fn slice_start(from: &mut Reader<'_>, to: &mut Writer) -> Option<u32> {
    let (first, kind, parameters) = (from.ue()?, from.ue()?, from.ue()?);
    to.ue(first);
    to.ue(kind);
    to.ue(parameters);
    (first == 0).then_some(kind)
}

fn skip_reordering(from: &mut Reader<'_>) -> Option<()> {
    if from.bit()? {
        while from.ue()? != 3 {
            from.ue()?;
        }
    }
    Some(())
}
