//! What the environment says, read once: variables -> [`Settings`], with every mistake reported in one pass.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Where variables come from: the process, or a map in tests and on one machine.
pub trait Variables {
    /// The value of a variable; `None` where it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessVariables;

impl Variables for ProcessVariables {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// What a function is told by its deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `HOLDFAST_DATA_TABLE`: name of the data table.
    pub data_table: String,
    /// `HOLDFAST_VOLATILE_TABLE`: name of the volatile table.
    pub volatile_table: String,
    /// `HOLDFAST_FILES_BUCKET`: name of the bucket of files.
    pub files_bucket: String,
    /// `HOLDFAST_MODEL`: the model's file. Default: `/opt/model.yaml`, where the layer puts it, or else the working directory.
    pub model: PathBuf,
    /// `HOLDFAST_ENV`: name of the deployment, 1 to 16 of `a-z0-9`; it stands in API keys. Default `dev`.
    pub environment: String,
    /// `HOLDFAST_NOTICES_TOPIC`: ARN of the SNS topic that notices go to; without it they go to the log.
    pub notices_topic: Option<String>,
    /// `HOLDFAST_MASTER_SECRET`: name or ARN of the secret of Secrets Manager that keys are derived from; without it an item of the
    /// data table is.
    pub master_secret: Option<String>,
    /// `HOLDFAST_TLS_ROOTS`: certificates to trust, PEM; without it those of the system.
    pub tls_roots: Option<PathBuf>,
    /// `HOLDFAST_AUDIT_BUCKET`: name of the bucket that the audit trail is exported to; without it there is no export.
    pub audit_bucket: Option<String>,
    /// `HOLDFAST_CACHE_SAMPLE`: of a million hits of the cache, how many are read anew and compared. Default 1000.
    pub cache_sample: u32,
    /// `HOLDFAST_BREAKER_FAILURES`: failures in a row after which an issuer of tokens or a receiver of webhooks is left alone, 1 to 100.
    /// Default 3.
    pub breaker_failures: u32,
    /// `HOLDFAST_BREAKER_SECONDS`: for how long, 1 to 3600; 0 or not set: 15 s for issuers (longer at each further failure), 60 s for
    /// receivers.
    pub breaker_rest: Option<Duration>,
    /// `HOLDFAST_INTERNAL_ISSUERS`: hosts of issuers that may be at internal addresses, separated by commas; keys of others come from the
    /// public Internet only.
    pub internal_issuers: Vec<String>,
    /// `HOLDFAST_LOCAL_KEYS`: data directory of a local server whose tokens count too. Development only.
    pub local_keys: Option<PathBuf>,
}

/// A variable that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Its name.
    pub variable: &'static str,
    /// What is the matter, and what would be right.
    pub why: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.variable, self.why)
    }
}

impl std::error::Error for Wrong {}

const LAYER_MODEL: &str = "/opt/model.yaml";

impl Settings {
    /// Reads and checks all variables.
    ///
    /// # Errors
    /// All that are missing or wrong.
    pub fn read(variables: &dyn Variables) -> Result<Self, Vec<Wrong>> {
        let mut reader = Reader { variables, wrong: Vec::new() };
        let settings = Self {
            data_table: reader.table("HOLDFAST_DATA_TABLE"),
            volatile_table: reader.table("HOLDFAST_VOLATILE_TABLE"),
            files_bucket: reader.required("HOLDFAST_FILES_BUCKET"),
            model: reader.path("HOLDFAST_MODEL").unwrap_or_else(default_model),
            environment: reader.environment("HOLDFAST_ENV"),
            notices_topic: reader.topic("HOLDFAST_NOTICES_TOPIC"),
            master_secret: reader.optional("HOLDFAST_MASTER_SECRET"),
            tls_roots: reader.path("HOLDFAST_TLS_ROOTS"),
            audit_bucket: reader.optional("HOLDFAST_AUDIT_BUCKET"),
            cache_sample: reader.number("HOLDFAST_CACHE_SAMPLE", 0..=1_000_000, 1000),
            breaker_failures: reader.number("HOLDFAST_BREAKER_FAILURES", 1..=100, 3),
            breaker_rest: Some(reader.number("HOLDFAST_BREAKER_SECONDS", 0..=3600, 0))
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(u64::from(seconds))),
            internal_issuers: reader.hosts("HOLDFAST_INTERNAL_ISSUERS"),
            local_keys: reader.path("HOLDFAST_LOCAL_KEYS"),
        };
        if settings.data_table == settings.volatile_table && reader.wrong.is_empty() {
            reader.refuse("HOLDFAST_VOLATILE_TABLE", "must be another table than HOLDFAST_DATA_TABLE");
        }
        if reader.wrong.is_empty() { Ok(settings) } else { Err(reader.wrong) }
    }
}

fn default_model() -> PathBuf {
    let layer = PathBuf::from(LAYER_MODEL);
    if layer.exists() { layer } else { PathBuf::from("model.yaml") }
}

