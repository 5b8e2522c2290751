//! From which pages something may be used: the grammar of origins, and what each admits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest origin that is written down, in characters.
pub const ORIGIN_CHARS_MAX: usize = 300;

/// One admitted place. The text as it was written is kept, so that it is shown unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginRule {
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// `*`: every page.
    Any,
    /// `https://shop.example.com` or with a port: exactly that origin.
    Exactly(Page),
    /// `*.example.com`: every subdomain, not the domain itself; any scheme and port.
    Below(String),
    /// `example.com`: that host alone; any scheme and port.
    Host(String),
}

/// What tells the pages of one origin from those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page {
    secure: bool,
    host: String,
    port: u16,
}

/// The text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// It is too long.
    #[error("must have at most {ORIGIN_CHARS_MAX} characters")]
    TooLong,
    /// It has a port without a scheme.
    #[error("may have a port only after http:// or https://")]
    Port,
    /// It has more than scheme, host and port.
    #[error("must be a scheme, a host and perhaps a port, and nothing after them")]
    Trailing,
    /// It is of no known form.
    #[error("must be like https://shop.example.com, *.example.com, example.com or *")]
    Form,
}

impl FromStr for OriginRule {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        if text.chars().count() > ORIGIN_CHARS_MAX {
            return Err(BadOrigin::TooLong);
        }
        let trimmed = text.trim();
        let rule = if trimmed == "*" {
            Rule::Any
        } else if trimmed.contains("://") {
            Rule::Exactly(page(trimmed, true)?)
        } else if let Some(domain) = trimmed.strip_prefix("*.") {
            Rule::Below(domain_name(domain)?)
        } else {
            Rule::Host(domain_name(trimmed)?)
        };
        Ok(Self { text: text.to_owned(), rule })
    }
}

impl TryFrom<String> for OriginRule {
    type Error = BadOrigin;

    fn try_from(text: String) -> Result<Self, BadOrigin> {
        text.parse()
    }
}

impl From<OriginRule> for String {
    fn from(origin: OriginRule) -> Self {
        origin.text
    }
}

impl fmt::Display for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl OriginRule {
    fn admits(&self, page: &Page) -> bool {
        match &self.rule {
            Rule::Any => true,
            Rule::Exactly(one) => one == page,
            Rule::Host(host) => *host == page.host,
            Rule::Below(domain) => page
                .host
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
        }
    }
}

/// Whether a page of this `Origin` is admitted. No rules admit everything, a request without an
/// `Origin` included, which no browser sends; with rules that name places, such a request is refused.
pub fn admits(rules: &[OriginRule], origin: Option<&str>) -> bool {
    if rules.is_empty() || rules.iter().any(|rule| rule.rule == Rule::Any) {
        return true;
    }
    let page = origin.and_then(|origin| page(origin, false).ok());
    page.is_some_and(|page| rules.iter().any(|rule| rule.admits(&page)))
}

/// Reads scheme, host and port, and nothing else. In a rule, one slash may follow.
fn page(text: &str, in_rule: bool) -> Result<Page, BadOrigin> {
    let url = Url::parse(text).map_err(|_| BadOrigin::Form)?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(BadOrigin::Form),
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let named = !url.username().is_empty() || url.password().is_some();
    if !bare || named || (text.ends_with('/') && !in_rule) {
        return Err(BadOrigin::Trailing);
    }
    let host = match url.host().ok_or(BadOrigin::Form)? {
        Host::Domain(name) => domain_name(name)?,
        address => address.to_string(),
    };
    let port = url.port_or_known_default().ok_or(BadOrigin::Form)?;
    Ok(Page { secure, host, port })
}

/// A host by its name or number, as it is compared: lower case, and ASCII.
fn domain_name(text: &str) -> Result<String, BadOrigin> {
    if text.contains(['/', '?', '#', '@', '\\']) {
        return Err(BadOrigin::Trailing);
    }
    if text.contains(':') {
        return Err(BadOrigin::Port);
    }
    match Host::parse(text).map_err(|_| BadOrigin::Form)? {
        Host::Domain(name) if is_name(&name) => Ok(name),
        Host::Ipv4(address) => Ok(address.to_string()),
        _ => Err(BadOrigin::Form),
    }
}

/// Labels of letters, digits, hyphens and underscores.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rules: &[&str], origin: &str) -> bool {
        let rules: Vec<OriginRule> =
            rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
        admits(&rules, Some(origin))
    }

    #[test]
    fn no_rules_and_the_star_admit_every_page() {
        for rules in [&[][..], &["*"], &["example.com", "*"]] {
            assert!(admitted(rules, "https://anything.test:99"));
        }
        assert!(admits(&[], None));
        assert!(!admits(&["example.com".parse().expect("a rule")], None));
    }

    #[test]
    fn a_full_origin_admits_its_scheme_host_and_port_alone() {
        let rule = &["https://Shop.example.com"];
        assert!(admitted(rule, "https://shop.example.com"));
        assert!(admitted(rule, "https://shop.example.com:443"));
        for other in [
            "http://shop.example.com",
            "https://shop.example.com:8443",
            "https://a.shop.example.com",
            "https://example.com",
            "null",
            "",
        ] {
            assert!(!admitted(rule, other), "{other}");
        }
        assert!(admitted(&["http://localhost:3000/"], "http://localhost:3000"));
        assert!(!admitted(&["http://localhost:3000"], "http://localhost"));
    }

    #[test]
    fn a_wildcard_admits_subdomains_and_not_the_root() {
        let rule = &["*.example.com"];
        for inside in ["https://a.example.com", "http://a.b.EXAMPLE.com:8080"] {
            assert!(admitted(rule, inside), "{inside}");
        }
        for outside in ["https://example.com", "https://notexample.com", "https://example.com.evil"]
        {
            assert!(!admitted(rule, outside), "{outside}");
        }
    }

    #[test]
    fn a_bare_domain_admits_that_host_with_any_scheme_and_port() {
        let rule = &["example.com"];
        assert!(admitted(rule, "http://example.com") && admitted(rule, "https://example.com:444"));
        assert!(!admitted(rule, "https://www.example.com"));
        assert!(admitted(&["127.0.0.1"], "http://127.0.0.1:8000"));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_reason() {
        let refusal = |text: &str| text.parse::<OriginRule>().expect_err(text);
        for text in ["", "*.", "*.*.com", "a..b", "ftp://example.com", "exa mple.com", "https://"] {
            assert_eq!(refusal(text), BadOrigin::Form, "{text}");
        }
        assert_eq!(refusal("example.com:8080"), BadOrigin::Port);
        for text in ["https://example.com/path", "example.com/x", "https://u@example.com"] {
            assert_eq!(refusal(text), BadOrigin::Trailing, "{text}");
        }
        let longest = format!("a{}", ".a".repeat((ORIGIN_CHARS_MAX - 1) / 2));
        assert!(format!("{longest}b").parse::<OriginRule>().is_ok());
        assert_eq!(refusal(&format!("{longest}bb")), BadOrigin::TooLong);
    }

    #[test]
    fn a_rule_is_shown_as_it_was_written() {
        let rule: OriginRule = " https://Shop.example.com/ ".parse().expect("a rule");
        assert_eq!(rule.to_string(), " https://Shop.example.com/ ");
        let json = serde_json::to_value(&rule).expect("serializes");
        assert_eq!(serde_json::from_value::<OriginRule>(json).expect("reads back"), rule);
    }
}
