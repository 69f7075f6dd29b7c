//! Tokens from a registry's token server (distribution's "Token Authentication", and its OAuth 2.0 variant).

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use transport::{Body, Method, Request, Secret, Url, percent_encoded};

use crate::Failure;
use crate::credentials::Credential;

/// Longest token taken, in bytes: it has to fit into a header, and servers take less than this.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How this client introduces itself to OAuth 2.0 servers.
const CLIENT_ID: &str = "butler-plugins";

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The request for a token: with a password, with an identity token, or anonymous.
pub(crate) fn request(
    realm: &Url,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<&Credential>,
) -> Option<Request> {
    let service = service.map(|service| format!("service={}", percent_encoded(service)));
    let scope = |text: &str| format!("scope={}", percent_encoded(text));
    if let Some(Credential::Identity(token)) = credential {
        let fields = ["grant_type=refresh_token".to_owned(), format!("client_id={CLIENT_ID}")];
        let secret = format!("refresh_token={}", percent_encoded(token.expose()));
        // A form has one field for all scopes, a query one for each.
        let scopes = (!scopes.is_empty()).then(|| scope(&scopes.join(" ")));
        let form: Vec<String> = fields.into_iter().chain(service).chain(scopes).chain([secret]).collect();
        let form = form.join("&");
        return Some(Request {
            method: Method::Post,
            body: Body::Form(Secret::new(form)),
            ..Request::get(realm.clone())
        });
    }
    let query: Vec<String> = service.into_iter().chain(scopes.iter().map(|text| scope(text))).collect();
    let url = if query.is_empty() { realm.clone() } else { with_query(realm, &query.join("&"))? };
    Some(Request::get(url).authorization(credential.and_then(basic)))
}

/// The same URL with more in its query.
pub(crate) fn with_query(url: &Url, more: &str) -> Option<Url> {
    let separator = if url.target().contains('?') { '&' } else { '?' };
    Url::parse(&format!("{}{separator}{more}", url.with_query())).ok()
}

/// The token in an answer, as an `Authorization` value.
pub(crate) fn parse(json: &[u8], content_type: Option<&str>) -> Result<Secret, Failure> {
    if let Some(other) = Failure::no_document("a token", json, content_type) {
        return Err(other);
    }
    let unusable = || Failure::Shape { what: "a token answer without a usable token".to_owned() };
    let answer: TokenAnswer = serde_json::from_slice(json).map_err(|_| unusable())?;
    let token = answer.token.or(answer.access_token).ok_or_else(unusable)?;
    bearer(&token).ok_or_else(unusable)
}

/// `Bearer …`, if the token can stand in a header.
pub(crate) fn bearer(token: &str) -> Option<Secret> {
    let plain = (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    plain.then(|| Secret::new(format!("Bearer {token}")))
}

/// `Basic …` (RFC 7617); identity and bearer tokens have no such form.
pub(crate) fn basic(credential: &Credential) -> Option<Secret> {
    match credential {
        Credential::Basic { user, password } => {
            let pair = format!("{user}:{}", password.expose());
            Some(Secret::new(format!("Basic {}", Base64::encode_string(pair.as_bytes()))))
        }
        Credential::Identity(_) | Credential::Bearer(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_carry_what_the_credential_allows() {
        let realm = Url::parse("https://auth.example.com/token?account=x").unwrap();
        let scopes = ["repository:a/b:pull", "repository:c:pull"].map(str::to_owned);
        let one = &scopes[..1];
        let anonymous = request(&realm, Some("reg+x"), one, None).unwrap();
        assert_eq!(anonymous.url.target(), "/token?account=x&service=reg%2Bx&scope=repository%3Aa%2Fb%3Apull");
        let mount = request(&realm, None, &scopes, None).unwrap();
        assert_eq!(mount.url.target(), "/token?account=x&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull");
        assert_eq!(request(&realm, None, &[], None).unwrap().url, realm);
        assert!(anonymous.authorization.is_none());

        let user = Credential::Basic { user: "robot$p+n".to_owned(), password: Secret::new("p:w".to_owned()) };
        let named = request(&realm, None, one, Some(&user)).unwrap();
        assert_eq!(named.authorization.unwrap().expose(), "Basic cm9ib3QkcCtuOnA6dw==");

        let identity = Credential::Identity(Secret::new("t/1".to_owned()));
        let exchange = request(&realm, None, &scopes, Some(&identity)).unwrap();
        let Body::Form(form) = exchange.body else { panic!("a form is expected") };
        assert_eq!(
            form.expose(),
            "grant_type=refresh_token&client_id=butler-plugins&scope=repository%3Aa%2Fb%3Apull%20repository%3Ac%3Apull\
             &refresh_token=t%2F1"
        );
    }

    #[test]
    fn only_header_safe_tokens_are_taken() {
        assert_eq!(parse(br#"{"token":"a.b"}"#, None).unwrap().expose(), "Bearer a.b");
        assert_eq!(parse(br#"{"access_token":"c"}"#, None).unwrap().expose(), "Bearer c");
        let of_length = |len| format!(r#"{{"token":"{}"}}"#, "x".repeat(len));
        assert!(parse(of_length(LONGEST_TOKEN).as_bytes(), None).is_ok());
        assert!(parse(of_length(LONGEST_TOKEN + 1).as_bytes(), None).is_err());
        for bad in [r#"{"token":""}"#, r#"{"token":"a\r\nX: y"}"#, "{}", "[]", "<html>"] {
            assert!(parse(bad.as_bytes(), None).is_err(), "{bad}");
        }
    }
}
