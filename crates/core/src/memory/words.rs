//! The words of a text, as they are searched. Of no language in particular: case, marks and width make
//! no difference, a long word is also found by its beginning, and scripts without spaces are taken in
//! pairs of characters.

use sha2::{Digest as _, Sha256};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation as _;

/// The most words of one text.
pub const WORDS_MAX: usize = 20_000;

/// The longest word, in characters; the rest of it is not searched.
pub const WORD_CHARS_MAX: usize = 64;

/// From how many characters on a word is also found by its beginning, and how long that is: endings
/// are what inflection changes, and four are enough for "lives" to be found by "live".
const STEM_CHARS: usize = 4;

/// Stands before a beginning, so that it is not taken for a word.
const STEM_MARK: char = '~';

/// How much of a word's digest is kept: enough that no two words of one memory share it.
const TOKEN_BYTES: usize = 8;

/// The words of a text, in order, each as often as it stands there, at most [`WORDS_MAX`].
pub fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    let mut found = Vec::new();
    let mut unspaced: Option<char> = None;
    for word in plain.unicode_words() {
        if found.len() >= WORDS_MAX {
            break;
        }
        let mut chars = word.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) if is_unspaced(only) => {
                found.push(only.to_string());
                if let Some(before) = unspaced {
                    found.push([before, only].iter().collect());
                }
                unspaced = Some(only);
                continue;
            }
            _ => unspaced = None,
        }
        let chars: Vec<char> = word.chars().take(WORD_CHARS_MAX).collect();
        if chars.len() > 2 && chars.iter().all(|c| is_hangul(*c)) {
            found.extend(chars.windows(2).map(|pair| pair.iter().collect::<String>()));
        } else if chars.len() >= STEM_CHARS {
            found.push(
                std::iter::once(STEM_MARK).chain(chars[..STEM_CHARS].iter().copied()).collect(),
            );
        }
        found.push(chars.into_iter().collect());
    }
    found.truncate(WORDS_MAX);
    found
}

/// A word as it stands in an index: a digest that nobody reads without its salt.
pub fn word_token(salt: &[u8], word: &str) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(word).finalize();
    hex::encode(&digest[..TOKEN_BYTES])
}

/// Whether a character is of a script that is written without spaces.
const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}' | '\u{0e00}'..='\u{0eff}')
}

/// Whether a character is a Korean syllable. Words have spaces between them, and particles grown to them.
const fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_however_they_are_written() {
        assert_eq!(words("Où est ZOÉ?"), ["ou", "est", "zoe"]);
        assert_eq!(words("Ｒｅｘ, rex"), ["rex", "rex"]);
        assert_eq!(words("... — !"), Vec::<String>::new());
    }

    #[test]
    fn a_word_in_an_index_says_nothing_without_its_salt() {
        assert_eq!(word_token(b"salt", "lisbon"), word_token(b"salt", "lisbon"));
        assert_ne!(word_token(b"salt", "lisbon"), word_token(b"another", "lisbon"));
        assert_ne!(word_token(b"salt", "lisbon"), word_token(b"salt", "lisboa"));
        assert_eq!(word_token(b"salt", "lisbon").len(), 2 * TOKEN_BYTES);
    }

    #[test]
    fn inflections_of_a_long_word_share_its_beginning() {
        let (one, other) = (words("vegetarian"), words("vegetarians"));
        assert_eq!(one, ["~vege", "vegetarian"]);
        assert_eq!(one[0], other[0]);
        assert_ne!(one[1], other[1]);
        assert_eq!(words("lives")[0], words("live")[0]);
        assert_eq!(words("cat"), ["cat"]);
    }

    #[test]
    fn scripts_without_spaces_are_taken_in_pairs() {
        assert_eq!(words("東京都"), ["東", "京", "東京", "都", "京都"]);
        assert!(words("東京に住む").contains(&"東京".to_owned()));
    }

    #[test]
    fn korean_words_are_found_without_their_particles() {
        assert_eq!(words("부산에서"), ["부산", "산에", "에서", "부산에서"]);
        assert!(words("부산은").contains(&"부산".to_owned()));
        assert_eq!(words("부산"), ["부산"]);
    }

    #[test]
    fn a_text_has_so_many_words_and_a_word_so_many_characters() {
        assert_eq!(words(&"a ".repeat(WORDS_MAX)).len(), WORDS_MAX);
        assert_eq!(words(&"a ".repeat(WORDS_MAX + 1)).len(), WORDS_MAX);
        assert_eq!(words(&"abcde ".repeat(WORDS_MAX)).len(), WORDS_MAX);
        let long = "x".repeat(WORD_CHARS_MAX + 1);
        assert_eq!(words(&long)[1].chars().count(), WORD_CHARS_MAX);
    }
}
