use super::embedded::Embedded;
use crate::store::meter::{Kind, measured};
use crate::store::table::{
    Attr, Expr, Item, Key, RangeQuery, Reason, Returning, Table, TableError, TableName, Transaction, Write,
};

fn range(pk: &str) -> RangeQuery {
    RangeQuery::partition(TableName::Data, pk)
}

fn put(key: Key) -> (TableName, Write) {
    (TableName::Data, Write::Put { item: Item::new(key), condition: None })
}

fn absent() -> Option<Expr> {
    Some(Expr::new("attribute_not_exists(pk)"))
}

#[tokio::test]
async fn sort_keys_are_ordered_as_unsigned_bytes() {
    let dynamo = Embedded::start().await;
    let mut keys: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    keys.extend([vec![0, 0], vec![0, 255], vec![127, 255], vec![128, 0], vec![255, 255, 0], vec![0x80; 1024]]);
    dynamo.table.write_batch(keys.iter().map(|sk| put(Key::new("p", sk.clone()))).collect()).await.unwrap();
    keys.sort();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut query = RangeQuery { limit: Some(50), ..range("p") };
    loop {
        let page = dynamo.table.query(query.clone()).await.unwrap();
        found.extend(page.items.into_iter().map(|item| item.key.sk));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(found, keys);
    let bounded = RangeQuery { from: Some(vec![127]), to: Some(vec![128, 0]), descending: true, ..range("p") };
    let found: Vec<_> = dynamo.table.query(bounded).await.unwrap().items.into_iter().map(|item| item.key.sk).collect();
    assert_eq!(found, [vec![128, 0], vec![128], vec![127, 255], vec![127]]);
}

#[tokio::test]
async fn a_page_may_start_outside_of_its_bounds() {
    let dynamo = Embedded::start().await;
    dynamo.table.write_batch((1..=5).map(|byte| put(Key::new("p", vec![byte]))).collect()).await.unwrap();
    let find = async |query: RangeQuery| {
        let page = dynamo.table.query(query).await.unwrap();
        page.items.into_iter().map(|item| item.key.sk[0]).collect::<Vec<_>>()
    };
    let base = RangeQuery { from: Some(vec![2]), to: Some(vec![4]), ..range("p") };
    assert_eq!(find(RangeQuery { after: Some(vec![1]), ..base.clone() }).await, [2, 3, 4]);
    assert_eq!(find(RangeQuery { after: Some(vec![2]), ..base.clone() }).await, [3, 4]);
    assert_eq!(find(RangeQuery { after: Some(vec![4]), ..base.clone() }).await, [] as [u8; 0]);
    assert_eq!(find(RangeQuery { after: Some(vec![5]), descending: true, ..base.clone() }).await, [4, 3, 2]);
    assert_eq!(find(RangeQuery { after: Some(vec![2]), descending: true, ..base.clone() }).await, [] as [u8; 0]);
    assert_eq!(find(RangeQuery { from: Some(vec![4]), to: Some(vec![2]), ..base }).await, [] as [u8; 0]);
    let counted = dynamo.table.query(RangeQuery { count_only: true, ..range("p") }).await.unwrap();
    assert_eq!((counted.count, counted.items.len()), (5, 0));
}

#[tokio::test]
async fn every_kind_of_attribute_comes_back_as_it_went() {
    let dynamo = Embedded::start().await;
    let map = Attr::M([("inner".to_owned(), Attr::B(vec![0, 255]))].into());
    let item = Item::new(Key::new("p", vec![0]))
        .with("s", Attr::S("é\u{0}".to_owned()))
        .with("n", Attr::N(i64::MIN))
        .with("b", Attr::B(vec![1, 2]))
        .with("t", Attr::Bool(true))
        .with("u", Attr::Ss(vec!["x".to_owned()]))
        .with("m", map);
    let write = Write::Put { item: item.clone(), condition: None };
    dynamo.table.write(TableName::Volatile, write, Returning::Nothing).await.unwrap();
    let found = dynamo.table.get(&[(TableName::Volatile, item.key.clone())], true).await.unwrap();
    assert_eq!(found, [Some(item)]);
}

#[tokio::test]
async fn many_keys_come_back_in_order_missing_and_repeated_ones_too() {
    let dynamo = Embedded::start().await;
    let key = |n: u32| Key::new(format!("p{}", n % 7), n.to_be_bytes().to_vec());
    dynamo.table.write_batch((0..250).map(|n| put(key(n))).collect()).await.unwrap();
    let mut keys: Vec<_> = (0..260).rev().map(|n| (TableName::Data, key(n))).collect();
    keys.push((TableName::Data, key(3)));
    let (found, usage) = measured(dynamo.table.get(&keys, true)).await;
    let found = found.unwrap();
    for (asked, item) in keys.iter().zip(&found) {
        let number = u32::from_be_bytes(asked.1.sk.clone().try_into().unwrap());
        assert_eq!(item.as_ref().map(|item| &item.key), (number < 250).then_some(&asked.1));
    }
    assert_eq!((usage.of(Kind::BatchGet), usage.total_calls()), (3, 3));
}

#[tokio::test]
async fn a_failed_condition_tells_the_item_as_it_was() {
    let dynamo = Embedded::start().await;
    let key = Key::new("p", vec![1]);
    let write = |n: i64| Write::Put { item: Item::new(key.clone()).with("n", Attr::N(n)), condition: absent() };
    dynamo.table.write(TableName::Data, write(1), Returning::Nothing).await.unwrap();
    match dynamo.table.write(TableName::Data, write(2), Returning::Nothing).await {
        Err(TableError::ConditionFailed(Some(item))) => assert_eq!(item.n("n"), Some(1)),
        other => panic!("{other:?}"),
    }
    let change = |bound: i64| Write::Update {
        key: key.clone(),
        update: Expr::new("SET #n = #n + :one").name("#n", "n").value(":one", Attr::N(1)),
        condition: Some(Expr::new("#n < :bound").name("#n", "n").value(":bound", Attr::N(bound))),
    };
    let new = dynamo.table.write(TableName::Data, change(2), Returning::New).await.unwrap().unwrap();
    assert_eq!(new.n("n"), Some(2));
    assert!(matches!(
        dynamo.table.write(TableName::Data, change(2), Returning::New).await,
        Err(TableError::ConditionFailed(Some(item))) if item.n("n") == Some(2)
    ));
    let gone = Write::Delete { key: key.clone(), condition: None };
    let old = dynamo.table.write(TableName::Data, gone.clone(), Returning::Old).await.unwrap().unwrap();
    assert_eq!(old.n("n"), Some(2));
    assert_eq!(dynamo.table.write(TableName::Data, gone, Returning::Old).await.unwrap(), None);
    let missing = Write::Check { key, condition: Expr::new("attribute_exists(pk)") };
    assert!(matches!(dynamo.table.write(TableName::Data, missing, Returning::Old).await, Err(TableError::Broken(_))));
}

#[tokio::test]
async fn a_cancelled_transaction_tells_a_reason_for_each_action() {
    let dynamo = Embedded::start().await;
    let item = |byte: u8| Item::new(Key::new("p", vec![byte])).with("n", Attr::N(byte.into()));
    let put = |byte| (TableName::Data, Write::Put { item: item(byte), condition: absent() });
    let check = |byte| (TableName::Data, Write::Check { key: item(byte).key, condition: Expr::new("attribute_exists(pk)") });
    let transact = async |token: &str, writes| dynamo.table.transact(Transaction { token: token.to_owned(), writes }).await;
    transact("a", vec![put(1), put(2)]).await.unwrap();
    transact("a", vec![put(1), put(2)]).await.unwrap(); // The same token: one effect.
    assert!(matches!(transact("a", vec![put(3)]).await, Err(TableError::Broken(text)) if text.contains("Idempotent")));
    let cancelled = transact("b", vec![put(3), put(2), check(9)]).await;
    let expected = vec![Reason::None, Reason::ConditionFailed(Some(item(2))), Reason::ConditionFailed(None)];
    assert_eq!(cancelled, Err(TableError::Cancelled(expected)));
    let keys: Vec<_> = (1..=3).map(|byte| (TableName::Data, item(byte).key)).collect();
    let (found, usage) = measured(dynamo.table.get_transaction(&keys)).await;
    assert_eq!(found.unwrap(), [Some(item(1)), Some(item(2)), None]);
    assert_eq!(usage.of(Kind::TransactGet), 1);
    let delete = (TableName::Data, Write::Delete { key: item(1).key, condition: None });
    let (outcome, usage) = measured(transact("c", vec![delete, put(3), check(2)])).await;
    outcome.unwrap();
    assert_eq!(usage.write_units, 6.0, "two units for each item of a transaction");
}

#[tokio::test]
async fn a_scan_sees_everything_once() {
    let dynamo = Embedded::start().await;
    dynamo.table.write_batch((0..60u32).map(|n| put(Key::new(format!("p{}", n % 9), n.to_be_bytes()))).collect()).await.unwrap();
    let mut found = Vec::new();
    for segment in 0..3 {
        let mut after = None;
        loop {
            let (items, next) = dynamo.table.scan(TableName::Data, after, (segment, 3)).await.unwrap();
            found.extend(items.into_iter().map(|item| item.key));
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    found.sort();
    assert_eq!(found.len(), 60);
    found.dedup();
    assert_eq!(found.len(), 60);
}

#[tokio::test]
async fn nobody_there_leaves_the_outcome_of_a_write_unknown() {
    let dynamo = Embedded::start().await;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = crate::aws::local_config(&endpoint, crate::aws::plain_http_client());
    let mut options = super::Options::new("holdfast-data", "holdfast-volatile");
    options.patience = std::time::Duration::from_millis(30);
    let table = super::DynamoTable::new(&config, options, crate::core::clock::Env::system());
    let (_, write) = put(Key::new("p", vec![1]));
    assert!(matches!(table.write(TableName::Data, write, Returning::Nothing).await, Err(TableError::Unknown(_))));
    let (read, usage) = measured(table.get(&[(TableName::Data, Key::new("p", vec![1]))], true)).await;
    assert!(matches!(read, Err(TableError::Unknown(_))));
    assert!(usage.of(Kind::Get) > 1, "a read is repeated");
    drop(dynamo);
}
