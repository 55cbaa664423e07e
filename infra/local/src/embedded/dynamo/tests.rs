//! Upstream's own server, asked over TCP, and the engine in this process answer alike; what was acknowledged is on the disk.

use bytes::Bytes;
use dynoxide::Database;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::core::clock::Env;
use holdfast::store::table::{Attr, Expr, Item, Key, RangeQuery, Returning, Table, TableError, TableName, Transaction, Write};
use serde_json::{Value, json};

use super::operation::Operation;
use super::*;
use crate::embedded::{DATA_TABLE, VOLATILE_TABLE};

/// The endpoint of upstream's server over a store in memory.
async fn upstream() -> String {
    let listener = loopback(0).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    endpoint
}

/// What upstream answers.
async fn asked(client: &reqwest::Client, endpoint: &str, operation: &str, body: &Value) -> (u16, Value) {
    let request = client.post(endpoint).body(body.to_string());
    let request = request.header("content-type", "application/x-amz-json-1.0").header("x-amz-date", "20261128T000000Z");
    let request = request.header("x-amz-target", format!("DynamoDB_20120810.{operation}")).header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=local/20261128/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
    );
    let response = request.send().await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

/// What the engine answers.
async fn called(engine: &Arc<Engine>, operation: &str, body: &Value) -> (u16, Value) {
    let operation = Operation::of_target(&format!("DynamoDB_20120810.{operation}"));
    let answer = engine.call(operation, Bytes::from(body.to_string())).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

/// Without what differs from call to call: moments, ids, the order of tables.
fn comparable((status, mut body): (u16, Value)) -> (u16, Value) {
    for description in ["TableDescription", "Table"] {
        if let Some(table) = body[description].as_object_mut() {
            table.retain(|name, _| !matches!(name.as_str(), "CreationDateTime" | "TableId" | "BillingModeSummary"));
        }
    }
    if let Some(capacity) = body["ConsumedCapacity"].as_array_mut() {
        capacity.sort_by_key(Value::to_string);
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    (status, body)
}

fn key(pk: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"B": "AA=="}})
}

fn item(pk: &str, more: &Value) -> Value {
    let mut item = key(pk);
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

fn table(name: &str) -> Value {
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "B"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    })
}

