//! Row conditions of roles, with claims as names.

use serde_json::Value;

use super::index::Path;

/// A row condition as the model states it. Claims are names until [`crate::query::policy`] fills in the values of a caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Conjunction (empty: always true).
    All(Vec<Rule>),
    /// Disjunction (empty: never true).
    Any(Vec<Rule>),
    /// Negation.
    Not(Box<Rule>),
    /// A comparison.
    Compare {
        /// Left side.
        path: Path,
        /// Operator.
        op: Op,
        /// Right side; several for `in` and `nin`.
        operands: Vec<Operand>,
    },
}

impl Rule {
    /// The condition that holds for every row.
    pub const fn always() -> Self {
        Self::All(Vec::new())
    }
}

/// The right side of a comparison in a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A constant, already of the field's type.
    Constant(Value),
    /// A claim of the caller; a list claim stands for all of its elements. Every caller has the claims `subject` and `consumer`.
    Claim(String),
}

/// Comparison operator of filters and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal (true for null).
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// One of several.
    In,
    /// None of several.
    Nin,
    /// Begins with (texts).
    Prefix,
    /// A text contains the text; a list contains the element.
    Contains,
    /// Is null (`true`) or is not (`false`).
    Null,
}

impl Op {
    /// All operators.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Ne,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::In,
        Self::Nin,
        Self::Prefix,
        Self::Contains,
        Self::Null,
    ];

    /// Name in query strings and in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Prefix => "prefix",
            Self::Contains => "contains",
            Self::Null => "null",
        }
    }

    /// The operator with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }
}
