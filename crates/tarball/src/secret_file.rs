//! Which files hold secrets that nobody means to publish. A guard against accidents: who wants to hide one, can.

use std::fmt;

use crate::entry_path::split;

/// Bytes looked at in a file whose content decides: no file of keys or settings is longer.
pub(crate) const LOOKED_AT: u64 = 1024 * 1024;

/// What a file was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// Variables of an environment, `.env` and its variants.
    Environment,
    /// Credentials of a registry, a server or a cluster.
    Credentials,
    /// A private key, or a store of keys.
    PrivateKey,
    /// What git keeps: everything that was ever committed, and where it came from.
    History,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "expected no secrets, found an environment file",
            Self::Credentials => "expected no secrets, found a file for credentials",
            Self::PrivateKey => "expected no secrets, found a private key",
            Self::History => "expected no secrets, found the history of a repository",
        })
    }
}

/// What a file's name says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Suspicion {
    Harmless,
    /// Secret whatever is in it.
    Secret(Secret),
    /// Secret if its content says so.
    IfContent(Secret, fn(&[u8]) -> bool),
}

impl Suspicion {
    /// `path` has `/` between its components. Case does not matter.
    pub(crate) fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let row = SUSPICIONS.iter().find(|(named, _)| named.matches(&path));
        row.map_or(Self::IfContent(Secret::PrivateKey, holds_private_key), |(_, suspicion)| *suspicion)
    }
}

