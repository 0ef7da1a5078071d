//! Writes metrics: families of samples, each with its name, meaning and kind.

use std::fmt::Write as _;

/// What sort of figure a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, or begins anew; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

/// A family of samples.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name, with its unit.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What it means, in one sentence.
    pub help: &'static str,
}

/// In which of the two formats is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Dialect {
    /// The format for who sends this `Accept` header.
    pub fn accepted(accept: &str) -> Self {
        let wants = |range: &str| range.trim().starts_with("application/openmetrics-text");
        if accept.split(',').any(wants) { Self::OpenMetrics } else { Self::Text }
    }

    /// The content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A document that is being written. The samples of a family must follow each other.
#[derive(Clone, Debug)]
pub struct Writer {
    text: String,
    dialect: Dialect,
    family: &'static str,
}

impl Writer {
    /// An empty document.
    pub fn new(dialect: Dialect) -> Self {
        Self { text: String::new(), dialect, family: "" }
    }

    /// Adds a sample; the first one of a family brings its heading along.
    pub fn sample(&mut self, family: &Family, labels: &[(&str, &str)], value: f64) {
        self.heading(family);
        self.line(family.name, "", labels, None, value);
    }

    /// Adds a histogram: how many values there were up to each bound and not below an earlier one, how many
    /// above the last bound, and the sum of all.
    pub fn histogram(
        &mut self,
        family: &Family,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        beyond: u64,
        sum: f64,
    ) {
        self.heading(family);
        let mut count = 0;
        for (bound, values) in buckets {
            count += values;
            self.line(family.name, "_bucket", labels, Some(*bound), count as f64);
        }
        count += beyond;
        self.line(family.name, "_bucket", labels, Some(f64::INFINITY), count as f64);
        self.line(family.name, "_sum", labels, None, sum);
        self.line(family.name, "_count", labels, None, count as f64);
    }

    /// The document.
    pub fn finish(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn heading(&mut self, family: &Family) {
        if self.family == family.name {
            return;
        }
        self.family = family.name;
        let name = match (self.dialect, family.kind) {
            (Dialect::OpenMetrics, Kind::Counter) => {
                family.name.strip_suffix("_total").unwrap_or(family.name)
            }
            _ => family.name,
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing into a string cannot fail.
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, family.help, false);
        let _ = writeln!(self.text, "\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], le: Option<f64>, value: f64) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (label, text) in labels {
            self.text.push(open);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, text, true);
            self.text.push('"');
            open = ',';
        }
        if let Some(bound) = le {
            self.text.push(open);
            self.text.push_str("le=\"");
            // One spelling in both formats, so that it is one series: `1.0`.
            if bound.is_finite() {
                let _ = write!(self.text, "{bound:?}");
            } else {
                number(&mut self.text, bound);
            }
            self.text.push('"');
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        number(&mut self.text, value);
        self.text.push('\n');
    }
}

fn number(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(out, "{value}");
    }
}

/// Label values and help texts may be any text; three characters have an escape.
fn escape(out: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Family = Family { name: "up", kind: Kind::Gauge, help: "Whether\nit \\ is \"up\"." };
    const SEEN: Family = Family { name: "seen_total", kind: Kind::Counter, help: "Seen." };
    const TOOK: Family = Family { name: "took_seconds", kind: Kind::Histogram, help: "Took." };

    fn document(dialect: Dialect) -> String {
        let mut writer = Writer::new(dialect);
        writer.sample(&UP, &[], 1.0);
        writer.sample(&SEEN, &[("topic", "a\"b\\c\nd")], 12_345_678_901.0);
        writer.sample(&SEEN, &[("topic", "e"), ("group", "")], 0.5);
        writer.histogram(&TOOK, &[("g", "x")], &[(0.1, 2), (1.0, 3)], 1, 7.25);
        writer.finish()
    }

    #[test]
    fn a_document_has_one_heading_a_family_and_escapes_what_must_be() {
        let wanted = r#"# HELP up Whether\nit \\ is "up".
# TYPE up gauge
up 1
# HELP seen_total Seen.
# TYPE seen_total counter
seen_total{topic="a\"b\\c\nd"} 12345678901
seen_total{topic="e",group=""} 0.5
# HELP took_seconds Took.
# TYPE took_seconds histogram
took_seconds_bucket{g="x",le="0.1"} 2
took_seconds_bucket{g="x",le="1.0"} 5
took_seconds_bucket{g="x",le="+Inf"} 6
took_seconds_sum{g="x"} 7.25
took_seconds_count{g="x"} 6
"#;
        assert_eq!(document(Dialect::Text), wanted);
    }

    #[test]
    fn open_metrics_names_a_counter_without_its_suffix_and_ends_with_a_mark() {
        let text = document(Dialect::OpenMetrics);
        assert!(text.contains("# TYPE seen counter\nseen_total{"), "{text}");
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Dialect::accepted(prometheus), Dialect::OpenMetrics);
        assert_eq!(Dialect::accepted("*/*"), Dialect::Text);
        assert_eq!(Dialect::accepted(""), Dialect::Text);
    }
}
