//! CloudWatch: where the reporter publishes metrics.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use futures::future::BoxFuture;

use crate::usage::publish::{Datum, Metrics, Unit};

/// The namespace that the reporter's rights are bound to.
const NAMESPACE: &str = "Holdfast";
/// Metrics of one call; CloudWatch takes 1,000 and 1 MB.
const TOGETHER: usize = 150;
/// How long a call may take: what the reporter has to do beside it must not wait for metrics.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// Values of one metric in one call.
const VALUES: usize = 150;

/// Publishes under the deployment's name. A call is made once: whether a metric arrived that was not answered cannot be known, and
/// twice would be wrong.
pub struct CloudWatch {
    client: Client,
    environment: String,
}

impl CloudWatch {
    /// Makes the client. No call is made.
    pub fn new(config: &SdkConfig, environment: &str) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build();
        let config = aws_sdk_cloudwatch::config::Builder::from(config);
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), environment: environment.to_owned() }
    }

    fn datum(&self, datum: &Datum, values: &[(f64, u64)]) -> MetricDatum {
        let dimension = |(name, value): (&str, &str)| Dimension::builder().name(name).value(value).build();
        let own = datum.dimensions.iter().map(|(name, value)| (*name, value.as_str()));
        let unit = match datum.unit {
            Unit::Count => StandardUnit::Count,
            Unit::Milliseconds => StandardUnit::Milliseconds,
            Unit::Percent => StandardUnit::Percent,
        };
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let counts = values.iter().map(|(_, count)| *count as f64).collect();
        MetricDatum::builder()
            .metric_name(datum.name)
            .set_dimensions(Some([("Environment", self.environment.as_str())].into_iter().chain(own).map(dimension).collect()))
            .timestamp(DateTime::from_secs(datum.at))
            .set_values(Some(values.iter().map(|(value, _)| *value).collect()))
            .set_counts(Some(counts))
            .unit(unit)
            .build()
    }
}

impl Metrics for CloudWatch {
    fn publish<'a>(&'a self, data: Vec<Datum>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let all: Vec<MetricDatum> =
                data.iter().flat_map(|datum| datum.values.chunks(VALUES).map(|values| self.datum(datum, values))).collect();
            for chunk in all.chunks(TOGETHER) {
                let call = self.client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(chunk.to_vec()));
                call.send().await.map_err(|error| aws_smithy_types::error::display::DisplayErrorContext(error).to_string())?;
            }
            Ok(())
        })
    }
}
