//! What registries say, made fit for an error: on one line, of bounded length, and without secrets.

use std::fmt::Display;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use transport::Secret;

/// Most characters that are shown of one text.
const TEXT_LIMIT: usize = 200;
/// Most texts that are shown of a list.
const LIST_LIMIT: usize = 20;
/// Most characters that are shown of an answer's reasons together.
const REASONS_LIMIT: usize = 300;
/// Most outcomes that are told of one question.
const OUTCOME_LIMIT: usize = 5;
/// The body of an answer that is a failure (distribution-spec, "Error Codes").
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: Option<String>,
    message: Option<String>,
}

impl Reason {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.code, &self.message].into_iter().flatten().map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// A text of a registry.
pub(crate) fn shown(text: &str) -> String {
    cut(text, TEXT_LIMIT)
}

/// Several of them.
pub(crate) fn list<T: Display>(texts: impl IntoIterator<Item = T>) -> String {
    let mut texts = texts.into_iter();
    let listed: Vec<String> =
        texts.by_ref().take(LIST_LIMIT).map(|text| format!("`{}`", shown(&text.to_string()))).collect();
    match (listed.is_empty(), texts.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => listed.join(", "),
        (false, more) => format!("{} and {more} more", listed.join(", ")),
    }
}

/// What came of several acts, each with its subject.
pub(crate) fn outcomes<T: Display>(acts: impl IntoIterator<Item = (impl Display, T)>) -> String {
    let mut acts = acts.into_iter();
    let told = acts.by_ref().take(OUTCOME_LIMIT).map(|(subject, outcome)| {
        format!("`{}` ({})", shown(&subject.to_string()), cut(&outcome.to_string(), REASONS_LIMIT))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    match acts.count() {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Why a registry says no, where it says so in the specified form. An answer that repeats what it was asked with is not
/// shown at all.
pub(crate) fn reasons(json: &[u8], authorization: Option<&Secret>) -> Option<String> {
    let Refusal { errors } = serde_json::from_slice(json).ok()?;
    let secrets = authorization.map(secrets).unwrap_or_default();
    if errors.iter().flat_map(Reason::texts).any(|text| secrets.iter().any(|secret| secret.is_repeated_in(text))) {
        return None;
    }
    // What looks like a URL's secret is cut before the length is: half of it would no longer look like one.
    let reason = |reason: &Reason| reason.texts().map(source::redact).collect::<Vec<_>>().join(": ");
    let reasons: Vec<String> = errors.iter().map(reason).filter(|reason| !reason.is_empty()).collect();
    (!reasons.is_empty()).then(|| cut(&reasons.join("; "), REASONS_LIMIT))
}

/// What must not be repeated of an `Authorization`: a token, or a password and its proof.
pub(crate) fn secrets(authorization: &Secret) -> Vec<Secret> {
    let (scheme, proof) = authorization.expose().split_once(' ').unwrap_or_default();
    let pair = if scheme == "Basic" { Base64::decode_vec(proof).ok() } else { None };
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
    let password = pair.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
    [Some(proof), password].into_iter().flatten().map(|secret| Secret::new(secret.to_owned())).collect()
}

fn cut(text: &str, most: usize) -> String {
    let beginning: String = text.chars().take(most + 1).collect();
    let mut shown = source::printable(&beginning);
    if let Some((end, _)) = shown.char_indices().nth(most) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_shown_in_their_form_and_no_other() {
        let long = "x".repeat(1_000);
        for (name, json, expected) in [
            ("code and message", r#"{"errors":[{"code":"A","message":"b","detail":{}}]}"#, Some("A: b")),
            ("two", r#"{"errors":[{"code":"A"},{"code":"B","message":"b"}]}"#, Some("A; B: b")),
            ("message alone", r#"{"errors":[{"status":404,"message":" b "}]}"#, Some("b")),
            ("of nothing", r#"{"errors":[{"code":null,"message":""},{}]}"#, None),
            ("none", r#"{"errors":[]}"#, None),
            ("another form", r#"{"message":"b"}"#, None),
            ("code of another type", r#"{"errors":[{"code":1,"message":"b"}]}"#, None),
            ("HTML", "<html>", None),
            ("control characters", r#"{"errors":[{"code":"\u001b[2J\n\u202e"}]}"#, Some("\\u{1b}[2J\\n\\u{202e}")),
            (
                "a URL with a password",
                r#"{"errors":[{"code":"A","message":"https://u:s3cret@host/"}]}"#,
                Some("A: https://…@host/"),
            ),
            (
                "a signed URL",
                r#"{"errors":[{"code":"A","message":"at https://h/x?sig=s3cret"}]}"#,
                Some("A: at https://h/x?…"),
            ),
            ("long", &format!(r#"{{"errors":[{{"code":"{long}"}}]}}"#), Some(&format!("{}…", &long[..300]))),
        ] {
            assert_eq!(reasons(json.as_bytes(), None).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn answer_that_repeats_a_secret_is_not_shown() {
        let secret = |text: &str| Secret::new(text.to_owned());
        // `octocat:pass:word`.
        let (basic, bearer) = (secret("Basic b2N0b2NhdDpwYXNzOndvcmQ="), secret("Bearer a.token"));
        for (name, authorization, message, expected) in [
            ("nothing of it", &basic, "octocat may not", Some("octocat may not")),
            ("the header", &basic, "Authorization: Basic b2N0b2NhdDpwYXNzOndvcmQ=", None),
            ("the password", &basic, "octocat may not with pass:word", None),
            ("the password, encoded", &basic, "password=PASS%3aword", None),
            ("the password in base64", &basic, "it was cGFzczp3b3Jk", None),
            ("the password in hex", &basic, "it was 706173733A776F7264", None),
            ("the token", &bearer, "<a.token> has expired", None),
        ] {
            let long = "x".repeat(REASONS_LIMIT);
            let json = |message: &str| serde_json::json!({ "errors": [{ "message": message }] }).to_string();
            assert_eq!(reasons(json(message).as_bytes(), Some(authorization)).as_deref(), expected, "{name}");
            let behind = reasons(json(&format!("{long}{message}")).as_bytes(), Some(authorization));
            assert_eq!(behind.is_some(), expected.is_some(), "{name}, behind what is shown");
        }
    }

    #[test]
    fn lists_are_bounded() {
        assert_eq!(list::<&str>([]), "none");
        assert_eq!(list(["a", "b\u{7}"]), "`a`, `b\\u{7}`");
        assert!(list(0..LIST_LIMIT).ends_with(", `19`"));
        assert!(list(0..LIST_LIMIT + 2).ends_with(", `19` and 2 more"));
        assert_eq!(shown(&"\u{202e}".repeat(1 << 20)).chars().count(), TEXT_LIMIT + 1);
    }
}
