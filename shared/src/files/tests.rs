//! The sweep over an embedded table and a store of objects that fails when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::upload::{Announced, begin, read};
use super::{Swept, sweep};
use crate::app::App;
use crate::core::clock::Micros;
use crate::pipeline::system::tests::World;
use crate::store::keys;
use crate::store::object::{Download, ObjectError, Objects, Signed, Stored, Upload};
use crate::store::pending_deletion::PendingDeletion;
use crate::store::table::{Item, Key, Returning, TableError, TableName, Write};

/// Deletes, and nothing else.
#[derive(Default)]
struct Deleting {
    deleted: Mutex<Vec<String>>,
    broken: AtomicBool,
}

impl Objects for Deleting {
    fn sign_upload<'a>(&'a self, _: Upload<'a>, _: Micros, _: Duration) -> BoxFuture<'a, Result<Signed, ObjectError>> {
        panic!("not asked for")
    }

    fn sign_download<'a>(&'a self, _: Download<'a>, _: Micros, _: Duration) -> BoxFuture<'a, Result<Signed, ObjectError>> {
        panic!("not asked for")
    }

    fn head<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Stored>, ObjectError>> {
        panic!("not asked for")
    }

    fn keep<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        panic!("not asked for")
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        if self.broken.load(Ordering::SeqCst) {
            return ready(Err(ObjectError::Unavailable("told to".to_owned()))).boxed();
        }
        self.deleted.lock().unwrap().push(key.to_owned());
        ready(Ok(())).boxed()
    }
}

async fn world() -> (World, Arc<Deleting>) {
    let (mut world, objects) = (World::new().await, Arc::new(Deleting::default()));
    world.app.objects = Some(objects.clone());
    (world, objects)
}

async fn swept(app: &App) -> Swept {
    sweep(app, app.env.now().plus(Duration::from_secs(20))).await.unwrap()
}

async fn write(app: &App, write: Write) -> Result<(), TableError> {
    app.table.write(TableName::Data, write, Returning::Nothing).await.map(drop)
}

async fn there(app: &App, key: &Key) -> Option<Item> {
    app.table.get(&[(TableName::Data, key.clone())], true).await.unwrap().pop().flatten()
}

fn put(item: Item) -> Write {
    Write::Put { item, condition: None }
}

/// The rows of an upload by a caller.
async fn begun(app: &App, place: &Key) -> super::upload::Begun {
    let file = Announced { filename: "a".into(), content_type: "text/plain".into(), size: 1, sha256: "0".into() };
    let (begun, rows) = begin(&app.env, place.clone(), file, Duration::from_secs(300), app.env.now());
    app.table.write_batch(rows).await.unwrap();
    assert_eq!(read(&there(app, place).await.unwrap()), Some(begun.clone()));
    begun
}

#[tokio::test]
async fn what_fails_is_tried_again_and_only_what_is_due_is_done() {
    let (world, objects) = world().await;
    let (app, now) = (&world.app, world.app.env.now());
    for (key, due) in [("f/now", now), ("f/later", now.plus(Duration::from_secs(60)))] {
        write(app, put(PendingDeletion::object(&app.env, key, due).item())).await.unwrap();
    }
    objects.broken.store(true, Ordering::SeqCst);
    assert_eq!(swept(app).await, Swept { failed: 1, ..Swept::default() });
    objects.broken.store(false, Ordering::SeqCst);
    assert_eq!(swept(app).await, Swept { deleted: 1, ..Swept::default() });
    assert_eq!(swept(app).await, Swept::default());
    world.clock.advance(61);
    assert_eq!(swept(app).await, Swept { deleted: 1, ..Swept::default() });
    assert_eq!(*objects.deleted.lock().unwrap(), ["f/now", "f/later"]);
}

#[tokio::test]
async fn an_object_is_either_kept_or_deleted() {
    let (world, objects) = world().await;
    let app = &world.app;
    let entity = app.model.by_name("book").unwrap();
    let place = |id: &str| keys::upload(entity, id, "cover", b"who");
    let (kept, lost) = (begun(app, &place("kept")).await, begun(app, &place("lost")).await);
    write(app, PendingDeletion::keep(kept.vanishing.clone())).await.unwrap();
    world.clock.advance(2 * 86_400);
    // The sweep has begun with the other one and dies before it deletes.
    objects.broken.store(true, Ordering::SeqCst);
    assert_eq!(swept(app).await, Swept { ended: 1, failed: 1, ..Swept::default() });
    let refused = write(app, PendingDeletion::keep(lost.vanishing.clone())).await;
    assert!(matches!(refused, Err(TableError::ConditionFailed(_))), "{refused:?}");
    objects.broken.store(false, Ordering::SeqCst);
    assert_eq!(swept(app).await, Swept { deleted: 1, ..Swept::default() });
    assert_eq!(*objects.deleted.lock().unwrap(), [lost.object]);
    for key in [place("kept"), place("lost"), kept.vanishing, lost.vanishing] {
        assert_eq!(there(app, &key).await, None, "{key:?}");
    }
}

#[tokio::test]
async fn a_row_that_names_another_object_by_now_stays() {
    let (world, objects) = world().await;
    let app = &world.app;
    let place = keys::upload(app.model.by_name("book").unwrap(), "a", "cover", b"who");
    let first = begun(app, &place).await;
    world.clock.advance(86_400);
    let second = begun(app, &place).await;
    world.clock.advance(301);
    assert_eq!(swept(app).await, Swept { deleted: 1, ..Swept::default() });
    assert_eq!(*objects.deleted.lock().unwrap(), [first.object]);
    assert_eq!(read(&there(app, &place).await.unwrap()), Some(second));
}
