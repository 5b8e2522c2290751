//! What is never remembered: numbers of payment cards, and passwords.

/// Stands where something was left out.
const LEFT_OUT: &str = "[left out]";

/// The digits of a card number, at least and at most (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Words after which a secret stands.
const ANNOUNCED_BY: [&str; 15] = [
    "password",
    "passwort",
    "passcode",
    "passphrase",
    "kennwort",
    "contraseña",
    "senha",
    "mot de passe",
    "пароль",
    "密码",
    "パスワード",
    "pwd",
    "pin",
    "cvv",
    "cvc",
];

/// What may stand between such a word and the secret.
const BETWEEN: [&str; 14] = [
    "is", "ist", "es", "est", "was", "war", "lautet", "é", "code", "number", "for", "now", "it",
    "this",
];

/// Those of them after which whatever follows is the secret.
const VERBS: [&str; 8] = ["is", "ist", "es", "est", "was", "war", "lautet", "é"];

/// The text without card numbers and without what is said to be a password.
pub fn redact(text: &str) -> String {
    without_passwords(&without_cards(text))
}

fn without_cards(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let groups = groups_of_digits(rest);
        let Some(end) = groups.last().copied() else { break };
        let card = groups.iter().rev().find(|end| is_card(&rest[..**end]));
        // What begins no card may be followed by one.
        let first = groups.first().copied().unwrap_or(end);
        out.push_str(if card.is_some() { LEFT_OUT } else { &rest[..first] });
        rest = &rest[card.copied().unwrap_or(first)..];
    }
    out + rest
}

/// The ends of the groups of digits at the beginning, with single spaces or dashes between them.
fn groups_of_digits(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut digits = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        match c {
            '0'..='9' => {
                digits += 1;
                if !next_is_digit {
                    ends.push(at + 1);
                }
            }
            ' ' | '-' | '.' if next_is_digit && digits <= *CARD_DIGITS.end() => {}
            _ => break,
        }
    }
    ends
}

fn is_card(run: &str) -> bool {
    let digits: Vec<u32> = run.chars().filter_map(|c| c.to_digit(10)).collect();
    if !CARD_DIGITS.contains(&digits.len()) {
        return false;
    }
    // The check digit of Luhn's: every second one from the right counts twice.
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn without_passwords(text: &str) -> String {
    text.split_inclusive('\n').map(without_passwords_in_line).collect()
}

fn without_passwords_in_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(end) = announcement(rest) {
        let (before, after) = rest.split_at(end);
        out.push_str(before);
        let Some((lead, secret)) = secret_in(after) else {
            rest = after;
            continue;
        };
        out.push_str(&after[..lead]);
        out.push_str(LEFT_OUT);
        rest = &after[lead + secret..];
    }
    out + rest
}

/// Where the first word that announces a secret ends.
fn announcement(text: &str) -> Option<usize> {
    // Places are those of the text itself: lowering may change how long it is.
    text.char_indices().find_map(|(at, _)| {
        let starts = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        let word =
            starts.then(|| ANNOUNCED_BY.iter().find_map(|word| begins(&text[at..], word)))??;
        let whole = text[at + word..].chars().next().is_none_or(|c| !c.is_alphanumeric());
        let unspaced = text[at..].chars().next().is_some_and(|c| c > '\u{2e80}');
        (whole || unspaced).then_some(at + word)
    })
}

/// How long the beginning is that is this word, whatever its case.
fn begins(text: &str, word: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    for expected in word.chars() {
        let (_, c) = chars.next()?;
        if !c.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    Some(chars.next().map_or(text.len(), |(at, _)| at))
}

/// How far after its announcement a secret begins, and how long it is. Something that is no more than
/// an ordinary word is none, unless a colon, an equals sign or a verb says so.
fn secret_in(after: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    let mut is_said = false;
    loop {
        let rest = &after[at..];
        let skipped =
            rest.len() - rest.trim_start_matches([' ', '\t', '"', '\'', '`', '„', '“']).len();
        at += skipped;
        let rest = &after[at..];
        if let Some(mark) =
            rest.chars().next().filter(|c| matches!(c, ':' | '=' | '：' | 'は' | '是'))
        {
            at += mark.len_utf8();
            is_said = true;
            continue;
        }
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let is_among = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(&rest[..word]));
        if is_among(&BETWEEN) {
            is_said |= is_among(&VERBS);
            at += word;
            continue;
        }
        let secret =
            rest[..word].trim_end_matches(['.', ',', ';', '!', '?', '"', '\'', '`', '“', ')']);
        let is_odd = secret.chars().any(|c| c.is_ascii_digit() || c.is_ascii_punctuation());
        return (!secret.is_empty() && (is_said || is_odd)).then_some((at, secret.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_left_out_and_other_numbers_stay() {
        for card in
            ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"]
        {
            let next = format!("on 7, {card} 12/27");
            assert_eq!(redact(&next), "on 7, [left out] 12/27");
            assert_eq!(redact(&format!("Pay with {card}, please")), "Pay with [left out], please");
        }
        for other in
            ["order 4111111111111112", "call 030 1234567", "2026-03-01 10:30", "12", "1.500,00"]
        {
            assert_eq!(redact(other), other);
        }
        let digits = |n: usize| "0".repeat(n);
        assert_eq!(redact(&digits(12)), digits(12));
        assert_eq!([13, 19].map(|n| redact(&digits(n))), [LEFT_OUT, LEFT_OUT]);
        assert_eq!(redact(&digits(20)), digits(20));
    }

    #[test]
    fn what_is_said_to_be_a_password_is_left_out() {
        for (text, left) in [
            ("My password is hunter2.", "My password is [left out]."),
            ("PASSWORD: swordfish and then", "PASSWORD: [left out] and then"),
            ("Mein Passwort lautet Geheim!", "Mein Passwort lautet [left out]!"),
            ("the pin for it is 1234", "the pin for it is [left out]"),
            ("pwd=x\nnext", "pwd=[left out]\nnext"),
            ("my password hunter2 works", "my password [left out] works"),
            ("mot de passe : \"s3cret\"", "mot de passe : \"[left out]\""),
            ("パスワードはabc123です", "パスワードは[left out]"),
        ] {
            assert_eq!(redact(text), left);
        }
    }

    #[test]
    fn talk_about_passwords_stays() {
        for text in [
            "I forgot my password and cannot sign in",
            "She lives in Pinneberg",
            "a spinning wheel",
            "password",
            "Wie ändere ich mein Passwort?",
            "",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
