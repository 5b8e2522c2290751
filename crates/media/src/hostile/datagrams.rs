//! Datagrams that were changed on their way, or never were anything.

use proptest::{arbitrary::any, collection::vec, prelude::*, sample::Index, strategy::Strategy};

/// What becomes of a datagram on its way.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It arrives so many times.
    Whole(usize),
    /// Some of its bytes are others.
    Bent(Vec<(Index, u8)>),
    /// Two of its bytes, which may be a length, are these.
    Claims(Index, u16),
    /// Only its beginning arrives.
    Cut(Index),
    /// Something follows it.
    Longer(Vec<u8>),
    /// It never arrives.
    Lost,
    /// It arrives with the next one, after it.
    Late,
}

/// Fates of a datagram.
pub(crate) fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![(1..4_usize).prop_map(Fate::Whole), changes(), Just(Fate::Lost), Just(Fate::Late),]
}

/// Fates after which a datagram is another.
pub(crate) fn changes() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => vec((any::<Index>(), 1_u8..), 1..6).prop_map(Fate::Bent),
        2 => (any::<Index>(), lengths()).prop_map(|(place, claim)| Fate::Claims(place, claim)),
        2 => any::<Index>().prop_map(Fate::Cut),
        1 => vec(any::<u8>(), 1..600).prop_map(Fate::Longer),
    ]
}

fn lengths() -> impl Strategy<Value = u16> {
    prop_oneof![any::<u16>(), Just(0), Just(1), Just(0x7fff), Just(u16::MAX)]
}

impl Fate {
    /// What arrives of a datagram. Those that are late are for the caller to keep.
    pub(crate) fn of(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Whole(times) => return vec![bytes; *times],
            Self::Lost | Self::Late => return Vec::new(),
            _ if bytes.is_empty() => {}
            Self::Bent(changes) => {
                for (place, change) in changes {
                    *place.get_mut(&mut bytes) ^= change;
                }
            }
            Self::Claims(place, claim) => {
                let place = place.index(bytes.len());
                for (byte, claimed) in bytes[place..].iter_mut().zip(claim.to_be_bytes()) {
                    *byte = claimed;
                }
            }
            Self::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Self::Longer(more) => bytes.extend(more),
        }
        vec![bytes]
    }
}

/// Something that never was a datagram of anybody's, but begins like one of each kind now and then.
pub(crate) fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<&[u8]> = vec![
        &[],
        // STUN: a request, an answer, an indication.
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        &[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        &[0, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42],
        // DTLS: a handshake, an alert, data; of 1.2 and 1.3.
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0],
        &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0],
        &[23, 254, 253, 0, 1],
        &[0x2f, 0, 1],
        // RTP, RTCP and what TURN wraps.
        &[0x80, 108],
        &[0x90, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0xff, 0xff],
        &[0x81, 200, 0, 0],
        &[0x8f, 205, 0xff, 0xff],
        &[0x40, 0, 0, 4],
    ];
    let body = prop_oneof![vec(any::<u8>(), 0..64), vec(any::<u8>(), 64..1500)];
    (prop::sample::select(heads), body).prop_map(|(head, body)| [head, &body].concat())
}
