//! What a viewer asks for, and what it can be given.

use str0m::{
    Rtc,
    change::SdpOffer,
    format::Codec,
    media::{Direction, MediaKind, Mid, Pt},
};

/// The longest offer, in bytes. Browsers send 2 to 8 KiB.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;
/// How many media an offer may name.
pub const OFFER_MEDIA_MAX: usize = 8;

/// Why an offer is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// See [`OFFER_BYTES_MAX`].
    #[error("the offer is longer than {OFFER_BYTES_MAX} bytes")]
    TooLong,
    /// It is no session description, or one that WebRTC has no use for.
    #[error("the offer cannot be read: {0}")]
    Unreadable(String),
    /// See [`OFFER_MEDIA_MAX`].
    #[error("the offer names more than {OFFER_MEDIA_MAX} media")]
    TooManyMedia,
    /// Only pictures and sound are on offer here.
    #[error("the offer asks for something other than audio and video")]
    UnknownMedia,
    /// None of the media takes a codec that we have.
    #[error("the offer takes none of the codecs there are")]
    NoCodec,
    /// Whatever reads offers has failed at it in a way that nobody foresaw.
    #[error("the offer made its reader fail")]
    Harmful,
}

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264, constrained baseline.
    H264,
    /// VP8.
    Vp8,
}

impl VideoCodec {
    fn is(self, codec: Codec) -> bool {
        match self {
            Self::H264 => codec == Codec::H264,
            Self::Vp8 => codec == Codec::Vp8,
        }
    }
}

/// One medium that flows to the viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) mid: Mid,
    pub(super) pt: Pt,
}

/// Refuses what would only cost memory, before it is read.
pub(super) fn check(sdp: &str) -> Result<(), OfferError> {
    if sdp.len() > OFFER_BYTES_MAX {
        return Err(OfferError::TooLong);
    }
    let media: Vec<_> = sdp.lines().filter_map(|line| line.strip_prefix("m=")).collect();
    if media.len() > OFFER_MEDIA_MAX {
        return Err(OfferError::TooManyMedia);
    }
    if media.iter().any(|m| !m.starts_with("audio ") && !m.starts_with("video ")) {
        return Err(OfferError::UnknownMedia);
    }
    Ok(())
}

/// Reads an offer. Nothing is taken from the viewer, whatever it would give.
pub(super) fn read(sdp: &str) -> Result<SdpOffer, OfferError> {
    let ours = |line| match line {
        "a=sendrecv" => "a=recvonly",
        "a=sendonly" => "a=inactive",
        line => line,
    };
    let text: String = sdp.lines().map(ours).flat_map(|line| [line, "\r\n"]).collect();
    SdpOffer::from_sdp_string(&text).map_err(|error| OfferError::Unreadable(error.to_string()))
}

/// The media of an answer that are served: pictures in the first of `codecs` that the viewer takes,
/// and sound.
pub(super) fn tracks(
    rtc: &mut Rtc,
    answer: &str,
    codecs: &[VideoCodec],
) -> (Option<(Track, VideoCodec)>, Option<Track>) {
    let (mut video, mut audio) = (None, None);
    for mid in answer.lines().filter_map(|line| line.strip_prefix("a=mid:")).map(Mid::from) {
        let Some(media) = rtc.media(mid) else { continue };
        let kind = media.kind();
        let is_sent = matches!(media.direction(), Direction::SendOnly | Direction::SendRecv);
        let Some(writer) = rtc.writer(mid).filter(|_| is_sent) else { continue };
        let taken: Vec<_> = writer.payload_params().map(|p| (p.spec().codec, p.pt())).collect();
        let find = |wanted: &dyn Fn(Codec) -> bool| {
            taken.iter().find(|(codec, _)| wanted(*codec)).map(|&(_, pt)| Track { mid, pt })
        };
        match kind {
            MediaKind::Video if video.is_none() => {
                video = codecs.iter().find_map(|&c| Some((find(&|codec| c.is(codec))?, c)));
            }
            MediaKind::Audio if audio.is_none() => audio = find(&|codec| codec == Codec::Opus),
            _ => {}
        }
    }
    (video, audio)
}
