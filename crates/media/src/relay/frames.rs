//! The bytes of a connection, parted into messages and the data of channels.

/// The largest frame that is taken in: more than any datagram that comes through a network.
pub const FRAME_BYTES_MAX: usize = 2048;

/// What a STUN message has before its attributes.
const MESSAGE_HEAD: usize = 20;
/// What data of a channel have before them.
const CHANNEL_HEAD: usize = 4;

/// The bytes are no frames, or too large a one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is no frame of at most {FRAME_BYTES_MAX} bytes")]
pub struct Unreadable;

/// What has come of frames that are not complete yet.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes in what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete frame, without what fills it up to a multiple of four.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let &[kind, _, high, low, ..] = self.bytes.as_slice() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let length = match kind {
            0..=3 => MESSAGE_HEAD + length,
            0x40..=0x7f => CHANNEL_HEAD + length,
            _ => return Err(Unreadable),
        };
        let padded = length.next_multiple_of(4);
        if padded > FRAME_BYTES_MAX {
            return Err(Unreadable);
        }
        if self.bytes.len() < padded {
            return Ok(None);
        }
        let rest = self.bytes.split_off(padded);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.truncate(length);
        Ok(Some(frame))
    }

    /// How many bytes wait for more.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(length: usize) -> Vec<u8> {
        let head = u16::try_from(length).expect("short").to_be_bytes();
        [&[0x40, 1][..], &head, &vec![7; length]].concat()
    }

    fn padded(mut frame: Vec<u8>) -> Vec<u8> {
        frame.resize(frame.len().next_multiple_of(4), 0);
        frame
    }

    fn message(attributes: usize) -> Vec<u8> {
        let head = u16::try_from(attributes).expect("short").to_be_bytes();
        [&[0, 3][..], &head, &[9; 16], &vec![1; attributes]].concat()
    }

    #[test]
    fn a_frame_may_be_as_large_as_it_may_and_no_larger() {
        let mut frames = Frames::default();
        let largest = channel(FRAME_BYTES_MAX - CHANNEL_HEAD);
        frames.push(&largest);
        assert_eq!(frames.take(), Ok(Some(largest)));
        frames.push(&channel(FRAME_BYTES_MAX - CHANNEL_HEAD + 1)[..CHANNEL_HEAD]);
        assert_eq!(frames.take(), Err(Unreadable), "its head says enough");
        let mut frames = Frames::default();
        frames.push(&message(FRAME_BYTES_MAX - MESSAGE_HEAD));
        assert!(matches!(frames.take(), Ok(Some(_))));
        frames.push(&message(FRAME_BYTES_MAX - MESSAGE_HEAD + 4)[..MESSAGE_HEAD]);
        assert_eq!(frames.take(), Err(Unreadable));
    }

    #[test]
    fn what_begins_like_neither_is_refused() {
        for kind in [0x04, 0x16, 0x3f, 0x80, 0xff] {
            let mut frames = Frames::default();
            frames.push(&[kind, 3, 1, 0]);
            assert_eq!(frames.take(), Err(Unreadable), "{kind:x}");
        }
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_parted(
            lengths in prop::collection::vec((any::<bool>(), 0_usize..200), 1..12),
            cuts in prop::collection::vec(1_usize..90, 1..200),
        ) {
            let sent: Vec<Vec<u8>> = lengths
                .iter()
                .map(|&(is_message, length)| {
                    if is_message { message(length / 4 * 4) } else { channel(length) }
                })
                .collect();
            let stream: Vec<u8> = sent.iter().cloned().flat_map(padded).collect();
            let (mut frames, mut came, mut at) = (Frames::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let piece = stream.get(at..stream.len().min(at + cut)).expect("within");
                frames.push(piece);
                at += piece.len();
                while let Some(frame) = frames.take().expect("frames") {
                    came.push(frame);
                }
                prop_assert!(frames.waiting() < FRAME_BYTES_MAX);
                if at == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(came, sent);
            prop_assert_eq!(frames.waiting(), 0);
        }

        #[test]
        fn garbage_is_refused_or_waits_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..6000)) {
            let mut frames = Frames::default();
            for piece in bytes.chunks(100) {
                frames.push(piece);
                loop {
                    match frames.take() {
                        Ok(Some(frame)) => prop_assert!(frame.len() <= FRAME_BYTES_MAX),
                        Ok(None) => break,
                        Err(Unreadable) => return Ok(()),
                    }
                }
                prop_assert!(frames.waiting() < FRAME_BYTES_MAX);
            }
        }
    }
}
