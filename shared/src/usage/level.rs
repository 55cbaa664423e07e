//! Levels of rollups: minute, hour, day.

/// Level of a rollup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Kept for 3 days.
    Minute,
    /// Kept for 62 days: eight times the same hour of the week.
    Hour,
    /// Kept for 800 days.
    Day,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Length of a rollup, seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Retention of its rollups, seconds.
    pub fn kept(self) -> i64 {
        match self {
            Self::Minute => 3 * 86_400,
            Self::Hour => 62 * 86_400,
            Self::Day => 800 * 86_400,
        }
    }

    /// Start of the rollup that a moment lies in; both seconds since 1970.
    pub fn start(self, moment: i64) -> i64 {
        moment - moment.rem_euclid(self.seconds())
    }

    /// Letter in keys.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Minute => 'm',
            Self::Hour => 'h',
            Self::Day => 'd',
        }
    }
}
