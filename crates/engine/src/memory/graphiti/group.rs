//! What a person's memory is called in Graphiti.

use epilogue_core::{MemoryScope, OrgId};
use sha2::{Digest, Sha256};

/// The group of what is remembered under a scope. A digest: the server takes letters, digits, `-` and
/// `_` alone, accepts other names all the same and dies of them later, and knows no organizations, so
/// that theirs must be part of the name. No two scopes share a group.
pub(super) fn group(org: &OrgId, scope: &MemoryScope) -> String {
    let mut digest = Sha256::new();
    digest.update(org.as_str().len().to_be_bytes());
    digest.update(org.as_str());
    digest.update(&scope.0);
    format!("epilogue_{}", hex::encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(org: &str, scope: &str) -> String {
        group(&OrgId::from(org), &MemoryScope(scope.into()))
    }

    #[test]
    fn whatever_it_is_called_the_server_can_take_it() {
        for org in ["org", "Müller & Söhne", "a/b?c#d", "", &"x".repeat(4_096)] {
            let name = named(org, "an email@example.com");
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(name.bytes().all(fits) && name.len() < 100, "{name}");
        }
    }

    #[test]
    fn nobody_shares_a_group() {
        assert_eq!(named("a", "b"), named("a", "b"));
        assert_ne!(named("a", "b"), named("b", "b"));
        assert_ne!(named("a", "bc"), named("ab", "c"));
    }
}
