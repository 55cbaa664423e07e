//! `TransactWriteItems` as DynamoDB does it: conditions first, then item by item.

use serde_json::{Map, Value, json};

use super::request::{action, keep_used, single_key, transaction_keys};
use super::{Answer, Faults, Lost, State, Token, cancelled, locked, refusal};

impl State {
    pub(super) async fn transact(&self, faults: &Faults, body: Value) -> Result<Answer, Lost> {
        let token = body.get("ClientRequestToken").and_then(Value::as_str).unwrap_or_default().to_owned();
        {
            let mut tokens = locked(&self.tokens);
            match tokens.get(&token) {
                Some(Token::AtWork(earlier) | Token::Done(earlier)) if *earlier != body => {
                    return Ok(refusal("IdempotentParameterMismatchException", "the token belongs to another request"));
                }
                Some(Token::AtWork(_)) => {
                    return Ok(refusal("TransactionInProgressException", "the transaction is in progress"));
                }
                Some(Token::Done(_)) => {
                    self.tally(|tally| tally.repeated += 1);
                    return Ok(Answer { status: 200, body: json!({}) });
                }
                None => {
                    tokens.insert(token.clone(), Token::AtWork(body.clone()));
                }
            }
        }
        let outcome = self.prepare_and_commit(faults, &body).await;
        let mut tokens = locked(&self.tokens);
        match &outcome {
            Ok(answer) if answer.status == 200 => tokens.insert(token, Token::Done(body)),
            _ => tokens.remove(&token),
        };
        outcome
    }

    async fn prepare_and_commit(&self, faults: &Faults, body: &Value) -> Result<Answer, Lost> {
        let keys = transaction_keys(body);
        if let Err(over) = self.within_limits(faults, &keys) {
            self.tally(|tally| tally.throttled += 1);
            self.note_hot(keys.iter().zip(&over).filter(|(_, over)| **over).map(|(key, _)| key));
            return Ok(cancelled(&over, "ThrottlingError"));
        }
        let taken = locked(&self.locks).take(&keys);
        if let Err(conflicts) = taken {
            self.note_hot(keys.iter().zip(&conflicts).filter(|(_, conflict)| **conflict).map(|(key, _)| key));
            return Ok(self.cancelled_by(&conflicts));
        }
        let mut held = keys;
        tokio::time::sleep(self.between(faults.window)).await;
        let outcome = self.holding(faults, body, &mut held).await;
        let after = self.up_to(faults.locked_after);
        if matches!(&outcome, Ok(answer) if answer.status == 200) && !after.is_zero() {
            self.unlock_later(held, after);
        } else {
            locked(&self.locks).give_back(&held);
        }
        outcome
    }

    /// Commits what `held` holds; what is given back on the way is taken out of it.
    async fn holding(&self, faults: &Faults, body: &Value, held: &mut Vec<String>) -> Result<Answer, Lost> {
        let items = body.get("TransactItems").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(refused) = self.check(&items).await? {
            return Ok(refused);
        }
        let mut writes: Vec<&Value> = items.iter().filter(|item| item.get("ConditionCheck").is_none()).collect();
        self.shuffle(&mut writes);
        for item in writes {
            let Some((name, content)) = action(item) else { continue };
            let (operation, request) = alone(name, content);
            let answer = self.forward(operation, &request).await?;
            if let Some(key) = single_key(content) {
                // Two for each started KB; the text is a little longer than what it says.
                self.charge(faults, &key, 2.0 * f64::from(u32::try_from(content.to_string().len().div_ceil(1024)).unwrap_or(1)));
            }
            if answer.status != 200 {
                // All conditions held, so what remains is a request that is wrong in itself.
                return Ok(answer);
            }
            if faults.free_each
                && let Some(key) = single_key(content)
            {
                held.retain(|other| *other != key);
                locked(&self.locks).give_back(&[key]);
            }
            tokio::time::sleep(self.up_to(faults.between_items)).await;
        }
        let units = json!([{"TableName": "holdfast-data", "CapacityUnits": 2 * items.len()}]);
        Ok(Answer { status: 200, body: json!({"ConsumedCapacity": units}) })
    }

    /// The refusal where a condition fails, with a reason for each action.
    async fn check(&self, items: &[Value]) -> Result<Option<Answer>, Lost> {
        let mut checks = Vec::new();
        let mut places = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let Some(check) = action(item).and_then(|(_, content)| condition_of(content)) else { continue };
            checks.push(json!({"ConditionCheck": check}));
            places.push(place);
        }
        if checks.is_empty() {
            return Ok(None);
        }
        let mut answer = self.forward("TransactWriteItems", &json!({"TransactItems": checks})).await?;
        if answer.status == 200 {
            return Ok(None);
        }
        if let Some(Value::Array(found)) = answer.body.get("CancellationReasons").cloned() {
            let mut reasons = vec![json!({"Code": "None"}); items.len()];
            for (place, reason) in places.into_iter().zip(found) {
                reasons[place] = reason;
            }
            answer.body["CancellationReasons"] = Value::Array(reasons);
        }
        Ok(Some(answer))
    }

    fn unlock_later(&self, keys: Vec<String>, after: std::time::Duration) {
        let locks = std::sync::Arc::clone(&self.locks);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            locked(&locks).give_back(&keys);
        });
    }
}

/// The condition of an action as a check of its own.
fn condition_of(content: &Value) -> Option<Value> {
    let condition = content.get("ConditionExpression")?.as_str()?.to_owned();
    let mut check = content.as_object()?.clone();
    if let Some(item) = check.remove("Item") {
        check.insert("Key".to_owned(), json!({"pk": item.get("pk")?, "sk": item.get("sk")?}));
    }
    check.remove("UpdateExpression");
    keep_used(&mut check, &condition);
    Some(Value::Object(check))
}

/// An action without its condition, as a call of its own.
fn alone(name: &str, content: &Value) -> (&'static str, Value) {
    let mut request: Map<String, Value> = content.as_object().cloned().unwrap_or_default();
    request.remove("ConditionExpression");
    request.remove("ReturnValuesOnConditionCheckFailure");
    let update = request.get("UpdateExpression").and_then(Value::as_str).unwrap_or_default().to_owned();
    keep_used(&mut request, &update);
    let operation = match name {
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        _ => "DeleteItem",
    };
    (operation, Value::Object(request))
}
