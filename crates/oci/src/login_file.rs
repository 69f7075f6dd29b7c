//! Writing logins into Docker's `config.json`, as its clients do.

use std::fmt;

use base64ct::{Base64, Encoding};
use serde_json::ser::{PrettyFormatter, Serializer};
use source::Authority;
use transport::Secret;

use crate::CredentialsError;
use crate::credentials::normal_key;
use crate::docker_hub::{DOCKER_HUB, DOCKER_HUB_KEY, one_name};
use crate::object::Object;

/// The keys of an entry that say who one is.
const LOGIN_KEYS: [&str; 5] = ["auth", "identitytoken", "registrytoken", "username", "password"];

/// A `config.json` that is being changed. Whatever else it holds is kept as it was written, in its order.
#[derive(Clone, Default)]
pub struct LoginFile(Object);

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
        let file: Object = serde_json::from_slice(json).map_err(|error| CredentialsError::Json {
            at: format!("line {}, column {}", error.line(), error.column()),
        })?;
        let is_object = |key| !file.has(key) || file.read::<Object>(key).is_some();
        if is_object("auths") && is_object("credHelpers") {
            Ok(Self(file))
        } else {
            Err(CredentialsError::Json { at: "`auths` or `credHelpers`".to_owned() })
        }
    }

    /// Where a login for `registry` belongs: its own helper first, then the common store.
    pub fn place(&self, registry: &Authority) -> LoginPlace {
        let written = registry.to_string();
        let host = one_name(&written);
        let helpers: Object = self.0.read("credHelpers").unwrap_or_default();
        let (server, helper) = match helpers.keys().find(|key| normal_key(key) == host) {
            Some(server) => (server, helpers.read::<String>(server)),
            None => (key_of(host), self.0.read("credsStore")),
        };
        match helper.filter(|name| !name.is_empty()) {
            Some(helper) => LoginPlace::Helper { helper, server: server.to_owned() },
            None => LoginPlace::File,
        }
    }

    /// Writes a login, in place of the one that is there. A user name with a colon has no such form (RFC 7617,
    /// section 2); the caller has refused it.
    pub fn insert(&mut self, registry: &Authority, user: &str, password: &Secret) {
        self.remove(registry);
        let written = registry.to_string();
        let auth = Base64::encode_string(format!("{user}:{}", password.expose()).as_bytes());
        let auths = self.0.open_or_add("auths");
        if let Some(entry) = auths.and_then(|auths| auths.open_or_add(key_of(one_name(&written)))) {
            entry.set("auth", &auth);
        }
    }

    /// Removes a login, under whichever name the registry has there; says whether there was one.
    pub fn remove(&mut self, registry: &Authority) -> Removed {
        let written = registry.to_string();
        let host = one_name(&written);
        let Some(auths) = self.0.open("auths") else { return Removed::Nothing };
        let keys: Vec<String> = auths.keys().filter(|key| normal_key(key) == host).map(str::to_owned).collect();
        for key in &keys {
            let rest = auths.open(key);
            let is_over = rest.is_none_or(|entry| {
                entry.retain(|key| !LOGIN_KEYS.contains(&key));
                entry.is_empty()
            });
            if is_over {
                auths.retain(|other| other != key);
            }
        }
        if keys.is_empty() { Removed::Nothing } else { Removed::Login }
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

impl fmt::Debug for LoginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginFile").finish_non_exhaustive()
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
    use serde_json::{Value, json};

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
    fn what_is_not_changed_keeps_its_text_and_its_place() {
        let file = |logins: &[&str]| {
            let rest = r#""currentContext": 1.10, "plugins": {"b": [1e400, -0],  "a": "\u00e9\ud800"}"#;
            let rest = rest.replace(", \"plugins", ",\n\t\"plugins");
            let logins = logins.join(",\n\t\t");
            format!(
                "{{\n\t\"z\": 123456789012345678901234567890,\n\t\"auths\": {{\n\t\t{logins}\n\t}},\n\t{rest}\n}}\n"
            )
        };
        let old = r#""r.example.com": {"auth": "x", "email": 0.10, "password": "x"}"#;
        let new = "\"r.example.com\": {\n\t\t\t\"email\": 0.10,\n\t\t\t\"auth\": \"dTpw\"\n\t\t}";
        let (other, third) = (r#""a.example.com": {"auth":"x",  "serial": 1.10}"#, r#""b.example.com": {"auth":"x"}"#);
        let mut login = LoginFile::parse(file(&[old, other, third]).as_bytes()).unwrap();
        assert_eq!(login.to_json(), file(&[old, other, third]));
        login.insert(&registry("r.example.com"), "u", &Secret::new("p".to_owned()));
        assert_eq!(login.to_json(), file(&[new, other, third]));
        assert_eq!(login.remove(&registry("b.example.com")), Removed::Login);
        assert_eq!(login.to_json(), file(&[new, other]));
    }

    #[test]
    fn debug_shows_no_login() {
        let file = LoginFile::parse(br#"{"auths": {"r.example.com": {"auth": "s3cret"}}}"#).unwrap();
        assert!(!format!("{file:?}").contains("s3cret"));
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
