//! Who may do what, and the token server (distribution, "Token Authentication Specification").

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::serve::error;
use crate::{Reply, Request};

/// How a registry wants to be logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Everyone may do everything.
    None,
    /// HTTP basic at every request, and no token server.
    Basic(Login),
    /// Tokens from a realm.
    Bearer(Bearer),
}

/// The one account of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name; `$` and `+` are common in robots' names.
    pub user: String,
    /// The password.
    pub password: String,
}

/// A token server and its manners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Who gets tokens for more than public pulls.
    pub login: Login,
    /// What the refresh grant takes in place of a password.
    pub identity_token: Option<String>,
    /// Where it is.
    pub realm: Realm,
    /// The `service` of the challenge, which the client has to repeat.
    pub service: String,
    /// Where in its answer the token stands.
    pub token_field: TokenField,
}

/// Where a token server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realm {
    /// On the registry's own host.
    Own {
        /// Such as `/token`.
        path: String,
    },
    /// On a host of its own, which the registry starts.
    Elsewhere {
        /// The public name; it counts in a [`World`](crate::World) only.
        host: String,
        /// Such as `/jwt/auth`.
        path: String,
    },
    /// Wherever the challenge claims it is; nobody is started there.
    Claimed(String),
}

/// The field of a token server's answer that holds the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenField {
    /// `token`.
    Token,
    /// `access_token`.
    AccessToken,
    /// Both, with the same value.
    Both,
}

impl Auth {
    /// HTTP basic.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic(Login::new(user, password))
    }

    /// Tokens from `/token` on the registry's own host.
    pub fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer(Bearer {
            login: Login::new(user, password),
            identity_token: None,
            realm: Realm::Own { path: "/token".to_owned() },
            service: "testkit".to_owned(),
            token_field: TokenField::Both,
        })
    }

    /// The account, when there is one.
    pub fn login(&self) -> Option<&Login> {
        match self {
            Self::None => None,
            Self::Basic(login) | Self::Bearer(Bearer { login, .. }) => Some(login),
        }
    }
}

impl Login {
    /// An account.
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    fn admits(&self, request: &Request) -> Option<bool> {
        let (user, password) = request.basic_credentials()?;
        Some(self.is(&user, &password))
    }

    fn is(&self, user: &str, password: &str) -> bool {
        (user, password) == (&self.user, &self.password)
    }
}

/// Which repositories are special; all others belong to the one account.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    pub(super) public: Vec<String>,
    pub(super) forbidden: Vec<String>,
    pub(super) read_only: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Pull,
    Push,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anyone,
    Account,
}

impl Access {
    fn allows(&self, who: Who, repository: &str, action: Action) -> bool {
        let listed = |list: &[String]| list.iter().any(|prefix| starts_with_segments(repository, prefix));
        match (who, action) {
            _ if listed(&self.forbidden) => false,
            (Who::Account, Action::Pull) => true,
            (Who::Account, Action::Push) => !listed(&self.read_only),
            (Who::Anyone, Action::Pull) => listed(&self.public),
            (Who::Anyone, Action::Push) => false,
        }
    }
}

/// Stands before everything a registry serves.
#[derive(Debug)]
pub(super) struct Gate {
    auth: Auth,
    access: Access,
    /// Scheme, host and path of a realm that is not on the registry's own host.
    foreign_realm: Option<String>,
    tokens: Mutex<HashMap<String, Grant>>,
}

#[derive(Debug)]
struct Grant {
    who: Who,
    scopes: Vec<(String, Action)>,
}

impl Gate {
    pub(super) fn new(auth: Auth, access: Access, foreign_realm: Option<String>) -> Self {
        Self { auth, access, foreign_realm, tokens: Mutex::default() }
    }

