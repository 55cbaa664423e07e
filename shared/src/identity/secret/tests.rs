#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;

use super::{Keyring, SecretSource, Versions};
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::Env;
use crate::identity::auth::tests::support::{NOW, Set};
use crate::identity::secret::{CursorKeys, KeyId};
use crate::store::table::SharedTable;

/// A secret that tests rotate; counts how often it is looked at.
#[derive(Default)]
struct Vault {
    answer: Mutex<Option<Versions>>,
    looks: Mutex<u32>,
}

impl Vault {
    fn holds(&self, current: &str, previous: Option<&str>) {
        let bytes = |text: &str| text.as_bytes().to_vec();
        *self.answer.lock().unwrap() = Some(Versions { current: bytes(current), previous: previous.map(bytes) });
    }

    fn looks(&self) -> u32 {
        *self.looks.lock().unwrap()
    }
}

impl SecretSource for Vault {
    fn fetch(&self) -> BoxFuture<'_, Result<Versions, String>> {
        *self.looks.lock().unwrap() += 1;
        Box::pin(std::future::ready(self.answer.lock().unwrap().clone().ok_or_else(|| "it does not answer".to_owned())))
    }
}

struct World {
    dynamo: Embedded,
    clock: Arc<Set>,
    vault: Arc<Vault>,
}

impl World {
    async fn new() -> Self {
        Self { dynamo: Embedded::start().await, clock: Arc::new(Set::at(NOW)), vault: Arc::default() }
    }

    fn fixed(&self) -> Keyring {
        let table: SharedTable = Arc::new(self.dynamo.table.clone());
        Keyring::new(table, Env { clock: self.clock.clone(), ..Env::system() })
    }

    fn instance(&self) -> Keyring {
        self.fixed().rotating(self.vault.clone())
    }
}

fn ids(keys: &CursorKeys) -> (KeyId, Option<KeyId>) {
    (keys.current.id, keys.previous.map(|key| key.id))
}

#[tokio::test]
async fn without_a_source_all_instances_agree_on_the_key_in_the_table() {
    let world = World::new().await;
    let (one, two) = (world.fixed(), world.fixed());
    let (one, two) = tokio::join!(one.secrets(), two.secrets());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(ids(&one.cursor), ids(&two.cursor));
    assert_eq!(one.cursor.current.key, two.cursor.current.key);
    assert_eq!(one.idempotency.scope("c", "s", "k"), two.idempotency.scope("c", "s", "k"));
}

#[tokio::test]
async fn after_a_rotation_both_versions_are_known_and_a_key_id_nobody_knows_is_looked_up_once_a_minute() {
    let world = World::new().await;
    world.vault.holds("one", None);
    let warm = world.instance();
    let first = warm.secrets().await.unwrap().cursor;
    world.vault.holds("two", Some("one"));
    let second = world.instance().secrets().await.unwrap().cursor;
    assert_eq!(ids(&second).1, Some(first.current.id), "a new instance still opens what was sealed before");
    assert_ne!(second.current.key, first.current.key);
    let looks = world.vault.looks();

    assert_eq!(ids(&warm.secrets().await.unwrap().cursor), ids(&first), "a warm one has no reason to look");
    world.clock.advance(60);
    let shown = warm.knowing(second.current.id).await.unwrap().cursor;
    assert_eq!(ids(&shown), ids(&second), "until it is shown a key that it does not know");
    for _ in 0..5 {
        let forged = warm.knowing([9; 4]).await.unwrap().cursor;
        assert!(forged.find([9; 4]).is_none());
    }
    assert_eq!(world.vault.looks(), looks + 1);
    world.clock.advance(60);
    warm.knowing([9; 4]).await.unwrap();
    assert_eq!(world.vault.looks(), looks + 2);
}

#[tokio::test]
async fn a_warm_instance_looks_again_after_an_hour_and_goes_on_while_nothing_answers() {
    let world = World::new().await;
    assert!(world.instance().secrets().await.is_err(), "there is nothing to go on with yet");
    world.vault.holds("one", None);
    let warm = world.instance();
    let first = warm.secrets().await.unwrap().cursor;
    *world.vault.answer.lock().unwrap() = None;
    world.clock.advance(3_600);
    assert_eq!(ids(&warm.secrets().await.unwrap().cursor), ids(&first));
    world.vault.holds("two", Some("one"));
    assert_eq!(ids(&warm.secrets().await.unwrap().cursor), ids(&first), "the next look is a minute away");
    world.clock.advance(60);
    assert_eq!(ids(&warm.secrets().await.unwrap().cursor).1, Some(first.current.id));
}

#[tokio::test]
async fn a_rotation_does_not_move_idempotency_keys() {
    let world = World::new().await;
    world.vault.holds("one", None);
    let before = world.instance().secrets().await.unwrap().idempotency.scope("c", "s", "k");
    world.vault.holds("two", Some("one"));
    assert_eq!(world.instance().secrets().await.unwrap().idempotency.scope("c", "s", "k"), before);
    assert_eq!(world.fixed().secrets().await.unwrap().idempotency.scope("c", "s", "k"), before);
}
