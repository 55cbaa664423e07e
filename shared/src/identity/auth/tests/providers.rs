//! A token of each provider in the shape that its documentation shows, against a model of a few lines.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::support::*;
use crate::core::caller::Caller;
use crate::identity::auth::{AuthOutcome, AuthRefusal};
use crate::model::{Model, parse};

/// A model with one issuer; `jwks_uri` is that of [`World`], discovery has its own tests.
fn model(issuer: &str) -> Model {
    let source = format!(
        "
name: T
entities: {{book: {{fields: {{title: string}}}}}}
roles:
  reader: {{entities: {{book: {{view: true}}}}}}
  editor: {{entities: {{book: {{all: true}}}}}}
auth: {{issuers: {{idp: {{jwks_uri: \"{JWKS}\", default_roles: [reader], {issuer}}}}}}}
"
    );
    parse("m", &source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

async fn outcome(issuer: &str, mut claims: Value) -> AuthOutcome {
    let signer = Signer::rsa("1234example=", Algorithm::RS256);
    let world = World::with_model(&[&signer], model(issuer));
    for (name, value) in [("iat", NOW - 10), ("exp", NOW + 3600 - 10)] {
        claims.as_object_mut().unwrap().entry(name).or_insert(json!(value));
    }
    world.bearer(&signer.token(&claims)).await
}

async fn accepted(issuer: &str, claims: Value) -> Caller {
    match outcome(issuer, claims).await {
        AuthOutcome::Ok(caller) => *caller,
        other => panic!("{other:?} of {issuer}"),
    }
}

async fn refused(issuer: &str, claims: Value, refusal: AuthRefusal) {
    assert_eq!(outcome(issuer, claims).await, AuthOutcome::Invalid(refusal), "{issuer}");
}

/// The claims with some replaced; null removes one.
fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().shift_remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

const POOL: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example";

#[tokio::test]
async fn cognito_access_tokens_name_a_client_and_no_audience() {
    let issuer = format!("provider: cognito, issuer: \"{POOL}\", clients: [xxxxxxxxxxxxexample]");
    let token = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["editor", "testgroup"], "iss": POOL, "version": 2,
        "client_id": "xxxxxxxxxxxxexample", "origin_jti": "aaaaaaaa", "event_id": "bbbbbbbb", "token_use": "access",
        "scope": "phone openid profile email aws.cognito.signin.user.admin", "auth_time": NOW - 10, "jti": "cccccccc", "username": "my-test-user",
    });
    let caller = accepted(&issuer, token.clone()).await;
    assert_eq!((caller.consumer.as_str(), caller.scopes), ("idp:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", None));
    assert_eq!(caller.roles, ["editor", "testgroup"]);
    // Without groups there is no claim.
    assert_eq!(accepted(&issuer, with(token.clone(), json!({"cognito:groups": null}))).await.roles, ["reader"]);
    refused(&issuer, with(token.clone(), json!({"client_id": "another"})), AuthRefusal::Client).await;
    refused(&issuer, with(token.clone(), json!({"client_id": null})), AuthRefusal::Client).await;
    let id = with(token.clone(), json!({"token_use": "id", "aud": "xxxxxxxxxxxxexample", "client_id": null}));
    refused(&issuer, id.clone(), AuthRefusal::TokenType).await;
    refused(&issuer, with(token, json!({"token_use": "id"})), AuthRefusal::TokenType).await;
    // Whoever wants ID tokens says so by their audience.
    accepted(&format!("provider: cognito, issuer: \"{POOL}\", audiences: [xxxxxxxxxxxxexample]"), id).await;
}

#[tokio::test]
async fn cognito_machines_have_scopes_of_a_resource_server() {
    let issuer = format!(
        "provider: cognito, issuer: \"{POOL}\", clients: [machine], scopes: {{prefix: \"books-api/\", map: {{read: [book.read, book.list]}}}}"
    );
    let token = json!({
        "sub": "machine", "token_use": "access", "scope": "books-api/read", "auth_time": NOW, "iss": POOL, "version": 2, "jti": "j",
        "client_id": "machine",
    });
    assert_eq!(accepted(&issuer, token).await.scopes, Some(vec!["book:read".to_owned(), "book:list".to_owned()]));
}

#[tokio::test]
async fn auth0_users_and_machines_have_scopes_of_their_api() {
    let issuer = "provider: auth0, issuer: \"https://my-domain.auth0.com/\", audiences: [\"https://api.example.com\"]";
    let user = json!({
        "iss": "https://my-domain.auth0.com/", "sub": "auth0|123456",
        "aud": ["https://api.example.com", "https://my-domain.auth0.com/userinfo"], "azp": "my_client_id",
        "scope": "openid profile email",
    });
    let caller = accepted(issuer, user.clone()).await;
    assert_eq!((caller.consumer.as_str(), caller.subject.as_str()), ("idp:auth0:7c123456", "idp:auth0|123456"));
    assert_eq!((caller.roles, caller.scopes), (vec!["reader".to_owned()], None));
    let machine = json!({
        "iss": "https://my-domain.auth0.com/", "sub": "client@clients", "aud": "https://api.example.com", "azp": "client",
        "scope": "read:books", "gty": "client-credentials", "permissions": ["read:books"],
    });
    assert_eq!(accepted(issuer, machine.clone()).await.scopes, None, "it means nothing where the model says nothing of it");
    let mapped = format!("{issuer}, scopes: {{map: {{\"read:books\": [book.read, book.list]}}}}");
    assert_eq!(accepted(&mapped, machine.clone()).await.scopes, Some(vec!["book:read".to_owned(), "book:list".to_owned()]));
    let permissions = format!(
        "{mapped}, claims: {{scopes: permissions, roles: \"https://shop.example/roles\", client: azp}}, clients: [client]"
    );
    let ours = with(machine, json!({"scope": null, "https://shop.example/roles": ["editor"]}));
    let caller = accepted(&permissions, ours.clone()).await;
    assert_eq!((caller.roles, caller.scopes.map(|scopes| scopes.len())), (vec!["editor".to_owned()], Some(2)));
    refused(&permissions, with(ours, json!({"azp": "another"})), AuthRefusal::Client).await;
    // Auth0 lets nobody make a claim without a name of the maker's.
    let signer = Signer::rsa("k", Algorithm::RS256);
    let source = "name: T\nentities: {book: {fields: {owner: {type: string, filter: scan}}}}\n\
                  roles: {r: {entities: {book: {list: {rows: {owner: $claim.account}}}}}}\n\
                  auth:\n  claims: [account]\n  issuers: {idp: {provider: auth0, issuer: 'https://my-domain.auth0.com/', \
                  jwks_uri: 'https://idp.example/jwks', audiences: [a], claims: {account: 'https://shop.example/account'}}}\n";
    let world = World::with_model(&[&signer], parse("m", source).unwrap());
    let claims = json!({
        "iss": "https://my-domain.auth0.com/", "aud": "a", "sub": "u", "iat": NOW, "exp": NOW + 60,
        "https://shop.example/account": "acme", "account": "forged by nobody, and not meant",
    });
    assert_eq!(world.accepted(&signer.token(&claims)).await.claims, [("account".to_owned(), json!("acme"))].into());
    // The profile of RFC 9068 names the client otherwise.
    let rfc = with(user, json!({"azp": null, "client_id": "my_client_id", "jti": "73Wakrf"}));
    accepted(&format!("{issuer}, clients: [my_client_id]"), rfc).await;
}

#[tokio::test]
async fn keycloak_has_roles_of_the_realm_and_of_clients() {
    let iss = "https://sso.example.com/realms/shop";
    let issuer = format!("provider: keycloak, issuer: \"{iss}\", clients: [shop-web]");
    let token = json!({
        "jti": "d58f5dc8", "iss": iss, "aud": "account", "sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da", "typ": "Bearer",
        "azp": "shop-web", "session_state": "2a88c258", "acr": "1", "allowed-origins": ["https://shop.example.com"],
        "realm_access": {"roles": ["offline_access", "default-roles-shop", "uma_authorization", "editor"]},
        "resource_access": {"account": {"roles": ["manage-account"]}, "shop-web": {"roles": ["reader"]}},
        "scope": "profile email", "sid": "2a88c258", "email_verified": true, "preferred_username": "ada",
    });
    let caller = accepted(&issuer, token.clone()).await;
    assert_eq!((caller.roles.last().map(String::as_str), caller.scopes), (Some("editor"), None));
    let of_client = format!("{issuer}, claims: {{roles: resource_access.shop-web.roles}}");
    assert_eq!(accepted(&of_client, token.clone()).await.roles, ["reader"]);
    assert_eq!(accepted(&issuer, with(token.clone(), json!({"scope": ""}))).await.scopes, None, "of a client without scopes");
    refused(&issuer, with(token.clone(), json!({"typ": "ID", "aud": "shop-web"})), AuthRefusal::TokenType).await;
    refused(&issuer, with(token.clone(), json!({"typ": "Refresh"})), AuthRefusal::TokenType).await;
    refused(&issuer, with(token.clone(), json!({"azp": "another"})), AuthRefusal::Client).await;
    let by_audience = format!("provider: keycloak, issuer: \"{iss}\", audiences: [books]");
    refused(&by_audience, token.clone(), AuthRefusal::Audience).await;
    accepted(&by_audience, with(token, json!({"aud": ["books", "account"]}))).await;
}

#[tokio::test]
async fn entra_delegates_by_scp_and_gives_apps_roles() {
    let iss = "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0";
    let api = "6e74172b-be56-4843-9ff4-e66a39bb12e3";
    let issuer = format!(
        "provider: entra, issuer: \"{iss}\", audiences: [{api}], scopes: {{map: {{Books.Read: [book.read, book.list]}}}}"
    );
    let user = json!({
        "aud": api, "iss": iss, "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3900, "aio": "AXQAi/8IAAAA", "azp": "client", "azpacr": "0",
        "name": "Abe Lincoln", "oid": "00aa00aa-bb11-cc22-dd33-44ee44ee44ee", "preferred_username": "abeli@microsoft.com", "rh": "I",
        "scp": "Books.Read User.Read", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
    });
    let caller = accepted(&issuer, user.clone()).await;
    assert_eq!(caller.scopes, Some(vec!["book:read".to_owned(), "book:list".to_owned()]));
    assert_eq!(caller.roles, ["reader"]);
    let app = with(user.clone(), json!({"scp": null, "roles": ["editor"], "idtyp": "app"}));
    let caller = accepted(&issuer, app.clone()).await;
    assert_eq!((caller.roles, caller.scopes), (vec!["editor".to_owned()], None));
    // Continuous access evaluation makes tokens of up to 28 hours.
    accepted(&issuer, with(user, json!({"exp": NOW + 28 * 3600}))).await;
    // Version 1 names the client `appid`.
    let first = with(
        app,
        json!({"iss": "https://sts.windows.net/aaaabbbb/", "azp": null, "appid": "client", "aud": "api://books", "ver": "1.0"}),
    );
    let issuer =
        "provider: entra, issuer: \"https://sts.windows.net/aaaabbbb/\", audiences: [\"api://books\"], clients: [client]";
    accepted(issuer, first).await;
}

#[tokio::test]
async fn okta_lists_its_scopes_and_has_groups() {
    let iss = "https://dev-1.okta.com/oauth2/default";
    let issuer = format!("provider: okta, issuer: \"{iss}\", audiences: [\"api://default\"], clients: [0oab8om4bars6Y80Z4x7]");
    let token = json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": iss, "aud": "api://default",
        "sub": "ada@example.com", "cid": "0oab8om4bars6Y80Z4x7", "uid": "00uid4BxXw6I6TV4m0g3", "scp": ["openid", "profile", "email"],
        "auth_time": NOW - 20, "groups": ["Everyone", "editor"],
    });
    let caller = accepted(&issuer, token.clone()).await;
    assert_eq!((caller.consumer.as_str(), caller.scopes), ("idp:ada@example.com", None));
    assert_eq!(caller.roles, ["Everyone", "editor"]);
    assert_eq!(
        accepted(&issuer, with(token.clone(), json!({"scp": ["book:read"]}))).await.scopes,
        Some(vec!["book:read".to_owned()])
    );
    refused(&issuer, with(token, json!({"cid": "another"})), AuthRefusal::Client).await;
}

#[tokio::test]
async fn google_has_id_tokens_and_two_spellings_of_itself() {
    let issuer = "provider: google, audiences: [1234987819200.apps.googleusercontent.com]";
    let token = json!({
        "iss": "https://accounts.google.com", "azp": "1234987819200.apps.googleusercontent.com",
        "aud": "1234987819200.apps.googleusercontent.com", "sub": "10769150350006150715113082367", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "hd": "example.com", "email": "jsmith@example.com", "email_verified": "true", "nonce": "0394852-3190485-2490358",
    });
    assert_eq!(accepted(issuer, token.clone()).await.roles, ["reader"]);
    accepted(issuer, with(token.clone(), json!({"iss": "accounts.google.com"}))).await;
    refused(issuer, with(token, json!({"iss": "http://accounts.google.com"})), AuthRefusal::Issuer).await;
    // What is true of Google is true of nobody else.
    let custom = "issuer: \"https://accounts.google.com\", audiences: [a]";
    refused(custom, json!({"iss": "accounts.google.com", "aud": "a", "sub": "x"}), AuthRefusal::Issuer).await;
}

#[tokio::test]
async fn a_client_and_an_audience_are_both_asked_for_where_both_are_named() {
    let issuer = "issuer: x, audiences: [api], clients: [one, two]";
    let token = json!({"iss": "x", "aud": "api", "azp": "two", "sub": "u"});
    accepted(issuer, token.clone()).await;
    accepted(issuer, with(token.clone(), json!({"azp": "three", "client_id": "one"}))).await;
    refused(issuer, with(token.clone(), json!({"azp": ["one"]})), AuthRefusal::Client).await;
    refused(issuer, with(token.clone(), json!({"aud": "another"})), AuthRefusal::Audience).await;
    refused(issuer, with(token, json!({"client_id": "three"})), AuthRefusal::Client).await;
}

#[test]
fn what_only_shows_as_401_is_a_mistake_of_the_model() {
    let mistakes = |issuer: &str| {
        let source = format!("name: T\nentities: {{a: {{fields: {{x: string}}}}}}\nauth:\n  issuers:\n    idp: {{{issuer}}}\n");
        let found = parse("m", &source).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (issuer, told) in [
        ("provider: auth0, issuer: 'https://t.auth0.com', audiences: [a]", "ends with a slash"),
        ("provider: keycloak, issuer: 'https://h/realms/r/', audiences: [a]", "ends with the realm"),
        ("provider: entra, issuer: 'https://login.microsoftonline.com/common/v2.0', audiences: [a]", "name their tenant"),
        ("provider: okta, audiences: [a]", "needs `issuer`"),
        ("provider: okto, issuer: 'https://h', audiences: [a]", "did you mean `okta`"),
        ("provider: okta, issuer: 'https://h'", "needs `audiences`"),
        ("issuer: 'https://h', audiences: [], clients: []", "accepts no token"),
        ("issuer: h, audiences: [a]", "the keys of `h` cannot be found"),
        ("issuer: 'http://h', audiences: [a]", "cannot be found"),
        ("issuer: 'https://h', audiences: [a], scopes: {map: {'a b': ['*']}}", "without blanks"),
        ("issuer: 'https://h', audiences: [a], scopes: {map: {r: [a.reed]}}", "did you mean `read`"),
        ("issuer: 'https://h', audiences: [a], scopes: {map: {r: [b.read]}}", "nothing that a scope can open"),
        ("issuer: 'https://h', audiences: [a], scopes: {map: {r: [system.use]}}", "nothing that a scope can open"),
        ("issuer: 'https://h', audiences: [a], scopes: {maps: {}}", "unknown key `maps`"),
        ("issuer: 'https://h', audiences: [a], algorithms: [RS384, HS256]", "`HS256` is no algorithm"),
    ] {
        assert!(mistakes(issuer).contains(told), "{issuer}: {}", mistakes(issuer));
    }
    for right in [
        "issuer: 'https://h', audiences: [a]",
        "provider: google, clients: [a]",
        "issuer: 'http://127.0.0.1:8080/realms/r', clients: [a]",
        "issuer: 'https://h', audiences: [a], scopes: {required: true, map: {r: [a.read, 'a.*', '*.list', system.usage, 'system.*'], all: '*'}}",
    ] {
        assert_eq!(mistakes(right), "", "{right}");
    }
}