    /// Lets a request pass, or answers it; without a repository any valid login will do.
    pub(super) fn check(&self, request: &Request, wanted: Option<(&str, Action)>) -> Result<(), Reply> {
        let allows = |who| wanted.is_none_or(|(repository, action)| self.access.allows(who, repository, action));
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Basic(login) => match login.admits(request) {
                Some(true) if allows(Who::Account) => Ok(()),
                Some(true) => Err(denied()),
                None if wanted.is_some() && allows(Who::Anyone) => Ok(()),
                None | Some(false) => {
                    let challenge = format!("Basic realm=\"{}/\",service=\"testkit\"", request.origin);
                    Err(unauthorized().header("www-authenticate", &challenge))
                }
            },
            Auth::Bearer(bearer) => {
                let tokens = self.tokens();
                let Some(grant) = request.bearer_token().and_then(|token| tokens.get(token)) else {
                    let error = request.bearer_token().map(|_| "invalid_token");
                    return Err(self.challenge(bearer, request, wanted, error));
                };
                match wanted {
                    None => Ok(()),
                    Some((name, action)) if grant.scopes.iter().any(|(n, a)| n == name && *a == action) => Ok(()),
                    Some(_) if grant.who == Who::Account && !allows(Who::Account) => Err(denied()),
                    Some(_) => Err(self.challenge(bearer, request, wanted, Some("insufficient_scope"))),
                }
            }
        }
    }

    /// Whether a request is for the token server on the registry's own host.
    pub(super) fn is_own_realm(&self, request: &Request) -> bool {
        matches!(&self.auth, Auth::Bearer(Bearer { realm: Realm::Own { path }, .. }) if *path == request.path)
    }

    /// The token server: `GET` with basic credentials or none, `POST` with the refresh or the password grant.
    pub(super) fn token(&self, request: &Request) -> Reply {
        let Auth::Bearer(bearer) = &self.auth else { return error(404, "UNSUPPORTED", "no token server here") };
        let (Realm::Own { path } | Realm::Elsewhere { path, .. }) = &bearer.realm else { return Reply::status(404) };
        if request.path != *path {
            return Reply::status(404);
        }
        let field = |name| match request.method.as_str() {
            "POST" => request.form_values(name),
            _ => request.query_values(name),
        };
        let one = |name| field(name).into_iter().next().unwrap_or_default();
        if one("service") != bearer.service {
            return error(400, "UNSUPPORTED", "the service of the challenge must be repeated");
        }
        let who = match (request.method.as_str(), one("grant_type").as_str()) {
            ("GET", _) => match bearer.login.admits(request) {
                None => Who::Anyone,
                Some(true) => Who::Account,
                Some(false) => return unauthorized(),
            },
            ("POST", "refresh_token") if bearer.identity_token.as_ref() == Some(&one("refresh_token")) => Who::Account,
            ("POST", "password") if bearer.login.is(&one("username"), &one("password")) => Who::Account,
            ("POST", "refresh_token" | "password") => return unauthorized(),
            _ => return error(405, "UNSUPPORTED", "GET, or POST with a known grant"),
        };
        // A client may ask for several scopes in one parameter or in several.
        let asked = field("scope").join(" ");
        let scopes = asked.split(' ').flat_map(parse_scope);
        let scopes = scopes.filter(|(name, action)| self.access.allows(who, name, *action)).collect();
        let mut tokens = self.tokens();
        let token = format!("made-token-{}", tokens.len() + 1);
        tokens.insert(token.clone(), Grant { who, scopes });
        let mut answer = json!({ "expires_in": 300 });
        if bearer.token_field != TokenField::AccessToken {
            answer["token"] = json!(token);
        }
        if bearer.token_field != TokenField::Token {
            answer["access_token"] = json!(token);
        }
        Reply::ok().json(&answer)
    }

    /// Makes every token given so far worthless.
    pub(super) fn revoke_tokens(&self) {
        for grant in self.tokens().values_mut() {
            *grant = Grant { who: Who::Anyone, scopes: Vec::new() };
        }
    }

    fn challenge(
        &self,
        bearer: &Bearer,
        request: &Request,
        wanted: Option<(&str, Action)>,
        error: Option<&str>,
    ) -> Reply {
        let realm = match (&bearer.realm, &self.foreign_realm) {
            (Realm::Own { path }, _) => format!("{}{path}", request.origin),
            (Realm::Claimed(url), _) => url.clone(),
            (Realm::Elsewhere { .. }, url) => url.clone().expect("a realm elsewhere has been started"),
        };
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{}\"", bearer.service);
        if let Some((repository, action)) = wanted {
            let actions = if action == Action::Push { "pull,push" } else { "pull" };
            challenge.extend([",scope=\"repository:", repository, ":", actions, "\""]);
        }
        if let Some(error) = error {
            challenge.extend([",error=\"", error, "\""]);
        }
        unauthorized().header("www-authenticate", &challenge)
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_scope(scope: &str) -> Vec<(String, Action)> {
    let parts = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
    let Some((name, actions)) = parts else { return Vec::new() };
    let action = |action| match action {
        "pull" => Some((name.to_owned(), Action::Pull)),
        "push" => Some((name.to_owned(), Action::Push)),
        _ => None,
    };
    actions.split(',').filter_map(action).collect()
}

fn starts_with_segments(repository: &str, prefix: &str) -> bool {
    let rest = repository.strip_prefix(prefix);
    rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn unauthorized() -> Reply {
    error(401, "UNAUTHORIZED", "authentication required")
}

fn denied() -> Reply {
    error(403, "DENIED", "requested access to the resource is denied")
}
