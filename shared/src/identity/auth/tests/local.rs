//! The issuer of one machine.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::support::*;
use crate::core::clock::Env;
use crate::identity::auth::local::{KEY_FILE, LocalIssuer, MAX_LIFETIME, TokenRequest, issuer};
use crate::identity::auth::{AuthOutcome, AuthRefusal, Authenticator};

fn request() -> TokenRequest {
    TokenRequest {
        subject: "u1".into(),
        roles: vec!["admin".into()],
        claims: [("tenant".to_owned(), json!("t")), ("iss".to_owned(), json!("evil")), ("exp".to_owned(), json!(1))].into(),
        plan: Some("gold".into()),
        expires_in: Duration::from_secs(60),
    }
}

fn world() -> (Arc<Set>, Env) {
    let clock = Arc::new(Set::at(NOW));
    (clock.clone(), Env { clock, random: Arc::new(Seeded::new(3)) })
}

fn authenticator(local: &LocalIssuer, env: &Env) -> Authenticator {
    let table = Arc::new(Items::default());
    Authenticator::new(Arc::new(model()), table, local.jwks(None), env.clone()).with_issuer(issuer())
}

#[tokio::test]
async fn its_tokens_are_accepted_until_they_end() {
    let (clock, env) = world();
    let local = LocalIssuer::in_memory(&env).unwrap();
    let authenticator = authenticator(&local, &env);
    let header = format!("Bearer {}", local.token(&request(), env.now()).unwrap());
    let AuthOutcome::Ok(verified) = authenticator.authenticate(Some(&header)).await else { panic!() };
    assert_eq!((verified.consumer.as_str(), verified.plan.as_deref()), ("local:u1", Some("gold")));
    assert_eq!((verified.roles, verified.expires), (vec!["admin".to_owned()], Some(NOW + 60)));
    assert_eq!(verified.claims["tenant"], "t");
    clock.advance(60);
    assert_eq!(authenticator.authenticate(Some(&header)).await, AuthOutcome::Expired);

    let other = LocalIssuer::in_memory(&env).unwrap();
    let header = format!("Bearer {}", other.token(&request(), env.now()).unwrap());
    assert_eq!(authenticator.authenticate(Some(&header)).await, AuthRefusal::UnknownKey.into());
}

#[tokio::test]
async fn it_is_nobody_where_it_was_not_added() {
    let (_, env) = world();
    let local = LocalIssuer::in_memory(&env).unwrap();
    let deployed = Authenticator::new(Arc::new(model()), Arc::new(Items::default()), local.jwks(None), env.clone());
    let header = format!("Bearer {}", local.token(&request(), env.now()).unwrap());
    assert_eq!(deployed.authenticate(Some(&header)).await, AuthRefusal::Issuer.into());
}

#[test]
fn tokens_do_not_live_for_ever() {
    let (_, env) = world();
    let local = LocalIssuer::in_memory(&env).unwrap();
    let longest = TokenRequest { expires_in: MAX_LIFETIME, ..request() };
    assert!(local.token(&longest, env.now()).is_ok());
    assert!(local.token(&TokenRequest { expires_in: MAX_LIFETIME + Duration::from_secs(1), ..request() }, env.now()).is_err());
}

#[tokio::test]
async fn the_key_stays_in_its_directory_and_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let (_, env) = world();
    let nested = directory.path().join("a/b");
    let first = LocalIssuer::open(&nested, &env).unwrap();
    let again = LocalIssuer::open(&nested, &env).unwrap();
    let header = format!("Bearer {}", again.token(&request(), env.now()).unwrap());
    assert!(matches!(authenticator(&first, &env).authenticate(Some(&header)).await, AuthOutcome::Ok(_)));
    let file = nested.join(KEY_FILE);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&nested).unwrap().count(), 1, "no draft is left");
    for wrong in ["", "xyz", &"g".repeat(64), &"0".repeat(63)] {
        std::fs::write(&file, wrong).unwrap();
        assert!(LocalIssuer::open(&nested, &env).err().unwrap().to_string().contains("64 hexadecimal digits"));
    }
}
