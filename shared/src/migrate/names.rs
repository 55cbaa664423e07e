//! The names that subjects get: `me` -> `shop:me`, or, where an issuer's alias changes, `old:me` -> `shop:me`.

use crate::core::caller::{ANONYMOUS, KEY_ALIAS, LOCAL_ALIAS, RESERVED_ALIASES, subject};
use crate::model::Model;

/// What an operator says of the names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Alias of the issuer whose subjects are stored; `None`: the only one that there is.
    pub issuer: Option<&'a str>,
    /// The alias that it had before; `None`: the stored names have none yet.
    pub from: Option<&'a str>,
    /// Whether a name that is the id of a consumer with API keys is that consumer's.
    pub api_keys: bool,
    /// Whether tokens of the local issuer are accepted as well.
    pub local: bool,
}

/// How names of subjects change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    to: String,
    from: Option<String>,
    /// Aliases that a name may have already.
    known: Vec<String>,
    /// See [`Wanted::api_keys`].
    pub(super) api_keys: bool,
}

impl Names {
    /// Checks what the operator says against the model.
    ///
    /// # Errors
    /// A sentence for the operator: what is not known or not said, and what could be.
    pub fn new(model: &Model, wanted: Wanted<'_>) -> Result<Self, String> {
        let issuers = model.auth.issuers.iter().map(|issuer| issuer.alias.as_str());
        let mut issuers: Vec<&str> = issuers.collect();
        let reserved = RESERVED_ALIASES.map(|(alias, _)| alias);
        let known = issuers.iter().copied().chain(reserved).map(str::to_owned).collect();
        let from = wanted.from.map(|from| old_alias(&issuers, from)).transpose()?;
        if wanted.local {
            issuers.push(LOCAL_ALIAS);
        }
        let to = chosen(&issuers, wanted.issuer)?.to_owned();
        if from.as_ref() == Some(&to) {
            return Err(format!("`{to}` is both the new alias and the old one"));
        }
        Ok(Self { to, from, known, api_keys: wanted.api_keys })
    }

    /// The new name of a subject; `None`: it keeps the one that it has.
    pub fn renamed(&self, name: &str, is_key: bool) -> Option<String> {
        match &self.from {
            Some(from) => Some(subject(&self.to, name.strip_prefix(from.as_str())?.strip_prefix(':')?)),
            None if name.is_empty() || name == ANONYMOUS || self.has_alias(name) => None,
            None if is_key && self.api_keys => Some(subject(KEY_ALIAS, name)),
            None => Some(subject(&self.to, name)),
        }
    }

    /// Whether an API key may have had this name: those of before had no alias.
    pub(super) fn may_be_key(&self, name: &str) -> bool {
        self.from.is_none() && self.to != KEY_ALIAS && self.renamed(name, false).is_some()
    }

    /// What tells one migration from another.
    pub(super) fn plan(&self) -> String {
        format!("{} <- {}, {}", self.to, self.from.as_deref().unwrap_or(""), self.api_keys)
    }

    fn has_alias(&self, name: &str) -> bool {
        name.split_once(':').is_some_and(|(alias, _)| self.known.iter().any(|known| known == alias))
    }
}

fn old_alias(issuers: &[&str], from: &str) -> Result<String, String> {
    if issuers.contains(&from) || from == KEY_ALIAS {
        return Err(format!("`{from}` is an alias of the model, whose subjects keep their names; name one that it had before"));
    }
    if from.is_empty() || from.contains(':') {
        return Err(format!("`{from}` was never an alias: those contain no `:`"));
    }
    Ok(from.to_owned())
}

fn chosen<'a>(issuers: &[&'a str], issuer: Option<&'a str>) -> Result<&'a str, String> {
    let listed = || issuers.iter().map(|alias| format!("`{alias}`")).collect::<Vec<_>>().join(", ");
    match (issuer, issuers) {
        (Some(alias), _) if RESERVED_ALIASES.iter().any(|(known, _)| *known == alias) || issuers.contains(&alias) => Ok(alias),
        (Some(alias), []) => Err(format!("there is no issuer `{alias}`: the model has none; `{KEY_ALIAS}` stands for API keys")),
        (Some(alias), _) => {
            Err(format!("there is no issuer `{alias}`: there are {}; `{KEY_ALIAS}` stands for API keys", listed()))
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(format!("the model has no issuer: `--subject-issuer {KEY_ALIAS}` if the callers had API keys")),
        (None, _) => Err(format!(
            "whose subjects are stored cannot be told from the records: say it by `--subject-issuer`, one of {}; `{KEY_ALIAS}` \
             stands for API keys",
            listed()
        )),
    }
}
