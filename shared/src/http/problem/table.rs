//! What a failed call of the store means for the client.

use super::Problem;
use crate::store::table::{Reason, TableError};

impl From<TableError> for Problem {
    /// Trouble that passes is 503; what is our fault, and conditions that whoever set them should have looked at, 500. The log
    /// names the kind of failure, never the items.
    fn from(error: TableError) -> Self {
        match error {
            TableError::Busy(why) => Self::unavailable(format!("store busy: {why}")),
            TableError::Unknown(why) => Self::unavailable(format!("outcome unknown: {why}")),
            TableError::Broken(why) => Self::internal(format!("call refused: {why}")),
            TableError::ConditionFailed(_) => Self::internal("a condition failed that nobody expected to"),
            TableError::Cancelled(reasons) => cancelled(&reasons),
        }
    }
}

fn cancelled(reasons: &[Reason]) -> Problem {
    let names: Vec<&str> = reasons.iter().map(name).collect();
    let cause = format!("transaction cancelled: {}", names.join(", "));
    let passes = |reason: &Reason| matches!(reason, Reason::None | Reason::Conflict | Reason::Throttled);
    if reasons.iter().all(passes) { Problem::unavailable(cause) } else { Problem::internal(cause) }
}

fn name(reason: &Reason) -> &str {
    match reason {
        Reason::None => "none",
        Reason::ConditionFailed(_) => "condition",
        Reason::Conflict => "conflict",
        Reason::Throttled => "throttled",
        Reason::Other(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    #[test]
    fn what_passes_is_503_and_what_does_not_is_500() {
        let cases = [
            (TableError::Busy("throttled".into()), Code::Unavailable),
            (TableError::Unknown("reset".into()), Code::Unavailable),
            (TableError::Broken("AccessDenied on arn:aws:x".into()), Code::Internal),
            (TableError::ConditionFailed(None), Code::Internal),
            (TableError::Cancelled(vec![Reason::None, Reason::Conflict]), Code::Unavailable),
            (TableError::Cancelled(vec![Reason::Throttled, Reason::ConditionFailed(None)]), Code::Internal),
            (TableError::Cancelled(vec![Reason::Other("ValidationError".into())]), Code::Internal),
        ];
        for (error, code) in cases {
            let problem = Problem::from(error.clone());
            assert_eq!(problem.code, code, "{error}");
            assert_eq!(problem.headers.len(), usize::from(code == Code::Unavailable), "{error}");
            assert!(problem.log.is_some_and(|log| !log.is_empty() && !problem.detail.contains(&log)));
        }
    }
}
