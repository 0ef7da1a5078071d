//! Points in time, and the clock that every part is given instead of asking the system.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::units;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, as Kafka stores them.
///
/// In JSON it is RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time plus `millis` milliseconds.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; a time outside the calendar is written as `@` and its milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How times are shown in the console and in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeStyle {
    /// In the zone of this machine.
    #[default]
    Local,
    /// In UTC.
    Utc,
    /// As an age.
    Relative,
}

/// Shows times in one style and zone.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    style: TimeStyle,
    zone: TimeZone,
}

impl TimeFormat {
    /// Local times are in the system's zone (`TZ`, else its setting); UTC where it has none.
    pub fn new(style: TimeStyle) -> Self {
        Self::with_zone(style, TimeZone::system())
    }

    /// Local times are in `zone`.
    pub fn with_zone(style: TimeStyle, zone: TimeZone) -> Self {
        Self { style, zone: if style == TimeStyle::Utc { TimeZone::UTC } else { zone } }
    }

    /// The style.
    pub fn style(&self) -> TimeStyle {
        self.style
    }

    /// A time in at most 12 cells: `14:02:11.034` today, `Nov 23 14:02` in the days before and after,
    /// `2025-11-23` in another year; or its age (`4 m`, `-2 s` when it is ahead of the clock).
    pub fn short(&self, at: Timestamp, now: Timestamp) -> String {
        if self.style == TimeStyle::Relative {
            return units::age(now.since(at));
        }
        let (Some(at_zoned), Some(now)) = (self.zoned(at), self.zoned(now)) else {
            return at.to_string();
        };
        let form = if at_zoned.date() == now.date() {
            "%H:%M:%S.%3f"
        } else if at_zoned.year() == now.year() {
            "%b %d %H:%M"
        } else {
            "%Y-%m-%d"
        };
        at_zoned.strftime(form).to_string()
    }

    /// A time with date, milliseconds and offset: `2026-11-24 14:02:11.034 +01:00`.
    pub fn full(&self, at: Timestamp) -> String {
        match self.zoned(at) {
            Some(zoned) => zoned.strftime("%Y-%m-%d %H:%M:%S.%3f %:z").to_string(),
            None => at.to_string(),
        }
    }

    /// The zone for the header of a screen: `UTC`, `CET`, `+01:00`, or `ago` where ages are shown.
    pub fn zone_name(&self, now: Timestamp) -> String {
        if self.style == TimeStyle::Relative {
            return "ago".to_owned();
        }
        self.zoned(now).map_or_else(|| "UTC".to_owned(), |zoned| zoned.strftime("%Z").to_string())
    }

    fn zoned(&self, at: Timestamp) -> Option<ZonedDateTime> {
        Some(jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned_datetime(self.zone.clone()))
    }
}

/// Tells the time; the only way for any part to learn it, so that tests can set it.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The system's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock that asks the system")]
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock that asks the system")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_795_525_331_034); // 2026-11-24T13:02:11.034Z

    fn rome(style: TimeStyle) -> TimeFormat {
        TimeFormat::with_zone(style, TimeZone::fixed(jiff::tz::offset(1)))
    }

    #[test]
    fn json_has_utc_with_milliseconds() {
        assert_eq!(AT.to_string(), "2026-11-24T13:02:11.034Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "@9223372036854775807");
    }

    #[test]
    fn a_short_time_says_the_day_only_where_it_is_another() {
        let local = rome(TimeStyle::Local);
        assert_eq!(local.short(AT, AT.plus_millis(60_000)), "14:02:11.034");
        assert_eq!(local.short(AT, AT.plus_millis(12 * 3_600_000)), "Nov 24 14:02");
        assert_eq!(local.short(AT.plus_millis(-400 * 86_400_000), AT), "2025-10-20");
        assert_eq!(rome(TimeStyle::Utc).short(AT, AT), "13:02:11.034");
        assert_eq!(rome(TimeStyle::Relative).short(AT, AT.plus_millis(240_000)), "4 m");
        assert_eq!(local.short(Timestamp(i64::MIN), AT), "@-9223372036854775808");
    }

    #[test]
    fn a_full_time_names_its_offset() {
        assert_eq!(rome(TimeStyle::Local).full(AT), "2026-11-24 14:02:11.034 +01:00");
        assert_eq!(rome(TimeStyle::Utc).full(AT), "2026-11-24 13:02:11.034 +00:00");
        assert_eq!(rome(TimeStyle::Utc).zone_name(AT), "UTC");
    }
}
