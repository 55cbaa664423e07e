//! A function that reads one item of DynamoDB, with everything at its default.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = aws_sdk_dynamodb::Client::new(&aws_config::load_from_env().await);
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        let key = AttributeValue::S("x".into());
        let found = client.get_item().table_name("t").key("pk", key).send().await?;
        Ok::<_, Error>(json!({ "statusCode": 200, "found": found.item.is_some() }))
    }))
    .await
}
