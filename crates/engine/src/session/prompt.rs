//! Prompts with variables.

use std::collections::BTreeMap;

/// Fills `{{name}}` in, once: what a value brings along is text, and is not filled in again.
/// A variable that is not given becomes nothing.
pub(crate) fn fill_in(prompt: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(prompt.len());
    let mut rest = prompt;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        filled.push_str(variables.get(name.trim()).map_or("", String::as_str));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_once() {
        let variables = [("name", "{{secret}}"), ("secret", "s")];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let fill = |prompt| fill_in(prompt, &variables);
        assert_eq!(fill("Hi {{ name }}, {{unknown}}!"), "Hi {{secret}}, !");
        assert_eq!(fill("no variables"), "no variables");
        assert_eq!(fill("open {{ end"), "open {{ end");
    }
}
