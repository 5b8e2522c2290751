//! Says how good what was recalled is, by what was expected.

use super::people::Question;

/// How many facts of an answer count.
pub const RECALLED: usize = 5;

/// A text without the differences that do not count: case and width.
pub fn plain(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfkc().collect::<String>().to_lowercase()
}

/// How one answer was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Which part of the expected facts is among the first [`RECALLED`]. `None`: none was expected.
    pub recall: Option<f64>,
    /// Which part of the first facts, as many as are expected, was expected.
    pub precision: Option<f64>,
    /// Whether everything expected is there and nothing that was not so on that day. `None`: the
    /// question is not about something that changes.
    pub timely: Option<bool>,
    /// Whether nothing is there that must not be. `None`: the question has an answer.
    pub silent: Option<bool>,
}

/// Judges an answer: sentences, the best first, and whether each is said to be true on the day of the
/// question. What is said to be over, or not to have begun, misleads nobody.
pub fn judge(question: &Question, recalled: &[(String, bool)]) -> Verdict {
    let recalled = recalled.iter().take(RECALLED);
    let recalled: Vec<_> = recalled.map(|(text, is_so)| (plain(text), *is_so)).collect();
    let has = |sentence: &String, strings: &Vec<String>| {
        strings.iter().all(|any| any.split('|').any(|string| sentence.contains(&plain(string))))
    };
    let is_expected =
        |(sentence, _): &&(String, bool)| question.expect.iter().any(|fact| has(sentence, fact));
    let misleads = |(sentence, is_so): &(String, bool)| {
        *is_so && question.never.iter().any(|string| sentence.contains(&plain(string)))
    };
    let wrong = recalled.iter().filter(|said| !is_expected(said)).any(misleads);
    if question.nothing {
        return Verdict { recall: None, precision: None, timely: None, silent: Some(!wrong) };
    }
    let expected = question.expect.len();
    let found = |fact: &&Vec<String>| recalled.iter().any(|(sentence, _)| has(sentence, fact));
    let found = question.expect.iter().filter(found).count();
    let first = recalled.iter().take(expected).filter(is_expected).count();
    let changes = question.as_of.is_some() || !question.never.is_empty();
    Verdict {
        recall: Some(part(found, expected)),
        precision: Some(part(first, expected)),
        timely: changes.then_some(found == expected && !wrong),
        silent: None,
    }
}

/// The means of many verdicts, as parts of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Of the expected facts, how many are among the first [`RECALLED`].
    pub recall: f64,
    /// Of the first facts, as many as are expected, how many were.
    pub precision: f64,
    /// How many questions about something that changes are answered as of their day.
    pub timely: f64,
    /// How many questions without an answer get nothing that must not be said.
    pub silent: f64,
}

impl Score {
    /// Of all these.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let is = |yes: bool| f64::from(u8::from(yes));
        Self {
            recall: mean(verdicts.iter().filter_map(|verdict| verdict.recall)),
            precision: mean(verdicts.iter().filter_map(|verdict| verdict.precision)),
            timely: mean(verdicts.iter().filter_map(|verdict| verdict.timely).map(is)),
            silent: mean(verdicts.iter().filter_map(|verdict| verdict.silent).map(is)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<_> = values.collect();
    values.iter().sum::<f64>() / part(values.len(), 1)
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
fn part(some: usize, all: usize) -> f64 {
    some as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(expect: &[&[&str]], never: &[&str]) -> Question {
        let owned = |strings: &[&str]| strings.iter().map(|&text| text.to_owned()).collect();
        Question {
            ask: "?".into(),
            as_of: None,
            expect: expect.iter().map(|fact| owned(fact)).collect(),
            never: owned(never),
            nothing: expect.is_empty(),
        }
    }

    fn judged(question: &Question, recalled: &[&str]) -> Verdict {
        judge(question, &recalled.iter().map(|&text| (text.to_owned(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_fact_counts_with_all_its_strings_or_an_alternative_of_each_among_the_first_five() {
        let asked = question(&[&["tom", "piano|keyboard"], &["Ngozi"]], &[]);
        let both = judged(&asked, &["Tom restores PIANOS.", "ＮＧＯＺＩ is a midwife."]);
        assert_eq!((both.recall, both.precision, both.timely), (Some(1.0), Some(1.0), None));
        let half = judged(&asked, &["x", "Tom builds keyboards.", "Tom sings."]);
        assert_eq!((half.recall, half.precision), (Some(0.5), Some(0.5)));
        let one = question(&[&["a"]], &[]);
        assert_eq!(judged(&one, &["x", "x", "x", "x", "a"]).recall, Some(1.0));
        assert_eq!(judged(&one, &["x", "x", "x", "x", "x", "a"]).recall, Some(0.0));
        assert_eq!(judged(&one, &[]).precision, Some(0.0));
    }

    #[test]
    fn what_was_not_so_on_that_day_spoils_an_answer_unless_it_is_expected_too() {
        let asked = question(&[&["Lisbon"]], &["Porto"]);
        let moved = "The user moved from Porto to Lisbon.";
        assert_eq!(judged(&asked, &[moved]).timely, Some(true));
        assert_eq!(judged(&asked, &[moved, "The user lives in Porto."]).timely, Some(false));
        assert_eq!(judged(&asked, &["The user has a cat."]).timely, Some(false));
        let over = [(moved.to_owned(), true), ("The user lives in Porto.".to_owned(), false)];
        assert_eq!(judge(&asked, &over).timely, Some(true), "it is said to be over");
    }

    #[test]
    fn where_nothing_is_to_be_found_only_what_must_not_be_said_is_wrong() {
        let asked = question(&[], &["4111"]);
        assert_eq!(judged(&asked, &["The user has a shop."]).silent, Some(true));
        assert_eq!(judged(&asked, &["The card is 4111 1111."]).silent, Some(false));
        assert_eq!(judged(&asked, &[]).recall, None);
    }

    #[test]
    fn a_score_is_the_mean_of_those_that_count() {
        let one = question(&[&["a"]], &["b"]);
        let verdicts =
            [judged(&one, &["a"]), judged(&one, &["b"]), judged(&question(&[], &[]), &[])];
        let expected = Score { recall: 0.5, precision: 0.5, timely: 0.5, silent: 1.0 };
        assert_eq!(Score::of(&verdicts), expected);
    }
}
