//! Which files hold secrets that nobody means to publish. A guard against accidents: who wants to hide one, can.

use std::fmt;
use std::path::Path;

use crate::entry_path::split;

/// Bytes looked at in a file whose content decides: no file of keys or settings is longer.
pub(crate) const LOOKED_AT: u64 = 1024 * 1024;

/// What a file was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// Variables of an environment, `.env` and its variants.
    Environment,
    /// Credentials of a registry or a server.
    Credentials,
    /// A private key, or a store of keys.
    PrivateKey,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "expected no secrets, found an environment file",
            Self::Credentials => "expected no secrets, found a file for credentials",
            Self::PrivateKey => "expected no secrets, found a private key",
        })
    }
}

/// What a file's name says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Suspicion {
    Harmless,
    /// Secret whatever is in it.
    Secret(Secret),
    /// Secret if a line of it says so.
    IfLine(Secret, fn(&[u8]) -> bool),
}

impl Suspicion {
    /// `path` has `/` between its components. Case does not matter.
    pub(crate) fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        SUSPICIONS.iter().find(|(named, _)| named.matches(&path)).map_or(Self::Harmless, |(_, suspicion)| *suspicion)
    }
}

/// Whether a line of `content` passes `says_so`.
pub(crate) fn has_line(content: &[u8], says_so: fn(&[u8]) -> bool) -> bool {
    content.split(|byte| matches!(byte, b'\n' | b'\r')).any(says_so)
}