/// Requests in the forms that Holdfast sends, and what goes wrong with them.
fn requests() -> Vec<(&'static str, Value)> {
    let full = json!({"n": {"N": "1"}, "t": {"BOOL": true}, "u": {"SS": ["x", "y"]}, "m": {"M": {"b": {"B": "AP8="}}}});
    let put = |pk: &str| json!({"TableName": DATA_TABLE, "Item": item(pk, &full), "ReturnConsumedCapacity": "TOTAL"});
    let with = |mut request: Value, more: Value| {
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let on =
        |pk: &str, more: Value| with(json!({"TableName": DATA_TABLE, "Key": key(pk), "ReturnConsumedCapacity": "TOTAL"}), more);
    let absent = json!({"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    let add = json!({
        "UpdateExpression": "SET #n = if_not_exists(#n, :zero) + :one ADD u :e",
        "ExpressionAttributeNames": {"#n": "n"},
        "ExpressionAttributeValues": {":zero": {"N": "0"}, ":one": {"N": "1"}, ":e": {"SS": ["z"]}},
        "ReturnValues": "ALL_NEW",
    });
    let below = json!({
        "UpdateExpression": "SET n = :v", "ConditionExpression": "n < :bound",
        "ExpressionAttributeValues": {":v": {"N": "9"}, ":bound": {"N": "1"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    let query = |more: Value| {
        with(
            json!({
                "TableName": DATA_TABLE, "KeyConditionExpression": "#pk = :pk", "ExpressionAttributeNames": {"#pk": "pk"},
                "ExpressionAttributeValues": {":pk": {"S": "list"}}, "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL",
            }),
            more,
        )
    };
    let row = |n: u8| json!({"pk": {"S": "list"}, "sk": {"B": base64(n)}, "d": {"S": "x".repeat(200)}});
    let rows: Vec<Value> = (0..20).map(|n| json!({"PutRequest": {"Item": row(n)}})).collect();
    let action =
        |pk: &str, more: &Value| json!({"Put": with(json!({"TableName": DATA_TABLE, "Item": item(pk, &full)}), more.clone())});
    let transaction = |token: &str, actions: Vec<Value>| json!({"ClientRequestToken": token, "TransactItems": actions, "ReturnConsumedCapacity": "TOTAL"});
    let check = |pk: &str| {
        json!({"ConditionCheck": {"TableName": DATA_TABLE, "Key": key(pk), "ConditionExpression": "attribute_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}})
    };
    let keys = |pks: &[&str]| json!({"Keys": pks.iter().map(|pk| key(pk)).collect::<Vec<_>>(), "ConsistentRead": true});
    let get = |pk: &str| json!({"Get": {"TableName": DATA_TABLE, "Key": key(pk)}});
    vec![
        ("GetItem", on("a", json!({}))),
        ("CreateTable", table(DATA_TABLE)),
        ("CreateTable", table(DATA_TABLE)),
        ("CreateTable", table(VOLATILE_TABLE)),
        (
            "UpdateTimeToLive",
            json!({"TableName": DATA_TABLE, "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true}}),
        ),
        ("DescribeTimeToLive", json!({"TableName": DATA_TABLE})),
        ("DescribeTable", json!({"TableName": VOLATILE_TABLE})),
        ("ListTables", json!({})),
        ("PutItem", put("a")),
        ("PutItem", with(put("a"), absent.clone())),
        ("PutItem", with(put("a"), json!({"ConditionExpression": "attribute_not_exists(pk)"}))),
        ("PutItem", with(put("a"), json!({"ReturnValues": "ALL_OLD"}))),
        ("PutItem", with(put("a"), json!({"ConditionExpression": "nonsense ("}))),
        ("PutItem", json!({"TableName": DATA_TABLE, "Item": {"pk": {"S": "a"}}})),
        ("PutItem", json!({"TableName": DATA_TABLE, "Item": item("big", &json!({"d": {"S": "x".repeat(410_000)}}))})),
        ("PutItem", json!({"TableName": "missing", "Item": key("a")})),
        ("GetItem", on("a", json!({"ConsistentRead": true}))),
        ("GetItem", on("nobody", json!({}))),
        ("GetItem", json!({"TableName": DATA_TABLE, "Key": {"pk": {"S": ""}, "sk": {"B": "AA=="}}})),
        ("GetItem", json!({"TableName": DATA_TABLE, "Key": {"pk": {"N": "1"}, "sk": {"B": "AA=="}}})),
        ("UpdateItem", on("a", add.clone())),
        ("UpdateItem", on("fresh", add.clone())),
        ("UpdateItem", on("a", below.clone())),
        ("UpdateItem", on("a", json!({"UpdateExpression": "DELETE u :e", "ExpressionAttributeValues": {":e": {"SS": ["x"]}}}))),
        ("UpdateItem", on("a", json!({"UpdateExpression": "SET pk = :e", "ExpressionAttributeValues": {":e": {"S": "b"}}}))),
        ("UpdateItem", on("a", json!({"UpdateExpression": "SET n = :missing"}))),
        ("GetItem", on("a", json!({}))),
        ("DeleteItem", on("fresh", json!({"ReturnValues": "ALL_OLD"}))),
        ("DeleteItem", on("fresh", json!({"ReturnValues": "ALL_OLD"}))),
        (
            "DeleteItem",
            on("a", json!({"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})),
        ),
        ("BatchWriteItem", json!({"RequestItems": {DATA_TABLE: rows}, "ReturnConsumedCapacity": "TOTAL"})),
        (
            "BatchWriteItem",
            json!({"RequestItems": {DATA_TABLE: [{"PutRequest": {"Item": row(1)}}, {"DeleteRequest": {"Key": {"pk": {"S": "list"}, "sk": {"B": base64(1)}}}}]}}),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {DATA_TABLE: keys(&["a", "nobody"]), VOLATILE_TABLE: keys(&["z"])}, "ReturnConsumedCapacity": "TOTAL"}),
        ),
        ("BatchGetItem", json!({"RequestItems": {DATA_TABLE: keys(&["a", "a"])}})),
        ("Query", query(json!({"Limit": 7}))),
        (
            "Query",
            query(
                json!({"Limit": 7, "ExclusiveStartKey": {"pk": {"S": "list"}, "sk": {"B": base64(6)}}, "ScanIndexForward": false}),
            ),
        ),
        ("Query", query(json!({"Select": "COUNT"}))),
        (
            "Query",
            query(
                json!({"KeyConditionExpression": "#pk = :pk AND #sk BETWEEN :from AND :to", "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
            "ExpressionAttributeValues": {":pk": {"S": "list"}, ":from": {"B": base64(3)}, ":to": {"B": base64(5)}}}),
            ),
        ),
        ("Query", query(json!({"ExpressionAttributeValues": {":pk": {"S": "nobody"}}}))),
        ("Query", query(json!({"KeyConditionExpression": "#pk > :pk"}))),
        (
            "Scan",
            json!({"TableName": DATA_TABLE, "Limit": 5, "Segment": 0, "TotalSegments": 1, "ReturnConsumedCapacity": "TOTAL"}),
        ),
        ("Scan", json!({"TableName": DATA_TABLE, "FilterExpression": "n > :n", "ExpressionAttributeValues": {":n": {"N": "1"}}})),
        ("TransactWriteItems", transaction("1", vec![action("t1", &absent), action("t2", &absent), check("a")])),
        ("TransactWriteItems", transaction("2", vec![action("t3", &absent), action("t2", &absent), check("nobody")])),
        ("TransactWriteItems", transaction("1", vec![action("t4", &absent)])),
        ("TransactWriteItems", transaction("3", vec![action("t5", &json!({})), action("t5", &json!({}))])),
        ("TransactWriteItems", transaction("4", Vec::new())),
        (
            "TransactWriteItems",
            transaction(
                "5",
                vec![
                    json!({"Update": {"TableName": VOLATILE_TABLE, "Key": key("z"), "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}}),
                    json!({"Delete": {"TableName": DATA_TABLE, "Key": key("t1")}}),
                ],
            ),
        ),
        ("TransactGetItems", json!({"TransactItems": [get("t2"), get("t3")], "ReturnConsumedCapacity": "TOTAL"})),
        ("TransactGetItems", json!({"TransactItems": []})),
        ("NoSuchOperation", json!({})),
    ]
}

fn base64(byte: u8) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode([byte])
}

#[tokio::test]
async fn every_request_is_answered_as_upstream_answers_it_over_tcp() {
    let (client, endpoint) = (crate::client::http().build().unwrap(), upstream().await);
    let directory = tempfile::tempdir().unwrap();
    let on_disk = Arc::new(Engine::open(Some(&directory.path().join("db")), Durability::Full).unwrap());
    let in_memory = Arc::new(Engine::open(None, Durability::Full).unwrap());
    for (number, (operation, request)) in requests().into_iter().enumerate() {
        let expected = comparable(asked(&client, &endpoint, operation, &request).await);
        for engine in [&on_disk, &in_memory] {
            let found = comparable(called(engine, operation, &request).await);
            assert_eq!(found, expected, "request {number}: {operation} {request:.200}");
        }
    }
}

#[tokio::test]
async fn a_transaction_sent_twice_has_one_effect() {
    let engine = Arc::new(Engine::open(None, Durability::Full).unwrap());
    called(&engine, "CreateTable", &table(DATA_TABLE)).await;
    let add = json!({"Update": {"TableName": DATA_TABLE, "Key": key("a"), "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}}}});
    let request = json!({"ClientRequestToken": "t", "TransactItems": [add]});
    let first = called(&engine, "TransactWriteItems", &request).await;
    assert_eq!(called(&engine, "TransactWriteItems", &request).await, first);
    let (_, found) = called(&engine, "GetItem", &json!({"TableName": DATA_TABLE, "Key": key("a")})).await;
    assert_eq!(found["Item"]["n"]["N"], "1");
}

/// One of the calls that the port has, chosen by a number.
async fn call(table: &DynamoTable, dice: u64) -> String {
    let key = Key::new(format!("r#{}", dice % 5), vec![u8::try_from(dice / 5 % 3).unwrap() + 1]);
    let name = if dice.is_multiple_of(7) { TableName::Volatile } else { TableName::Data };
    let absent = dice.is_multiple_of(2).then(|| Expr::new("attribute_not_exists(pk)"));
    let item =
        Item::new(key.clone()).with("n", Attr::N(i64::try_from(dice).unwrap())).with("u", Attr::Ss(vec![format!("e{dice}")]));
    let put = Write::Put { item, condition: absent.clone() };
    let update = Expr::new("ADD #n :n").name("#n", "n").value(":n", Attr::N(1));
    let update = Write::Update { key: key.clone(), update, condition: Some(Expr::new("attribute_exists(pk)")) };
    let other = Key::new("r#9", vec![1]);
    let check = Write::Check { key: other.clone(), condition: Expr::new("attribute_not_exists(pk)") };
    let query = RangeQuery {
        table: name,
        pk: key.pk.clone(),
        from: dice.is_multiple_of(3).then(|| vec![2]),
        to: None,
        after: dice.is_multiple_of(5).then(|| vec![1]),
        descending: dice.is_multiple_of(2),
        limit: Some(2),
        consistent: true,
        count_only: dice.is_multiple_of(11),
    };
    match dice / 15 % 8 {
        0 => format!("{:?}", table.write(name, put, Returning::Old).await),
        1 => format!("{:?}", table.write(name, update, Returning::New).await),
        2 => format!("{:?}", table.write(name, Write::Delete { key, condition: None }, Returning::Old).await),
        3 => format!("{:?}", table.get(&[(name, key)], true).await),
        4 => format!("{:?}", table.get(&[(name, key), (TableName::Data, other)], true).await),
        5 => format!("{:?}", table.query(query).await),
        6 => {
            let writes = vec![(name, put), (TableName::Data, check)];
            format!("{:?}", table.transact(Transaction { token: format!("t{}", dice % 40), writes }).await)
        }
        _ => format!("{:?}", table.get_transaction(&[(name, key), (TableName::Data, other)]).await),
    }
}

#[tokio::test]
async fn the_sdk_finds_the_same_through_the_connector_as_through_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let dynamo = Dynamo::start(Some(&directory.path().join("db")), 0, Durability::Full).await.unwrap();
    let of = |config: &SdkConfig| {
        let mut options = Options::new(DATA_TABLE, VOLATILE_TABLE);
        options.attempt_timeout = std::time::Duration::from_secs(30);
        DynamoTable::new(config, options, Env::system())
    };
    let socket = of(&aws::local_config(&upstream().await, aws::plain_http_client()));
    let within = of(&dynamo.config());
    assert!(matches!(
        within.get(&[(TableName::Data, Key::new("a", [1]))], true).await,
        Err(TableError::Broken(why)) if why.contains("ResourceNotFoundException")
    ));
    socket.create_tables().await.unwrap();
    within.create_tables().await.unwrap();
    let mut dice = 17_u64;
    for number in 0..400 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = dice >> 40;
        assert_eq!(call(&within, dice).await, call(&socket, dice).await, "call {number}, {dice}");
    }
    // The door leads to the same store.
    let door = of(&aws::local_config(&dynamo.endpoint, aws::plain_http_client()));
    let (seen, scanned) = (door.scan(TableName::Data, None, (0, 1)).await, within.scan(TableName::Data, None, (0, 1)).await);
    assert!(!scanned.as_ref().unwrap().0.is_empty());
    assert_eq!(seen, scanned);
    dynamo.stop().await;
}

/// Number of commits that are behind the last fsync.
fn behind(engine: &Engine) -> u64 {
    engine.journal().unwrap().behind()
}

#[tokio::test]
async fn an_acknowledged_write_is_synced_unless_it_may_be_lost() {
    let directory = tempfile::tempdir().unwrap();
    for (durability, last) in [(Durability::Full, 0), (Durability::Normal, 1)] {
        let path = directory.path().join(format!("{durability:?}"));
        let engine = Arc::new(Engine::open(Some(&path), durability).unwrap());
        called(&engine, "CreateTable", &table(DATA_TABLE)).await;
        called(&engine, "CreateTable", &table(VOLATILE_TABLE)).await;
        engine.journal().unwrap().all().await.unwrap();
        for (name, pk, expected) in [(DATA_TABLE, "l#a", 1), (DATA_TABLE, "t#e#book", 2), (VOLATILE_TABLE, "r#a", 3)] {
            let update = json!({
                "TableName": name, "Key": key(pk), "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "1"}},
            });
            called(&engine, "UpdateItem", &update).await;
            assert_eq!(behind(&engine), expected, "{pk}");
        }
        engine.journal().unwrap().all().await.unwrap();
        called(&engine, "PutItem", &json!({"TableName": DATA_TABLE, "Item": key("r#a")})).await;
        assert_eq!(behind(&engine), last, "{durability:?}");
    }
}

#[tokio::test]
async fn commits_that_wait_at_the_same_time_share_an_fsync() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(Some(&directory.path().join("db")), Durability::Full).unwrap();
    let journal = engine.journal().unwrap();
    (0..64).for_each(|_| journal.note(true));
    assert_eq!((behind(&engine), journal.syncs()), (64, 0));
    let waits = futures::future::join_all((0..64).map(|_| journal.lasting())).await;
    assert!(waits.iter().all(Result::is_ok));
    assert_eq!(behind(&engine), 0);
    assert!((1..=2).contains(&journal.syncs()), "{} fsyncs for 64 commits", journal.syncs());
}

#[tokio::test]
async fn the_log_is_copied_and_emptied_and_nothing_is_lost_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let engine = Arc::new(Engine::open(Some(&path), Durability::Normal).unwrap());
    called(&engine, "CreateTable", &table(DATA_TABLE)).await;
    let log = || std::fs::metadata(Path::new(&format!("{}-wal", path.display()))).unwrap().len();
    for number in 0..50 {
        called(&engine, "PutItem", &json!({"TableName": DATA_TABLE, "Item": key(&format!("r#{number}"))})).await;
    }
    assert!(log() > 0);
    engine.checkpoint(true).unwrap();
    assert_eq!(log(), 0);
    called(&engine, "PutItem", &json!({"TableName": DATA_TABLE, "Item": key("r#last")})).await;
    drop(engine);
    let engine = Arc::new(Engine::open(Some(&path), Durability::Full).unwrap());
    let (_, found) = called(&engine, "Scan", &json!({"TableName": DATA_TABLE, "Select": "COUNT"})).await;
    assert_eq!(found["Count"], 51);
}

#[tokio::test]
async fn expired_items_go_unless_they_were_renewed() {
    let engine = Arc::new(Engine::open(None, Durability::Full).unwrap());
    called(&engine, "CreateTable", &table(VOLATILE_TABLE)).await;
    for (pk, ttl) in [("old", 100), ("young", 300)] {
        let item = item(pk, &json!({"ttl": {"N": ttl.to_string()}}));
        called(&engine, "PutItem", &json!({"TableName": VOLATILE_TABLE, "Item": item})).await;
    }
    assert_eq!(expiry::remove_expired(&engine, VOLATILE_TABLE, 200).await, Ok(1));
    let seen = item("young", &json!({"ttl": {"N": "299"}}));
    assert_eq!(expiry::removed_as_read(&engine, VOLATILE_TABLE, &seen).await, Ok(false));
    let (_, found) = called(&engine, "Scan", &json!({"TableName": VOLATILE_TABLE})).await;
    assert_eq!(found["Items"][0]["pk"]["S"], "young");
    assert_eq!(found["Count"], 1);
}
