//! Secrets as configured become secrets as used: here, at the moment of use, and nowhere else.

use epilogue_core::agent::SecretRef;
use secrecy::SecretString;

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `env:NAME` names a variable that is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// `file:PATH` names a file that cannot be read.
    #[error("the secret file {path} cannot be read")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Resolves `env:NAME`, `file:PATH` (without a trailing line break), `literal:TEXT`, or the secret
/// itself. What follows `literal:` is taken as it is, whatever it looks like.
pub fn resolve(secret: &SecretRef) -> Result<SecretString, SecretError> {
    if let Some(text) = secret.0.strip_prefix(SecretRef::LITERAL) {
        return Ok(SecretString::from(text));
    }
    if let Some(name) = secret.0.strip_prefix("env:") {
        return std::env::var(name)
            .map(SecretString::from)
            .map_err(|_| SecretError::Unset(name.to_owned()));
    }
    if let Some(path) = secret.0.strip_prefix("file:") {
        return std::fs::read_to_string(path)
            .map(|text| SecretString::from(text.trim_end_matches(['\r', '\n'])))
            .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source });
    }
    Ok(SecretString::from(secret.0.clone()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_four_forms() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "from-file\n").expect("written");
        let read = |text: String| resolve(&SecretRef(text)).map(|s| s.expose_secret().to_owned());
        assert_eq!(read(format!("file:{}", file.path().display())).expect("a file"), "from-file");
        assert_eq!(read("literal".into()).expect("a literal"), "literal");
        assert_eq!(read("env:PATH".into()).ok(), std::env::var("PATH").ok());
        assert_eq!(read("literal:env:PATH".into()).expect("a literal"), "env:PATH");
        for text in ["env:PATH", "literal:file:/etc/passwd", ""] {
            assert_eq!(read(SecretRef::literal(text).0).expect("a literal"), text);
        }
        assert!(matches!(read("env:NOT_SET_ANYWHERE".into()), Err(SecretError::Unset(_))));
        assert!(matches!(read("file:/no/such".into()), Err(SecretError::Unreadable { .. })));
    }
}
