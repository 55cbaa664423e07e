//! What EventBridge does in the cloud: the reporter is called once a minute.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast::clock::Env;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::functions::{Function, Invocation};

const MINUTE: Duration = Duration::from_secs(60);
/// As long as the template lets it run.
const LONGEST: Duration = Duration::from_secs(55);

/// Calls the function a minute from now and every minute after that, until the task is aborted.
pub(crate) fn every_minute(function: Arc<dyn Function>, env: Env) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(MINUTE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let (now, deadline) = (env.now(), env.now().plus(LONGEST));
            let event = serde_json::json!({ "detail-type": "Scheduled Event", "source": "aws.events", "time": now.rfc3339() });
            let invocation = Invocation {
                payload: Bytes::from(event.to_string()),
                request_id: env.uuid_v7().to_string(),
                deadline_ms: u64::try_from(deadline.millis()).unwrap_or(0),
            };
            match tokio::time::timeout(LONGEST, function.invoke(invocation)).await {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) => tracing::error!(%failure, "the reporter failed"),
                Err(_) => tracing::error!("the reporter was cut off at its timeout"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lambda_runtime::LambdaEvent;
    use serde_json::Value;

    use super::*;
    use crate::functions::in_process;

    #[tokio::test(start_paused = true)]
    async fn the_function_is_called_once_a_minute_whatever_becomes_of_it() {
        let called = Arc::new(AtomicUsize::new(0));
        let counter = called.clone();
        let function = in_process(move |event: LambdaEvent<Value>| {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            async move { if number == 0 || event.payload["time"].is_null() { Err("told to") } else { Ok(Value::Null) } }
        });
        let task = every_minute(function, Env::system());
        for (seconds, count) in [(59, 0), (2, 1), (58, 1), (2, 2), (600, 12)] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            assert_eq!(called.load(Ordering::SeqCst), count);
        }
        task.abort();
    }
}
