//! Long texts in pieces: each is spoken by itself, so that the first is heard while the next is spoken
//! in, and no sound is longer than a stage takes.

/// From which length on a piece ends with its sentence, in bytes.
const SENTENCE_FROM: usize = 300;
/// The longest piece, in bytes: about a minute and a half.
pub const PIECE_BYTES_MAX: usize = 1_200;

/// The pieces of a text. Put together they are the text.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, more) = rest.split_at(end_of_piece(rest));
        rest = more;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Where the first piece ends: with a sentence, else with a word, else with a character.
fn end_of_piece(text: &str) -> usize {
    let (mut word, mut character) = (0, 0);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if at > PIECE_BYTES_MAX {
            return if word > 0 { word } else { character };
        }
        // White space belongs to what it follows.
        if !c.is_whitespace() && at >= SENTENCE_FROM && ends_sentence(text, at, before) {
            return at;
        }
        if before.is_whitespace() && !c.is_whitespace() && at > 0 {
            word = at;
        }
        (before, character) = (c, at);
    }
    if text.len() <= PIECE_BYTES_MAX {
        text.len()
    } else if word > 0 {
        word
    } else {
        character
    }
}

/// Whether a sentence ends just before this place.
fn ends_sentence(text: &str, at: usize, before: char) -> bool {
    if "。！？".contains(before) {
        return true;
    }
    let said = text[..at].trim_end();
    said.len() < at && said.ends_with(['.', '!', '?', '…', ':', ';', '。', '！', '？'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<&str> {
        let found: Vec<_> = pieces(text).collect();
        assert_eq!(found.concat(), text, "nothing is lost");
        assert!(found.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX), "{found:?}");
        found
    }

    #[test]
    fn a_short_text_is_one_piece() {
        assert_eq!(of("Hello. How are you?"), ["Hello. How are you?"]);
        assert!(of("").is_empty());
    }

    #[test]
    fn a_long_text_is_parted_after_sentences() {
        let sentence = format!("{} end. ", "word ".repeat(50));
        let found = of(&sentence.repeat(5)).len();
        assert_eq!(found, 3, "two sentences each, and the last");
        for piece in of(&sentence.repeat(4)) {
            assert!(piece.ends_with("end. "), "{piece:?}");
        }
        assert!(of(&"はい。".repeat(1_000)).iter().all(|piece| piece.ends_with('。')));
    }

    #[test]
    fn a_text_without_sentences_is_parted_between_words_or_characters() {
        let words = "word ".repeat(1_000);
        assert!(of(&words).iter().all(|piece| piece.ends_with("word ")));
        for text in ["x".repeat(10_000), "ß".repeat(5_000), "🙂".repeat(5_000), " ".repeat(5_000)]
        {
            assert!(of(&text).len() > 3);
        }
    }

    #[test]
    fn a_text_at_the_limit_is_one_piece_and_one_past_it_is_two() {
        assert_eq!(of(&"x".repeat(PIECE_BYTES_MAX)).len(), 1);
        assert_eq!(of(&"x".repeat(PIECE_BYTES_MAX + 1)).len(), 2);
    }
}