#[derive(Debug, Clone, Copy)]
enum Named {
    Exactly(&'static str),
    Within(&'static str, &'static str),
    Starting(&'static str),
    Ending(&'static str),
    WithoutExtension,
}

impl Named {
    fn matches(self, path: &str) -> bool {
        let (folder, name) = split(path);
        match self {
            Self::Exactly(expected) => name == expected,
            Self::Within(parent, expected) => name == expected && split(folder).1 == parent,
            Self::Starting(start) => name.starts_with(start),
            Self::Ending(end) => name.ends_with(end),
            Self::WithoutExtension => Path::new(name).extension().is_none(),
        }
    }
}

/// The first row whose name matches decides.
const SUSPICIONS: [(Named, Suspicion); 26] = [
    (Named::Ending(".example"), Suspicion::Harmless),
    (Named::Ending(".sample"), Suspicion::Harmless),
    (Named::Ending(".template"), Suspicion::Harmless),
    (Named::Ending(".dist"), Suspicion::Harmless),
    (Named::Exactly(".env"), Suspicion::Secret(Secret::Environment)),
    (Named::Starting(".env."), Suspicion::Secret(Secret::Environment)),
    (Named::Exactly(".npmrc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".yarnrc"), Suspicion::IfLine(Secret::Credentials, sets_token)),
    (Named::Exactly(".yarnrc.yml"), Suspicion::IfLine(Secret::Credentials, sets_token)),
    (Named::Exactly(".netrc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".pypirc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".git-credentials"), Suspicion::Secret(Secret::Credentials)),
    (Named::Within(".docker", "config.json"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("id_rsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_dsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ecdsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ed25519"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".p12"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".pfx"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".jks"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".keystore"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".ppk"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".pem"), Suspicion::IfLine(Secret::PrivateKey, begins_private_key)),
    (Named::Ending(".key"), Suspicion::IfLine(Secret::PrivateKey, begins_private_key)),
    (Named::Ending(".p8"), Suspicion::IfLine(Secret::PrivateKey, begins_private_key)),
    (Named::WithoutExtension, Suspicion::IfLine(Secret::PrivateKey, begins_private_key)),
];

/// The line before an encapsulated key (RFC 7468, and what OpenSSH and PGP make of it).
fn begins_private_key(line: &[u8]) -> bool {
    let label = |line: &[u8]| {
        let rest = line.strip_prefix(b"-----BEGIN ")?;
        let end = rest.windows(5).position(|dashes| dashes == b"-----")?;
        Some(rest[..end].to_vec())
    };
    label(line).is_some_and(|label| {
        label.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '))
            && label.windows(11).any(|words| words == b"PRIVATE KEY")
    })
}

/// A setting of yarn's for a token or password, unless it stands in the environment.
fn sets_token(line: &[u8]) -> bool {
    const SETTINGS: [&[u8]; 5] = [b"_authToken", b"_password", b"_auth", b"npmAuthToken", b"npmAuthIdent"];
    let says = |words: &[u8]| line.windows(words.len()).any(|part| part == words);
    SETTINGS.iter().any(|setting| says(setting)) && !says(b"${") && !line.trim_ascii_start().starts_with(b"#")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    fn secret(path: &str, content: &[u8]) -> Option<Secret> {
        match Suspicion::of(path) {
            Suspicion::Harmless => None,
            Suspicion::Secret(secret) => Some(secret),
            Suspicion::IfLine(secret, says_so) => has_line(content, says_so).then_some(secret),
        }
    }

    #[test]
    fn names_of_secret_files_are_known_and_their_neighbours_are_not() {
        let rows = [
            (Some(Secret::Environment), &[".env", "package/.env", ".env.local", ".env.production", ".ENV"][..]),
            (None, &[".env.example", ".env.sample", ".env.template", ".env.dist", ".env.local.example"]),
            (None, &[".environment", "env", "x.env", ".env-cmdrc", ".envrc.d/x.js", "dist/env.js", ".npmrc.example"]),
            (Some(Secret::Credentials), &[".npmrc", "node_modules/x/.npmrc", ".netrc", ".pypirc", ".git-credentials"]),
            (Some(Secret::Credentials), &[".docker/config.json", "a/.docker/config.json"]),
            (
                None,
                &["config.json", "docker/config.json", ".docker/x/config.json", "npmrc", ".npmignore", ".gitignore"],
            ),
            (Some(Secret::PrivateKey), &["id_rsa", ".ssh/id_dsa", "id_ecdsa", "id_ed25519"]),
            (None, &["id_rsa.pub", "id_rsa.js", "my_id_rsa.txt"]),
            (Some(Secret::PrivateKey), &["a.p12", "a.pfx", "a.jks", "a.keystore", "a.ppk", "A.PFX"]),
            (None, &["a.p12.js", "keystore", "jks", "a.pem", "a.key", "a.p8", "LICENSE", ".yarnrc.yml"]),
        ];
        for (expected, paths) in rows {
            for path in paths {
                assert_eq!(secret(path, b"x"), expected, "{path}");
            }
        }
    }

    #[test]
    fn a_private_key_is_known_by_its_first_line() {
        let bundle = [CERTIFICATE, KEY].concat();
        let crlf = b"subject\r\n-----BEGIN EC PRIVATE KEY-----\r\nMHc=\r\n";
        let labelled = |label: &str| format!("-----BEGIN {label}-----\nx\n").into_bytes();
        let rows: [(&str, bool, &[u8]); 13] = [
            ("key", true, KEY),
            ("certificate, then key", true, &bundle),
            ("carriage returns", true, crlf),
            ("encrypted", true, &labelled("ENCRYPTED PRIVATE KEY")),
            ("OpenSSH", true, &labelled("OPENSSH PRIVATE KEY")),
            ("RSA", true, &labelled("RSA PRIVATE KEY")),
            ("PGP", true, &labelled("PGP PRIVATE KEY BLOCK")),
            ("certificate", false, CERTIFICATE),
            ("public key", false, &labelled("PUBLIC KEY")),
            ("mentioned", false, b"a key starts with -----BEGIN PRIVATE KEY-----\n"),
            ("quoted", false, b"'-----BEGIN PRIVATE KEY-----'\n"),
            ("a pattern", false, b"-----BEGIN [A-Z]* PRIVATE KEY-----\n"),
            ("the end only", false, b"-----END PRIVATE KEY-----\n"),
        ];
        for (name, expected, content) in rows {
            for path in ["server.pem", "server.key", "AuthKey.p8", "deploy", ".hidden", "node_modules/x/test/Key.PEM"] {
                assert_eq!(secret(path, content).is_some(), expected, "{name} in {path}");
            }
            for path in ["index.js", "README.md", "key.d.ts", "ca.crt", "key.pub"] {
                assert_eq!(secret(path, content), None, "{name} in {path}");
            }
        }
    }

    #[test]
    fn settings_of_yarn_are_secret_with_a_token_in_them() {
        let rows: [(&str, bool, &[u8]); 6] = [
            (".yarnrc.yml", true, b"nodeLinker: node-modules\nnpmAuthToken: abc\n"),
            (".yarnrc.yml", true, b"npmScopes:\n  acme:\n    npmAuthIdent: user:password\n"),
            (".yarnrc.yml", false, b"nodeLinker: node-modules\n"),
            (".yarnrc.yml", false, b"npmAuthToken: \"${NPM_TOKEN}\"\n# npmAuthToken: abc\n"),
            (".yarnrc", true, b"\"//host/:_authToken\" \"abc\"\n"),
            (".yarnrc", false, b"registry \"https://host\"\n"),
        ];
        for (path, expected, content) in rows {
            assert_eq!(secret(path, content).is_some(), expected, "{path}: {}", content.escape_ascii());
        }
    }
}
