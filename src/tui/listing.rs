//! What is shown of a list, to be saved: records as they are, other rows as their cells.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::command::Id;
use super::screens::subject::{Subject, copy};
use super::widgets::List;
use super::widgets::list::Source;
use crate::text::{Fault, Safe};

/// The rows of a list in their order.
#[derive(Clone, Debug)]
pub struct Listing {
    titles: Vec<&'static str>,
    rows: Vec<(Vec<String>, Option<Subject>)>,
}

impl Listing {
    /// The marked rows of a list, or all that are shown where none is marked.
    pub fn of(list: &List, source: &dyn Source) -> Self {
        let titles: Vec<&'static str> = source.columns().iter().map(|column| column.title).collect();
        let saved = list.order.iter().filter(|(_, key)| list.marks.is_empty() || list.marks.contains(key));
        let rows = saved.map(|(row, _)| {
            let cell = |column| Safe::new(&source.cell(*row, column).text).as_str().trim().to_owned();
            ((0..titles.len()).map(cell).collect(), source.subject(*row))
        });
        Self { rows: rows.collect(), titles }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Saves it into a new file: as CSV where its name ends in `.csv`, else one JSON object a line.
    ///
    /// # Errors
    /// There is such a file already, or it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Fault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Payloads are nobody else's business.
            options.mode(0o600);
        }
        let file = options.open(path).map_err(|e| failed(path, &e))?;
        let mut out = BufWriter::new(file);
        let csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let written = if csv { self.csv(&mut out) } else { self.json(&mut out) };
        written.and_then(|()| out.flush()).map_err(|e| failed(path, &e))
    }

    /// Comma-separated values as RFC 4180 has them, with the columns' titles first.
    fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(&self.titles)?;
        for (cells, _) in &self.rows {
            out.write_record(cells)?;
        }
        out.flush()
    }

    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        for (cells, subject) in &self.rows {
            if let Some(record) = subject.as_ref().and_then(|subject| copy(subject, Id::CopyRow)) {
                writeln!(out, "{record}")?;
            } else {
                let named = self.titles.iter().zip(cells);
                let named: Map<String, Value> =
                    named.map(|(title, cell)| (name(title), Value::from(cell.as_str()))).collect();
                writeln!(out, "{}", Value::Object(named))?;
            }
        }
        Ok(())
    }
}

/// A column's title as a name: `RECORDS/S` is `records_s`.
fn name(title: &str) -> String {
    title.to_lowercase().replace([' ', '/', '+'], "_").trim_matches('_').to_owned()
}

fn failed(path: &Path, e: &io::Error) -> Fault {
    let hint = match e.kind() {
        io::ErrorKind::AlreadyExists => "nothing is replaced: give another name",
        _ => "what was written before is in the file",
    };
    Fault::failed("io", format!("{} was not saved", path.display())).why(e.to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing {
            titles: vec!["TOPIC", "RECORDS/S", "+/min"],
            rows: vec![
                (vec!["orders, old".into(), "1,204".into(), "—".into()], None),
                (vec!["a \"b\"".into(), "0".into(), "2".into()], None),
            ],
        }
    }

    #[test]
    fn what_is_shown_is_saved_as_json_lines_or_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("topics.json");
        listing().save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let first = r#"{"topic":"orders, old","records_s":"1,204","min":"—"}"#;
        assert_eq!(text.lines().next(), Some(first));
        let path = folder.path().join("topics.CSV");
        listing().save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "TOPIC,RECORDS/S,+/min\n\"orders, old\",\"1,204\",—\n\"a \"\"b\"\"\",0,2\n");
    }

    #[test]
    fn a_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        std::fs::write(&path, "mine").unwrap();
        assert!(listing().save(&path).unwrap_err().hint.contains("another name"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
