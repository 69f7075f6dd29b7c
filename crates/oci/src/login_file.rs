//! Writing logins into Docker's `config.json`, as its clients do.

use base64ct::{Base64, Encoding};
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};
use source::Authority;
use transport::Secret;

use crate::CredentialsError;
use crate::credentials::normal_key;
use crate::docker_hub::{DOCKER_HUB, DOCKER_HUB_KEY, one_name};

/// The keys of an entry that say who one is.
const LOGIN_KEYS: [&str; 5] = ["auth", "identitytoken", "registrytoken", "username", "password"];

/// A `config.json` that is being changed. Whatever else it holds is kept.
#[derive(Debug, Clone, Default)]
pub struct LoginFile(Map<String, Value>);

/// Where a registry's login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginPlace {
    /// In the file itself.
    File,
    /// With the program `docker-credential-<helper>`, under the name `server`.
    Helper {
        /// The helper's short name.
        helper: String,
        /// What it calls the registry.
        server: String,
    },
}

impl LoginFile {
    /// Reads a file; an empty one stands for one that is not there.
    ///
    /// # Errors
    /// [`CredentialsError::Json`].
    pub fn parse(json: &[u8]) -> Result<Self, CredentialsError> {
        if json.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let value: Map<String, Value> = serde_json::from_slice(json).map_err(|error| CredentialsError::Json {
            at: format!("line {}, column {}", error.line(), error.column()),
        })?;
        let is_object = |key| value.get(key).is_none_or(Value::is_object);
        if is_object("auths") && is_object("credHelpers") {
            Ok(Self(value))
        } else {
            Err(CredentialsError::Json { at: "`auths` or `credHelpers`".to_owned() })
        }
    }

    /// Where a login for `registry` belongs: its own helper first, then the common store.
    pub fn place(&self, registry: &Authority) -> LoginPlace {
        let written = registry.to_string();
        let host = one_name(&written);
        let own = self.0.get("credHelpers").and_then(Value::as_object);
        let own = own.and_then(|helpers| helpers.iter().find(|(key, _)| normal_key(key) == host));
        let common = || self.0.get("credsStore").map(|store| (key_of(host).to_owned(), store));
        let found = own.map(|(server, helper)| (server.clone(), helper)).or_else(common);
        match found.and_then(|(server, helper)| Some((server, helper.as_str().filter(|name| !name.is_empty())?))) {
            Some((server, helper)) => LoginPlace::Helper { helper: helper.to_owned(), server },
            None => LoginPlace::File,
        }
    }

    /// Writes a login, in place of the one that is there. A user name with a colon has no such form (RFC 7617,
    /// section 2); the caller has refused it.
    pub fn insert(&mut self, registry: &Authority, user: &str, password: &Secret) {
        self.remove(registry);
        let written = registry.to_string();
        let auth = Base64::encode_string(format!("{user}:{}", password.expose()).as_bytes());
        let auths = self.0.entry("auths").or_insert_with(|| json!({}));
        if let Some(auths) = auths.as_object_mut() {
            let entry = auths.entry(key_of(one_name(&written))).or_insert_with(|| json!({}));
            entry["auth"] = json!(auth);
        }
    }

    /// Removes a login, under whichever name the registry has there; says whether there was one.
    pub fn remove(&mut self, registry: &Authority) -> Removed {
        let written = registry.to_string();
        let host = one_name(&written);
        let mut removed = Removed::Nothing;
        let Some(auths) = self.0.get_mut("auths").and_then(Value::as_object_mut) else { return removed };
        auths.retain(|key, entry| {
            if normal_key(key) != host {
                return true;
            }
            removed = Removed::Login;
            let Some(entry) = entry.as_object_mut() else { return false };
            entry.retain(|key, _| !LOGIN_KEYS.contains(&key.as_str()));
            !entry.is_empty()
        });
        removed
    }

    /// The file's text, indented as Docker does.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"\t"));
        // Text in memory, of a value that was read as JSON: neither can fail.
        let _ = serde::Serialize::serialize(&self.0, &mut writer);
        text.push(b'\n');
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// What a removal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// There was a login.
    Login,
    /// There was none.
    Nothing,
}

/// The key that docker and oras write.
fn key_of(host: &str) -> &str {
    if host == DOCKER_HUB { DOCKER_HUB_KEY } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(text: &str) -> Authority {
        Authority::parse(text).unwrap()
    }

    #[test]
    fn a_login_is_written_and_taken_away_and_the_rest_stays() {
        let mut file = LoginFile::parse(
            br#"{"auths": {"other.example.com": {"auth": "x"}, "https://r.example.com/v2/": {"identitytoken": "old"}},
                "psFormat": "table", "credHelpers": {"h.example.com": "ecr-login"}}"#,
        )
        .unwrap();
        file.insert(&registry("r.example.com"), "robot$p+n", &Secret::new("p:w".to_owned()));
        file.insert(&registry("docker.io"), "u", &Secret::new("p".to_owned()));
        let value: Value = serde_json::from_str(&file.to_json()).unwrap();
        assert_eq!(
            value,
            json!({
                "auths": {
                    "other.example.com": {"auth": "x"},
                    "r.example.com": {"auth": "cm9ib3QkcCtuOnA6dw=="},
                    "https://index.docker.io/v1/": {"auth": "dTpw"},
                },
                "psFormat": "table",
                "credHelpers": {"h.example.com": "ecr-login"},
            })
        );
        assert_eq!(file.remove(&registry("r.example.com")), Removed::Login);
        assert_eq!(file.remove(&registry("index.docker.io")), Removed::Login);
        assert_eq!(file.remove(&registry("r.example.com")), Removed::Nothing);
        let value: Value = serde_json::from_str(&file.to_json()).unwrap();
        assert_eq!(value["auths"], json!({"other.example.com": {"auth": "x"}}));
    }

    #[test]
    fn an_absent_file_becomes_one() {
        let mut file = LoginFile::parse(b"").unwrap();
        file.insert(&registry("localhost:5000"), "u", &Secret::new("p".to_owned()));
        assert_eq!(
            file.to_json(),
            "{\n\t\"auths\": {\n\t\t\"localhost:5000\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}\n"
        );
    }

    #[test]
    fn a_file_of_another_form_is_left_alone() {
        for json in ["[]", "{", r#"{"auths": []}"#, r#"{"credHelpers": 1}"#] {
            assert!(LoginFile::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_helper_keeps_the_logins_it_is_named_for() {
        let place = |json: &str, host| LoginFile::parse(json.as_bytes()).unwrap().place(&registry(host));
        let helper = |helper: &str, server: &str| LoginPlace::Helper { helper: helper.into(), server: server.into() };
        assert_eq!(place(r#"{"credsStore": "desktop"}"#, "r.example.com"), helper("desktop", "r.example.com"));
        assert_eq!(
            place(r#"{"credsStore": "desktop"}"#, "docker.io"),
            helper("desktop", "https://index.docker.io/v1/")
        );
        let own = r#"{"credHelpers": {"r.example.com": "ecr-login"}, "credsStore": ""}"#;
        assert_eq!(place(own, "r.example.com"), helper("ecr-login", "r.example.com"));
        assert_eq!(place(own, "s.example.com"), LoginPlace::File);
    }
}