#[derive(Debug, Clone, Copy)]
enum Named {
    Exactly(&'static str),
    Within(&'static str, &'static str),
    Below(&'static str),
    Starting(&'static str),
    Ending(&'static str),
    /// A file to be copied and filled in: `x.example`, `example.env`.
    Sample,
    /// Code, which quotes keys in its tests, and what is written about it.
    Prose,
}

impl Named {
    fn matches(self, path: &str) -> bool {
        let (folder, name) = split(path);
        let extension = || name.rsplit_once('.').map(|(_, extension)| extension);
        match self {
            Self::Exactly(expected) => name == expected,
            Self::Within(parent, expected) => name == expected && split(folder).1 == parent,
            Self::Below(above) => folder.split('/').any(|name| name == above),
            Self::Starting(start) => name.starts_with(start),
            Self::Ending(end) => name.ends_with(end),
            Self::Sample => {
                let word = match name.strip_suffix(".env") {
                    Some(stem) => stem.rsplit(['.', '-', '_']).next(),
                    None => extension(),
                };
                word.is_some_and(|word| SAMPLES.contains(&word))
            }
            Self::Prose => extension().is_some_and(|extension| PROSE.contains(&extension)),
        }
    }
}

/// How files are called that others are made from.
const SAMPLES: [&str; 4] = ["example", "sample", "template", "dist"];

/// Extensions of source code for browsers and Node, and of texts about it.
const PROSE: [&str; 17] = [
    "cjs", "css", "cts", "htm", "html", "js", "jsx", "map", "markdown", "md", "mdx", "mjs", "mts", "scss", "ts", "tsx",
    "vue",
];

/// The first row whose name matches decides. Any other file is looked into for a private key.
const SUSPICIONS: [(Named, Suspicion); 38] = [
    // Told by its top folder.
    (Named::Below(".git"), Suspicion::Harmless),
    (Named::Exactly(".git"), Suspicion::Secret(Secret::History)),
    (Named::Sample, Suspicion::Harmless),
    (Named::Exactly(".env"), Suspicion::Secret(Secret::Environment)),
    (Named::Starting(".env."), Suspicion::Secret(Secret::Environment)),
    (Named::Ending(".env"), Suspicion::Secret(Secret::Environment)),
    (Named::Exactly(".envrc"), Suspicion::Secret(Secret::Environment)),
    (Named::Exactly(".npmrc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".yarnrc"), Suspicion::IfContent(Secret::Credentials, sets_token)),
    (Named::Exactly(".yarnrc.yml"), Suspicion::IfContent(Secret::Credentials, sets_token)),
    (Named::Exactly(".netrc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("_netrc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".pypirc"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".pgpass"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".htpasswd"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".vault-token"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".git-credentials"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly(".dockercfg"), Suspicion::Secret(Secret::Credentials)),
    (Named::Within(".docker", "config.json"), Suspicion::Secret(Secret::Credentials)),
    (Named::Within(".aws", "credentials"), Suspicion::Secret(Secret::Credentials)),
    (Named::Within(".aws", "config"), Suspicion::Secret(Secret::Credentials)),
    (Named::Within(".kube", "config"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("kubeconfig"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("kubeconfig.yaml"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("kubeconfig.yml"), Suspicion::Secret(Secret::Credentials)),
    (Named::Ending(".kubeconfig"), Suspicion::Secret(Secret::Credentials)),
    (Named::Exactly("id_rsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_dsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ecdsa"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ecdsa_sk"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ed25519"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Exactly("id_ed25519_sk"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".p12"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".pfx"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".jks"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".keystore"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Ending(".ppk"), Suspicion::Secret(Secret::PrivateKey)),
    (Named::Prose, Suspicion::Harmless),
];

/// Whether a key stands in it: as text, within JSON, or as the whole file in binary.
fn holds_private_key(content: &[u8]) -> bool {
    is_binary_key(content) || has_line(content, |line| begins_private_key(line) || quotes_private_key(line))
}

fn has_line(content: &[u8], says_so: fn(&[u8]) -> bool) -> bool {
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).any(says_so)
}

/// The line before an encapsulated key (RFC 7468, and what OpenSSH and PGP make of it).
fn begins_private_key(line: &[u8]) -> bool {
    let label = |line: &[u8]| {
        let rest = line.trim_ascii_start().strip_prefix(b"-----BEGIN ")?;
        let end = rest.windows(5).position(|dashes| dashes == b"-----")?;
        Some(rest[..end].to_vec())
    };
    label(line).is_some_and(|label| {
        label.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '))
            && label.windows(11).any(|words| words == b"PRIVATE KEY")
    })
}

/// A member of a JSON object, as in the keys of service accounts.
fn quotes_private_key(line: &[u8]) -> bool {
    const KEY: &[u8] = b"\"private_key\"";
    let value = |after: &[u8]| {
        let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
        Some(begins_private_key(value))
    };
    let mut places = line.windows(KEY.len()).enumerate().filter(|(_, part)| *part == KEY);
    places.any(|(at, _)| value(&line[at + KEY.len()..]).unwrap_or_default())
}

/// DER: one SEQUENCE, no byte after it, with the version 0 or 1 as its first part (RFC 5958, section 2; RFC 8017,
/// A.1.2; RFC 5915, section 3).
fn is_binary_key(content: &[u8]) -> bool {
    let body = match content {
        [0x30, 0x82, high, low, body @ ..] if usize::from(u16::from_be_bytes([*high, *low])) == body.len() => body,
        [0x30, 0x81, len, body @ ..] | [0x30, len @ ..=0x7f, body @ ..] if usize::from(*len) == body.len() => body,
        _ => return false,
    };
    body.starts_with(&[2, 1, 0]) || body.starts_with(&[2, 1, 1])
}

/// A setting of yarn's for a token or password, unless it stands in the environment.
fn sets_token(content: &[u8]) -> bool {
    const SETTINGS: [&[u8]; 5] = [b"_authToken", b"_password", b"_auth", b"npmAuthToken", b"npmAuthIdent"];
    has_line(content, |line| {
        let says = |words: &[u8]| line.windows(words.len()).any(|part| part == words);
        SETTINGS.iter().any(|setting| says(setting)) && !says(b"${") && !line.trim_ascii_start().starts_with(b"#")
    })
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
            Suspicion::IfContent(secret, says_so) => says_so(content).then_some(secret),
        }
    }

    #[test]
    fn names_of_secret_files_are_known_and_their_neighbours_are_not() {
        let rows = [
            (Some(Secret::Environment), &[".env", "package/.env", ".env.local", ".env.production", ".ENV"][..]),
            (Some(Secret::Environment), &[".envrc", "a/.envrc", "x.env", "prod.env", "example-prod.env"]),
            (None, &[".env.example", ".env.sample", ".env.template", ".env.dist", ".env.local.example"]),
            (None, &["example.env", "x.example.env", "x-sample.env", "a/.template.env", ".envrc.example"]),
            (
                None,
                &[".environment", "env", ".env-cmdrc", ".envrc.d/x.js", "dist/env.js", "x.env.js", ".npmrc.example"],
            ),
            (Some(Secret::Credentials), &[".npmrc", "node_modules/x/.npmrc", ".netrc", "_netrc", ".pypirc", ".pgpass"]),
            (Some(Secret::Credentials), &[".git-credentials", ".dockercfg", ".htpasswd", ".vault-token"]),
            (Some(Secret::Credentials), &[".docker/config.json", "a/.docker/config.json", ".kube/config"]),
            (Some(Secret::Credentials), &[".aws/credentials", ".aws/config", "x/.aws/config"]),
            (Some(Secret::Credentials), &["kubeconfig", "kubeconfig.yaml", "dev.kubeconfig", "KubeConfig"]),
            (
                None,
                &["config.json", "docker/config.json", ".docker/x/config.json", "npmrc", ".npmignore", ".gitignore"],
            ),
            (
                None,
                &["credentials", "aws/config", ".aws/x/config", "kube/config", "kubeconfig.js", "netrc", "htpasswd"],
            ),
            (Some(Secret::PrivateKey), &["id_rsa", ".ssh/id_dsa", "id_ecdsa", "id_ed25519", "id_ed25519_sk"]),
            (None, &["id_rsa.pub", "id_rsa.js", "my_id_rsa.txt", "id_rsa.bak"]),
            (Some(Secret::PrivateKey), &["a.p12", "a.pfx", "a.jks", "a.keystore", "a.ppk", "A.PFX"]),
            (None, &["a.p12.js", "keystore", "jks", "a.pem", "a.key", "a.p8", "LICENSE", ".yarnrc.yml"]),
            (Some(Secret::History), &[".git", "node_modules/x/.git", ".GIT"]),
            (None, &[".git/config", ".git/modules/x/.git", "x/.git/.env", ".github", ".gitattributes", "x.git"]),
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
        let rows: [(&str, bool, &[u8]); 22] = [
            ("key", true, KEY),
            ("certificate, then key", true, &bundle),
            ("carriage returns", true, crlf),
            ("byte order mark", true, &[b"\xef\xbb\xbf", KEY].concat()),
            ("in a YAML block", true, b"privateKey: |\n  -----BEGIN RSA PRIVATE KEY-----\n  MIIE\n"),
            ("after a tab", true, b"\t-----BEGIN RSA PRIVATE KEY-----\n"),
            ("encrypted", true, &labelled("ENCRYPTED PRIVATE KEY")),
            ("OpenSSH", true, &labelled("OPENSSH PRIVATE KEY")),
            ("RSA", true, &labelled("RSA PRIVATE KEY")),
            ("PGP", true, &labelled("PGP PRIVATE KEY BLOCK")),
            (
                "service account",
                true,
                br#"{ "private_key_id": "1", "private_key": "-----BEGIN PRIVATE KEY-----\nMII" }"#,
            ),
            ("minified", true, br#"{"a":{"private_key":""},"private_key":"-----BEGIN RSA PRIVATE KEY-----\nMII"}"#),
            ("certificate", false, CERTIFICATE),
            ("public key", false, &labelled("PUBLIC KEY")),
            ("mentioned", false, b"a key starts with -----BEGIN PRIVATE KEY-----\n"),
            ("quoted", false, b"'-----BEGIN PRIVATE KEY-----'\n"),
            ("a pattern", false, b"-----BEGIN [A-Z]* PRIVATE KEY-----\n"),
            ("the end only", false, b"-----END PRIVATE KEY-----\n"),
            ("a schema of service accounts", false, br#"{ "private_key": { "type": "string" } }"#),
            ("an account without its key", false, br#"{ "private_key": "" }"#),
            ("an account's public key", false, br#"{ "public_key": "-----BEGIN PUBLIC KEY-----\nMII" }"#),
            ("an account's certificate", false, br#"{ "private_key": "-----BEGIN CERTIFICATE-----\nMII" }"#),
        ];
        for (name, expected, content) in rows {
            for path in ["server.pem", "server.key", "AuthKey.p8", "deploy", ".hidden", "node_modules/x/test/Key.PEM"] {
                assert_eq!(secret(path, content).is_some(), expected, "{name} in {path}");
            }
            for path in ["id_rsa.bak", "id_rsa.old", "key.txt", "app.yaml", "account.json", "server.crt", "key.pub"] {
                assert_eq!(secret(path, content).is_some(), expected, "{name} in {path}");
            }
            for path in ["index.js", "index.js.map", "README.md", "key.d.ts", "docs/key.html", "server.key.example"] {
                assert_eq!(secret(path, content), None, "{name} in {path}");
            }
        }
    }

    #[test]
    fn a_key_in_binary_is_known_by_its_version() {
        let sequence = |head: &[u8], body: &[u8]| [&[0x30][..], head, body].concat();
        let long = [&[2, 1, 0, 2, 0x82, 1, 1][..], &[0x55; 257]].concat();
        let rows: [(&str, bool, Vec<u8>); 9] = [
            ("RSA", true, sequence(&[0x82, 1, 8], &long)),
            ("PKCS#8", true, sequence(&[6], &[2, 1, 0, 0x30, 1, 5])),
            ("EC", true, sequence(&[0x81, 6], &[2, 1, 1, 4, 1, 5])),
            ("cut", false, sequence(&[0x82, 1, 9], &long)),
            ("more after it", false, sequence(&[5], &[2, 1, 0, 0x30, 1, 5])),
            ("PKCS#12", false, sequence(&[6], &[2, 1, 3, 0x30, 1, 5])),
            ("certificate", false, sequence(&[6], &[0x30, 1, 5, 0x30, 1, 5])),
            ("public key", false, sequence(&[0x82, 1, 5], &long[3..])),
            ("empty", false, Vec::new()),
        ];
        for (name, expected, content) in rows {
            for path in ["server.key", "server.der", "deploy"] {
                assert_eq!(secret(path, &content).is_some(), expected, "{name} in {path}");
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
