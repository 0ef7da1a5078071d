//! Where offsets are moved to, as an operator writes it. Pure.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;

use crate::broker::Name;
use crate::filter::{Edge, partitions};
use crate::text::Timestamp;

/// Where the offsets of a group are moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The start of the log.
    Earliest,
    /// The end of the log.
    Latest,
    /// This offset, the same on each partition.
    Offset(i64),
    /// The first record at or after this time.
    Time(Timestamp),
    /// So many offsets forward, or back.
    Shift(i64),
    /// Where another group stands.
    Group(Name),
    /// These offsets by partition; other partitions are not meant.
    Each(BTreeMap<i32, i64>),
}

impl Target {
    /// Reads `earliest`, `latest`, `offset:N`, `@TIME`, `shift:+-N`, `group:OTHER` or `each:P=N,…`; the error says what
    /// is wrong and what is right.
    pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Self, String> {
        let number = |text: &str, what: &str| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            digits.parse::<i64>().map_err(|_| format!("a whole number was expected after {what}"))
        };
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if text.starts_with('@') {
            return match Edge::parse(text, now, zone)? {
                Edge::Time(at) => Ok(Self::Time(at)),
                other => Err(format!("{other} is no time")),
            };
        }
        if let Some(offset) = text.strip_prefix("offset:") {
            return match number(offset, "offset:")? {
                offset @ 0.. => Ok(Self::Offset(offset)),
                _ => Err("an offset is not below 0; shift: moves back".to_owned()),
            };
        }
        if let Some(by) = text.strip_prefix("shift:") {
            return number(by, "shift:").map(Self::Shift);
        }
        if let Some(group) = text.strip_prefix("group:") {
            let named = (!group.is_empty()).then(|| Self::Group(group.into()));
            return named.ok_or_else(|| "the name of a group was expected after group:".to_owned());
        }
        if let Some(list) = text.strip_prefix("each:") {
            return each(list).map(Self::Each);
        }
        let near = match text {
            "beginning" | "start" => "; did you mean earliest?",
            "end" => "; did you mean latest?",
            _ => "",
        };
        Err(format!(
            "earliest, latest, offset:N, @TIME, shift:+N, shift:-N, group:OTHER or each:PARTITION=OFFSET,… was expected{near}"
        ))
    }
}

fn each(list: &str) -> Result<BTreeMap<i32, i64>, String> {
    let mut out = BTreeMap::new();
    for part in list.split(',') {
        let pair = part.split_once('=').and_then(|(partition, offset)| {
            let partition = partition.trim().parse::<i32>().ok().filter(|p| *p >= 0)?;
            Some((partition, offset.trim().parse::<i64>().ok().filter(|o| *o >= 0)?))
        });
        let Some((partition, offset)) = pair else {
            return Err(format!("PARTITION=OFFSET was expected instead of {part:?}"));
        };
        if out.insert(partition, offset).is_some() {
            return Err(format!("partition {partition} is given twice"));
        }
    }
    Ok(out)
}

impl fmt::Display for Target {
    /// As it may be given again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
            Self::Time(at) => write!(f, "@{at}"),
            Self::Shift(by) => write!(f, "shift:{by:+}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Each(offsets) => {
                f.write_str("each:")?;
                for (i, (partition, offset)) in offsets.iter().enumerate() {
                    write!(f, "{}{partition}={offset}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChoice {
    /// The topic.
    pub topic: Name,
    /// Its partitions; empty for all.
    pub partitions: Vec<i32>,
}

impl TopicChoice {
    /// Reads `TOPIC` or `TOPIC:0,3-5`; a topic's name has no colon.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (topic, list) = match text.split_once(':') {
            Some((topic, list)) => (topic, Some(list)),
            None => (text, None),
        };
        if topic.is_empty() {
            return Err("TOPIC or TOPIC:PARTITION,… was expected".to_owned());
        }
        let partitions = list.map(partitions).transpose()?.unwrap_or_default();
        Ok(Self { topic: topic.into(), partitions })
    }
}

impl fmt::Display for TopicChoice {
    /// As it may be given again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)?;
        for (i, partition) in self.partitions.iter().enumerate() {
            write!(f, "{}{partition}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_525_331_034); // 2026-11-24T13:02:11.034Z

    fn target(text: &str) -> Result<Target, String> {
        Target::parse(text, NOW, &TimeZone::UTC)
    }

    #[test]
    fn every_form_of_a_target_is_read_and_printed_so_that_it_can_be_given_again() {
        let each = Target::Each(BTreeMap::from([(0, 5), (12, 700)]));
        for (text, wanted) in [
            ("earliest", Target::Earliest),
            ("latest", Target::Latest),
            ("offset:0", Target::Offset(0)),
            ("shift:+5", Target::Shift(5)),
            ("shift:-5", Target::Shift(-5)),
            ("group:it is:odd", Target::Group("it is:odd".into())),
            ("each:0=5,12=700", each),
            ("@2026-11-24T13:00:00.000Z", Target::Time(NOW.plus_millis(-131_034))),
        ] {
            assert_eq!(target(text), Ok(wanted), "{text}");
            assert_eq!(target(text).unwrap().to_string(), text);
        }
        assert_eq!(target("shift:5"), Ok(Target::Shift(5)));
        assert_eq!(target("@-15m"), Ok(Target::Time(NOW.plus_millis(-900_000))));
    }

    #[test]
    fn a_wrong_target_is_refused_with_what_is_right() {
        for wrong in
            ["", "offset:", "offset:-1", "offset:x", "shift:", "group:", "each:", "each:0", "each:0=-1", "@"]
        {
            assert!(target(wrong).is_err(), "{wrong}");
        }
        assert!(target("each:0=1,0=2").unwrap_err().contains("twice"));
        assert!(target("beginning").unwrap_err().ends_with("did you mean earliest?"));
        assert!(target("end").unwrap_err().contains("shift:+N"));
    }

    #[test]
    fn a_topic_may_name_its_partitions() {
        let choice = |text| TopicChoice::parse(text).map(|c| c.to_string());
        assert_eq!(choice("orders").as_deref(), Ok("orders"));
        assert_eq!(choice("orders:3,0-2,1").as_deref(), Ok("orders:0,1,2,3"));
        for wrong in
            ["", ":1", "orders:", "orders:a", "orders:5-3", "orders:-1", "orders:1,,2", "orders:0-9999999"]
        {
            assert!(choice(wrong).is_err(), "{wrong}");
        }
    }
}
