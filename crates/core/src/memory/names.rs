//! Names, as they are compared.

use unicode_normalization::UnicodeNormalization as _;

/// A name as it is compared: compatible characters, case and spaces make no difference.
pub fn name_key(name: &str) -> String {
    let folded: String = name.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_spaces_and_width_make_no_difference_and_letters_do() {
        for other in ["  ANN\tLee ", "ann lee", "Ａｎｎ Lee", "Ann\u{a0}Lee"] {
            assert_eq!(name_key(other), "ann lee");
        }
        assert_eq!(name_key("Jose\u{301}"), name_key("JOSÉ"));
        assert_ne!(name_key("José"), name_key("Jose"));
        assert_eq!(name_key(" \u{a0}\t"), "");
    }
}