struct Reader<'a> {
    variables: &'a dyn Variables,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn refuse(&mut self, variable: &'static str, why: impl Into<String>) {
        self.wrong.push(Wrong { variable, why: why.into() });
    }

    /// The value, where it is set and not empty: an empty variable counts as none.
    fn optional(&self, variable: &str) -> Option<String> {
        self.variables.get(variable).filter(|value| !value.is_empty())
    }

    fn required(&mut self, variable: &'static str) -> String {
        self.optional(variable).unwrap_or_else(|| {
            self.refuse(variable, "is not set");
            String::new()
        })
    }

    fn table(&mut self, variable: &'static str) -> String {
        let name = self.required(variable);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let right = name.starts_with("arn:") || (3..=255).contains(&name.len()) && name.bytes().all(allowed);
        if !name.is_empty() && !right {
            self.refuse(variable, format!("`{name}` is no name of a table: 3 to 255 of a-z A-Z 0-9 _ - ."));
        }
        name
    }

    fn topic(&mut self, variable: &'static str) -> Option<String> {
        let arn = self.optional(variable)?;
        if !arn.starts_with("arn:") || !arn.contains(":sns:") {
            self.refuse(variable, format!("`{arn}` is no ARN of an SNS topic"));
        }
        Some(arn)
    }

    fn path(&mut self, variable: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.optional(variable)?);
        if !path.exists() {
            self.refuse(variable, format!("{} does not exist", path.display()));
        }
        Some(path)
    }

    fn hosts(&mut self, variable: &'static str) -> Vec<String> {
        let text = self.optional(variable).unwrap_or_default();
        let hosts: Vec<String> =
            text.split(',').map(|host| host.trim().to_ascii_lowercase()).filter(|host| !host.is_empty()).collect();
        if let Some(wrong) = hosts.iter().find(|host| host.contains(['/', '@', '*', ' '])) {
            self.refuse(variable, format!("`{wrong}` is no host; name hosts such as idp.corp.example, separated by commas"));
        }
        hosts
    }

    fn number(&mut self, variable: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(text) = self.optional(variable) else { return default };
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.refuse(variable, format!("`{text}` is no whole number from {} to {}", range.start(), range.end()));
        }
        number.unwrap_or(default)
    }

    fn environment(&mut self, variable: &'static str) -> String {
        let name = self.optional(variable).unwrap_or_else(|| "dev".to_owned());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if name.len() > 16 || !name.bytes().all(allowed) {
            self.refuse(variable, format!("`{name}` is no name of a deployment: 1 to 16 of a-z 0-9"));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Vec<Wrong>> {
        let map: BTreeMap<String, String> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::read(&map)
    }

    const COMPLETE: [(&str, &str); 3] =
        [("HOLDFAST_DATA_TABLE", "data"), ("HOLDFAST_VOLATILE_TABLE", "volatile"), ("HOLDFAST_FILES_BUCKET", "files")];

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read(&[&COMPLETE[..], &[("HOLDFAST_TLS_ROOTS", "")]].concat()).unwrap();
        assert_eq!((settings.environment.as_str(), settings.tls_roots), ("dev", None));
        assert_eq!(settings.data_table, "data");
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let wrong = read(&[
            ("HOLDFAST_DATA_TABLE", "a b"),
            ("HOLDFAST_MODEL", "/nowhere/model.yaml"),
            ("HOLDFAST_ENV", "Prod"),
            ("HOLDFAST_TLS_ROOTS", "/nowhere/roots.pem"),
        ])
        .unwrap_err();
        let names: Vec<&str> = wrong.iter().map(|wrong| wrong.variable).collect();
        assert_eq!(
            names,
            [
                "HOLDFAST_DATA_TABLE",
                "HOLDFAST_VOLATILE_TABLE",
                "HOLDFAST_FILES_BUCKET",
                "HOLDFAST_MODEL",
                "HOLDFAST_ENV",
                "HOLDFAST_TLS_ROOTS"
            ]
        );
        assert!(wrong[0].to_string().contains("`a b` is no name of a table"));
    }

    #[test]
    fn the_share_of_sampled_hits_is_a_number_of_a_million() {
        let sample =
            |text| read(&[&COMPLETE[..], &[("HOLDFAST_CACHE_SAMPLE", text)]].concat()).map(|settings| settings.cache_sample);
        assert_eq!((sample(""), sample("0"), sample("1000000")), (Ok(1000), Ok(0), Ok(1_000_000)));
        for wrong in ["1000001", "-1", "0.5", "all"] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn when_a_circuit_opens_is_configured() {
        let read = |failures, seconds| {
            let variables = [("HOLDFAST_BREAKER_FAILURES", failures), ("HOLDFAST_BREAKER_SECONDS", seconds)];
            read(&[&COMPLETE[..], &variables].concat()).map(|settings| (settings.breaker_failures, settings.breaker_rest))
        };
        assert_eq!(read("", ""), Ok((3, None)));
        assert_eq!(read("7", "90"), Ok((7, Some(Duration::from_secs(90)))));
        assert_eq!(read("1", "0"), Ok((1, None)), "0 leaves it to each dependency");
        for (failures, seconds) in [("0", ""), ("101", ""), ("", "3601"), ("", "a minute")] {
            assert_eq!(read(failures, seconds).unwrap_err().len(), 1, "{failures} {seconds}");
        }
    }

    #[test]
    fn the_tables_are_two() {
        let wrong = read(&[COMPLETE[0], ("HOLDFAST_VOLATILE_TABLE", "data"), COMPLETE[2]]).unwrap_err();
        assert_eq!(wrong.len(), 1);
    }
}
