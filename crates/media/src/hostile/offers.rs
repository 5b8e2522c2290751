//! Offers of real browsers, and what can become of them.

use proptest::{
    arbitrary::any,
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

/// What browsers post that want to watch and have no candidates yet: pictures first, then sound.
pub(crate) const BROWSERS: [(&str, &str); 3] = [
    ("Chromium", include_str!("../../tests/fixtures/offers/chromium.sdp")),
    ("Firefox", include_str!("../../tests/fixtures/offers/firefox.sdp")),
    ("Safari", include_str!("../../tests/fixtures/offers/safari.sdp")),
];

/// Values that somebody may not have thought of.
const VALUES: [&str; 22] = [
    "",
    "0",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "1e308",
    "NaN",
    "\u{0}",
    "\u{fffd}\u{fffd}",
    "💥é\u{202e}",
    "%n%s",
    "::",
    "0.0.0.0",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
];

/// Lines that somebody may not have thought of.
const LINES: [&str; 30] = [
    "",
    "=",
    "a",
    "a=",
    "a=:",
    "v=1",
    "a=group:BUNDLE",
    "a=group:BUNDLE 0 0 0",
    "a=mid:",
    "a=mid:0123456789abcdef0123456789abcdef",
    "a=mid:💥",
    "a=sendrecv",
    "a=sendonly",
    "a=inactive",
    "a=rid:x send pt=1,2,3;max-br=-1",
    "a=simulcast:send x;y recv x,~y",
    "a=ssrc:4294967295 cname:x",
    "a=ssrc-group:FID 1 1 1",
    "a=rtpmap:127 H264/90000",
    "a=rtpmap:255 opus/48000/2",
    "a=fmtp:127 apt=127",
    "a=fmtp:127 profile-level-id=zzzzzz;packetization-mode=99",
    "a=rtcp-fb:* nack pli",
    "a=extmap:0 urn:x",
    "a=extmap:15/sendonly urn:ietf:params:rtp-hdrext:toffset",
    "a=candidate:1 1 udp 4294967296 999.0.0.1 99999 typ host",
    "a=candidate:1 1 udp 1 fe80::1%lo 9 typ srflx raddr ::1 rport 0",
    "a=ice-options:trickle renomination x",
    "a=setup:holdconn",
    "a=fingerprint:sha-1 00",
];

/// Which way a medium flows.
const FLOWS: [&str; 4] = ["a=recvonly", "a=sendrecv", "a=sendonly", "a=inactive"];

/// How a session description is spoilt.
#[derive(Clone, Debug)]
enum Change {
    Delete(Index),
    Repeat(Index, Index),
    Swap(Index, Index),
    /// One word of a line is another.
    Says(Index, Index, String),
    /// One of the media flows another way.
    Flows(Index, &'static str),
    Insert(Index, &'static str),
    Character(Index, char),
    Cut(Index),
    /// Lines end as they ended once.
    Ends(&'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let line = any::<Index>;
    let long = (any::<char>(), 1..2_000_usize).prop_map(|(c, count)| c.to_string().repeat(count));
    let value = prop_oneof![3 => select(&VALUES[..]).prop_map(str::to_owned), 1 => long];
    prop_oneof![
        4 => line().prop_map(Change::Delete),
        3 => (line(), line()).prop_map(|(from, to)| Change::Repeat(from, to)),
        2 => (line(), line()).prop_map(|(one, other)| Change::Swap(one, other)),
        6 => (line(), line(), value).prop_map(|(line, word, value)| Change::Says(line, word, value)),
        3 => (line(), select(&FLOWS[..])).prop_map(|(which, flow)| Change::Flows(which, flow)),
        4 => (line(), select(&LINES[..])).prop_map(|(place, line)| Change::Insert(place, line)),
        2 => (line(), any::<char>()).prop_map(|(place, c)| Change::Character(place, c)),
        1 => line().prop_map(Change::Cut),
        1 => select(vec!["\n", "\r", "\r\n\r\n", "\u{2028}"]).prop_map(Change::Ends),
    ]
}

/// A browser's offer that was spoilt in some places.
pub(crate) fn spoilt() -> impl Strategy<Value = String> {
    let browser = select(BROWSERS.map(|(_, offer)| offer).to_vec());
    (browser, vec(change(), 1..8)).prop_map(|(offer, changes)| {
        let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
        let mut end = "\r\n";
        for change in &changes {
            if let Change::Ends(with) = change {
                end = with;
            }
            change.make(&mut lines);
        }
        lines.iter().flat_map(|line| [line.as_str(), end]).collect()
    })
}

impl Change {
    fn make(&self, lines: &mut Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        match self {
            Self::Delete(line) => drop(lines.remove(line.index(count))),
            Self::Repeat(from, to) => {
                let line = lines[from.index(count)].clone();
                lines.insert(to.index(count), line);
            }
            Self::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Self::Says(line, word, value) => {
                let line = &mut lines[line.index(count)];
                *line = with_word(line, *word, value);
            }
            Self::Flows(which, flow) => {
                let mut flowing: Vec<_> =
                    lines.iter_mut().filter(|line| FLOWS.contains(&line.as_str())).collect();
                if !flowing.is_empty() {
                    let which = which.index(flowing.len());
                    (*flow).clone_into(flowing[which]);
                }
            }
            Self::Insert(place, line) => lines.insert(place.index(count), (*line).to_owned()),
            Self::Character(place, c) => {
                let line = &mut lines[place.index(count)];
                let mut characters: Vec<_> = line.chars().collect();
                if !characters.is_empty() {
                    let at = place.index(characters.len());
                    characters[at] = *c;
                }
                *line = characters.into_iter().collect();
            }
            Self::Cut(line) => lines.truncate(line.index(count)),
            Self::Ends(_) => {}
        }
    }
}

/// A line with one of its words replaced: what stands between spaces, colons, semicolons and the like.
fn with_word(line: &str, word: Index, value: &str) -> String {
    let is_between = |c: char| " :;=/,".contains(c);
    let words: Vec<_> = line.split_inclusive(is_between).collect();
    if words.is_empty() {
        return value.to_owned();
    }
    let chosen = word.index(words.len());
    let with = |(number, word): (usize, &&str)| {
        let end = word.chars().next_back().filter(|c| is_between(*c));
        if number == chosen {
            value.chars().chain(end).collect::<String>()
        } else {
            (*word).to_owned()
        }
    };
    words.iter().enumerate().map(with).collect()
}
