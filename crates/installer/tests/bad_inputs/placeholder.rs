//! What stands in pointed brackets in the table: digests of the artifacts that the cases serve, and names.

use base64ct::{Base64, Encoding};
use testkit::{Image, Plugin, sha256_digest, sri};

/// The good plugin's name.
pub(crate) const PLUG: &str = "plug";

/// The plugin that all is well with.
pub(crate) fn good() -> Vec<u8> {
    Plugin::backend(PLUG).tarball()
}

/// Another one.
pub(crate) fn other() -> Vec<u8> {
    Plugin::backend(PLUG).version("2.0.0").tarball()
}

/// One that writes where it must not.
pub(crate) fn evil() -> Vec<u8> {
    Plugin::backend(PLUG).archive().file("package/../../escape.txt", "out").gzip()
}

/// A text with its placeholders filled in.
pub(crate) fn fill(text: &str) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    let mut used = 0;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').ok_or_else(|| format!("a placeholder has no end: `{text}`"))?;
        filled.push_str(before);
        let value = resolve(&filled, name, &mut used);
        filled.push_str(&value.ok_or_else(|| format!("the placeholder `<{name}>` is not known"))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `before` tells the algorithm; `used` counts the characters of the good digest that were written already.
fn resolve(before: &str, name: &str, used: &mut usize) -> Option<String> {
    let algorithm = before.trim_end_matches(['-', ':']);
    let algorithm = &algorithm[algorithm.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1)..];
    let good = digits(algorithm, &good());
    let changed = |value: String| (value != good).then_some(value);
    match name {
        "good" => return Some(good),
        "other" => return Some(digits(algorithm, &other())),
        "evil" => return Some(digits(algorithm, &evil())),
        "good without ==" => return changed(good.trim_end_matches('=').to_owned()),
        "good in the URL-safe alphabet" => return changed(good.replace('+', "-").replace('/', "_")),
        "good, last digit +1: unused bits set" => {
            let last = good.trim_end_matches('=').len() - 1;
            let mut bytes = good.clone().into_bytes();
            // The last digit has bits to spare, so that the next one in the alphabet differs in those only.
            bytes[last] += 1;
            return String::from_utf8(bytes).ok();
        }
        "Docker Hub API host" => return Some("registry-1.docker.io".to_owned()),
        "Docker Hub short host" => return Some("docker.io".to_owned()),
        _ => {}
    }
    if let Some(len) = name.strip_prefix("base64 of ").and_then(|rest| rest.strip_suffix(" bytes")) {
        return Some(Base64::encode_string(&vec![0x5a; len.parse().ok()?]));
    }
    let (count, unit) = name.split_once(' ')?;
    let count: usize = count.parse().ok()?;
    match unit {
        "chars" => {
            let piece = good.get(*used..*used + count)?.to_owned();
            *used += count;
            Some(piece)
        }
        "characters" => Some("a".repeat(count)),
        "hex" | "hex digits" if count == 64 => manifest_digest().strip_prefix("sha256:").map(str::to_owned),
        "hex" | "hex digits" => {
            let bytes = Base64::decode_vec(&digits("sha512", &self::good())).expect("a digest is base64");
            let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble is a digit");
            Some(bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).cycle().take(count).collect())
        }
        _ => None,
    }
}

/// The digest of the manifest that a push of the good plugin makes.
fn manifest_digest() -> String {
    sha256_digest(Image::plugin(&good()).manifest().to_string().as_bytes())
}

/// The true digest of these bytes; of an algorithm that nothing here computes, as many characters as it has.
fn digits(algorithm: &str, bytes: &[u8]) -> String {
    let filler = |len| Base64::encode_string(&vec![0x5a; len]);
    match algorithm.to_ascii_lowercase().as_str() {
        "sha256" => {
            let hex = sha256_digest(bytes);
            let hex = hex.trim_start_matches("sha256:");
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a digest is hex");
            Base64::encode_string(&(0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>())
        }
        "sha384" => filler(48),
        "sha1" => filler(20),
        "md5" => filler(16),
        _ => sri(bytes).trim_start_matches("sha512-").to_owned(),
    }
}

#[test]
fn placeholders_are_what_their_names_say() {
    let good = sri(&good());
    assert_eq!(fill("sha512-<good>").unwrap(), good);
    assert_eq!(fill("sha512-<76 chars>\n<12 chars>").unwrap().replace('\n', ""), good);
    assert_eq!(fill("sha512-<good without ==>").unwrap() + "==", good);
    assert_eq!(fill("<64 hex>").unwrap().len(), 64);
    assert_eq!(fill("sha512-<128 hex digits>").unwrap().len(), 7 + 128);
    assert_eq!(fill("sha512-<base64 of 63 bytes>").unwrap().len(), 7 + 84);
    assert_eq!(fill("sha256-<44 chars>").unwrap().len(), 7 + 44);
    assert_eq!(fill("x:<129 characters>").unwrap().len(), 2 + 129);
    for changed in ["good in the URL-safe alphabet", "good, last digit +1: unused bits set", "other", "evil"] {
        let value = fill(&format!("sha512-<{changed}>")).unwrap();
        assert!(value != good && value.len() == good.len(), "{changed}: {value}");
    }
    assert!(fill("<nothing of the kind>").is_err());
}
