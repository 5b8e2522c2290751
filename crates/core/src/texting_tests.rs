use proptest::prelude::*;

use super::*;

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[test]
fn a_text_at_the_limit_is_one_part_and_one_past_it_is_two() {
    let text = "a".repeat(1600);
    assert_eq!(split(&text, 1600), [text.as_str()]);
    assert_eq!(split(&format!("{text}b"), 1600), [text.as_str(), "b"]);
}

#[test]
fn cuts_fall_between_words_where_there_are_any() {
    assert_eq!(split("one two three", 8), ["one two", "three"]);
    assert_eq!(split("one two three", 7), ["one two", "three"]);
    assert_eq!(split("one two three", 6), ["one", "two", "three"]);
    assert_eq!(split("  one\n\n two  ", 4), ["one", "two"]);
    assert_eq!(split("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
    assert_eq!(split("", 5), [""; 0]);
    assert_eq!(split(" \n ", 5), [""; 0]);
}

#[test]
fn no_letter_is_cut_apart() {
    // Eleven units, one letter.
    let family = "👨‍👩‍👧‍👦";
    assert_eq!(units(family), 11);
    let text = family.repeat(3);
    assert_eq!(split(&text, 12), [family; 3]);
    assert_eq!(split(&text, 22), [family.repeat(2), family.to_owned()]);
    // An accent that is a character of its own stays with its letter.
    assert_eq!(split("aae\u{301}", 3), ["aa", "e\u{301}"]);
    // Both halves of what takes two units stay together.
    assert_eq!(split("a𝄞", 2), ["a", "𝄞"]);
}

#[test]
fn a_letter_longer_than_a_part_is_cut_between_characters() {
    let zalgo = format!("e{}", "\u{301}".repeat(20));
    let parts = split(&zalgo, 8);
    assert!(parts.iter().all(|part| units(part) <= 8), "{parts:?}");
    assert_eq!(parts.concat(), zalgo);
}

proptest! {
    #[test]
    fn every_part_fits_and_nothing_but_white_space_is_lost(text in "(\\PC|[ \n]){0,200}", max in 2_usize..40) {
        let parts = split(&text, max);
        for part in &parts {
            prop_assert!(!part.is_empty() && units(part) <= max, "{part:?}");
        }
        let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(bare(&parts.concat()), bare(&text));
    }
}
