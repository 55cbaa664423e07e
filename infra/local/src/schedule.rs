//! Functions that run by the clock: what EventBridge does with the template's schedules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast::core::clock::Env;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::functions::{Function, Functions, Invocation};
use crate::template::Template;

/// A function and how often it runs.
struct Job {
    name: String,
    function: Arc<dyn Function>,
    every: Duration,
    timeout: Duration,
}

/// The scheduled functions of a system.
pub struct Schedule {
    jobs: Arc<[Job]>,
    env: Env,
}

/// A schedule that runs; it ends when it is stopped.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// The schedules of a template whose functions are there.
    pub fn new(template: &Template, functions: &Functions, env: Env) -> Self {
        let jobs = template.schedules.iter().filter_map(|schedule| {
            let definition = template.function(&schedule.function)?;
            let function = functions.get(&definition.binary)?.clone();
            Some(Job { name: definition.binary.clone(), function, every: schedule.every, timeout: definition.timeout })
        });
        Self { jobs: jobs.collect(), env }
    }

    /// Invokes every scheduled function once, now, one after another.
    ///
    /// # Errors
    /// What the first function says that fails.
    pub async fn tick(&self) -> Result<(), String> {
        for job in self.jobs.iter() {
            job.run(&self.env).await.map_err(|why| format!("{}: {why}", job.name))?;
        }
        Ok(())
    }

    /// Invokes each function at its pace from now on; a function that takes longer than its pace misses turns.
    pub fn start(&self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let tasks = (0..self.jobs.len()).map(|at| {
            let (jobs, env, mut stopped) = (Arc::clone(&self.jobs), self.env.clone(), stopped.clone());
            tokio::spawn(async move {
                let job = &jobs[at];
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(job.every) => {}
                        _ = stopped.wait_for(|stop| *stop) => return,
                    }
                    if let Err(why) = job.run(&env).await {
                        tracing::error!(function = job.name, why, "a scheduled function failed");
                    }
                }
            })
        });
        Running { tasks: tasks.collect(), stop }
    }
}

impl Job {
    async fn run(&self, env: &Env) -> Result<(), String> {
        let now = env.now();
        // The members that handlers read; EventBridge sends more.
        let event = serde_json::json!({"source": "aws.events", "detail-type": "Scheduled Event", "time": now.rfc3339()});
        let deadline = now.plus(self.timeout);
        let invocation = Invocation {
            payload: Bytes::from(event.to_string()),
            request_id: env.uuid_v7().to_string(),
            deadline_ms: u64::try_from(deadline.millis()).unwrap_or(u64::MAX),
        };
        match tokio::time::timeout(self.timeout, self.function.invoke(invocation)).await {
            Ok(answer) => answer.map(drop).map_err(|failure| failure.to_string()),
            Err(_) => Err("timed out".to_owned()),
        }
    }
}

impl Running {
    /// Lets functions under way end.
    pub async fn stop(self) {
        // Nobody listens where nothing is scheduled.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a schedule did not end well");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lambda_runtime::LambdaEvent;
    use serde_json::Value;

    use super::*;
    use crate::functions::in_process;
    use crate::template::EMBEDDED;

    #[tokio::test(start_paused = true)]
    async fn the_reporter_is_called_once_a_minute_whatever_becomes_of_it() {
        let called = Arc::new(AtomicUsize::new(0));
        let counter = called.clone();
        let function = in_process(move |event: LambdaEvent<Value>| {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            async move { if number == 0 || event.payload["time"].is_null() { Err("told to") } else { Ok(Value::Null) } }
        });
        let functions = Functions::from([("usage-reporter".to_owned(), function)]);
        let schedule = Schedule::new(&Template::parse(EMBEDDED).unwrap(), &functions, Env::system());
        let running = schedule.start();
        for (seconds, count) in [(59, 0), (2, 1), (58, 1), (2, 2), (600, 12)] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            assert_eq!(called.load(Ordering::SeqCst), count);
        }
        running.stop().await;
        schedule.tick().await.unwrap();
        assert_eq!(called.load(Ordering::SeqCst), 13);
    }
}
