//! The file's text becomes values by place; what does not fit the table of keys is an error with its line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind, check, look_up};
use super::nearest;
use super::reference::has_reference;
use super::value::{Layer, Origin, Place, Raw, Step, Value};
use crate::text::Fault;

/// Reads a whole file: its values, and the names of its profiles, also of those without any value.
pub(super) fn parse(text: &str, path: &Path) -> Result<(Layer, Vec<String>), Fault> {
    let reading = Reading::of(text, path, Place::default())?;
    Ok((reading.layer, reading.profiles))
}

/// Reads a file that holds what a configuration has below `base`; places begin there.
pub(super) fn parse_below(text: &str, path: &Path, base: &Place) -> Result<Layer, Fault> {
    let reading = Reading::of(text, path, base.clone())?;
    let below = |place: Place| Place(place.0.into_iter().skip(base.0.len()).collect());
    Ok(reading.layer.into_iter().map(|(place, value)| (below(place), value)).collect())
}

struct Reading<'a> {
    text: &'a str,
    path: Arc<PathBuf>,
    layer: Layer,
    profiles: Vec<String>,
    /// The place of the file's beginning.
    base: Place,
}

impl<'a> Reading<'a> {
    fn of(text: &'a str, path: &Path, base: Place) -> Result<Self, Fault> {
        let path = Arc::new(path.to_owned());
        let mut reading = Self { text, path, layer: Layer::new(), profiles: Vec::new(), base: base.clone() };
        let root = DeTable::parse(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            reading.fault(at, e.message().lines().next().unwrap_or_default())
        })?;
        reading.table(&base, root.get_ref())?;
        Ok(reading)
    }

    /// A place as the file has it.
    fn shown(&self, place: &Place) -> Place {
        Place(place.0.iter().skip(self.base.0.len()).cloned().collect())
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count()
    }

    fn fault(&self, at: usize, what: impl std::fmt::Display) -> Fault {
        Fault::usage("config", format!("{}:{}: {what}", self.path.display(), self.line(at)))
    }

    fn table(&mut self, place: &Place, table: &DeTable<'_>) -> Result<(), Fault> {
        for (name, value) in table {
            let place = place.then(Step::Name(name.get_ref().to_string()));
            self.value(&place, name.span().start, value)?;
        }
        Ok(())
    }

    fn value(&mut self, place: &Place, at: usize, value: &Spanned<DeValue<'_>>) -> Result<(), Fault> {
        let (key, next) = look_up(&place.names());
        if let Some(key) = key {
            let raw = self.raw(place, key, at, value)?;
            let origin = Origin::File { path: Arc::clone(&self.path), line: self.line(at) };
            self.layer.insert(place.clone(), Value { key, raw, origin });
            return Ok(());
        }
        if next.is_empty() {
            return Err(self.unknown(place, at));
        }
        match value.get_ref() {
            DeValue::Table(table) if !next.contains(&"[]") => {
                if let [Step::Name(root), Step::Name(name)] = place.0.as_slice()
                    && root == "profiles"
                {
                    self.profiles.push(name.clone());
                }
                self.table(place, table)
            }
            DeValue::Array(entries) if next.contains(&"[]") => {
                for (i, entry) in entries.iter().enumerate() {
                    let place = place.then(Step::Index(i));
                    let DeValue::Table(table) = entry.get_ref() else {
                        return Err(self.wrong(&place, at, "a table was expected", entry.get_ref()));
                    };
                    self.table(&place, table)?;
                }
                Ok(())
            }
            other if next.contains(&"[]") => {
                Err(self.wrong(place, at, &format!("an array of tables was expected ([[{place}]])"), other))
            }
            other => Err(self.wrong(place, at, &format!("a table was expected ([{place}])"), other)),
        }
    }

    fn unknown(&self, place: &Place, at: usize) -> Fault {
        let names = place.names();
        let (last, parent) = names.split_last().map_or((None, &[][..]), |(last, parent)| (*last, parent));
        let (_, known) = look_up(parent);
        let fault = self.fault(at, format!("unknown key `{}`", self.shown(place)));
        match nearest(last.unwrap_or_default(), known.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("known here: {}", known.join(", "))),
        }
    }

    fn wrong(&self, place: &Place, at: usize, wanted: &str, found: &DeValue<'_>) -> Fault {
        self.fault(at, format!("wrong value for `{}`", self.shown(place)))
            .why(format!("{wanted}, not {}", found.type_str()))
    }

    fn raw(
        &self,
        place: &Place,
        key: &'static Key,
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Raw, Fault> {
        let lists = matches!(key.kind, Kind::List | Kind::Brokers);
        match (value.get_ref(), key.kind) {
            (DeValue::String(text), Kind::Bool) if !has_reference(text) => {
                Err(self.wrong(place, at, "true or false without quotes was expected", value.get_ref()))
            }
            (DeValue::String(text), _) if lists => {
                let list = if key.kind == Kind::Brokers { split(text) } else { vec![text.to_string()] };
                self.checked(place, key, at, list).map(Raw::List)
            }
            (DeValue::String(text), _) => {
                let mut list = self.checked(place, key, at, vec![text.to_string()])?;
                Ok(Raw::Text(list.pop().unwrap_or_default()))
            }
            (DeValue::Boolean(on), Kind::Bool | Kind::Property) => Ok(Raw::Text(on.to_string())),
            (DeValue::Integer(number), Kind::Property | Kind::Number) if number.radix() == 10 => {
                let text = number.as_str().replace('_', "");
                let mut list = self.checked(place, key, at, vec![text])?;
                Ok(Raw::Text(list.pop().unwrap_or_default()))
            }
            (DeValue::Float(number), Kind::Number) => {
                let text = number.as_str().replace('_', "");
                let mut list = self.checked(place, key, at, vec![text])?;
                Ok(Raw::Text(list.pop().unwrap_or_default()))
            }
            (DeValue::Array(entries), _) if lists => {
                let mut list = Vec::new();
                for entry in entries {
                    let DeValue::String(text) = entry.get_ref() else {
                        return Err(self.wrong(
                            place,
                            entry.span().start,
                            "texts were expected",
                            entry.get_ref(),
                        ));
                    };
                    list.push(text.to_string());
                }
                self.checked(place, key, at, list).map(Raw::List)
            }
            (other, kind) => Err(self.wrong(place, at, wanted(kind), other)),
        }
    }

    fn checked(&self, place: &Place, key: &Key, at: usize, list: Vec<String>) -> Result<Vec<String>, Fault> {
        for text in list.iter().filter(|text| !has_reference(text)) {
            check(key.kind, text)
                .map_err(|why| self.fault(at, format!("wrong value for `{}`", self.shown(place))).why(why))?;
        }
        Ok(list)
    }
}

/// Texts between commas.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "a list of texts was expected",
        Kind::Brokers => "a list of host:port was expected",
        Kind::Bool => "true or false was expected",
        Kind::Property => "a text, a whole number or true or false was expected",
        Kind::Number => "a number was expected",
        Kind::Duration => "a text such as \"2s\" was expected",
        Kind::Text | Kind::Secret | Kind::Path | Kind::Url | Kind::OneOf(_) => "a text was expected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (String, String, String) {
        let fault = parse(text, Path::new("c.toml")).unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        (fault.what, fault.why, fault.hint)
    }

    #[test]
    fn an_unknown_key_names_file_line_key_and_the_nearest_right_one() {
        let (what, _, hint) =
            error("default_profile = 'a'\n\n[profiles.a]\nbrokers = 'h:1'\nread_onyl = true\n");
        assert_eq!(what, "c.toml:5: unknown key `profiles.a.read_onyl`");
        assert_eq!(hint, "did you mean `read_only`?");
    }

    #[test]
    fn an_unknown_table_is_found_at_every_depth() {
        let (what, _, hint) = error("[profiles.a.security.oath]\nscope = 'x'\n");
        assert_eq!(what, "c.toml:1: unknown key `profiles.a.security.oath`");
        assert_eq!(hint, "did you mean `oauth`?");
        let (what, ..) = error("[[profiles.a.dead_letters.formats]]\nname = 'x'\nfield = {}\n");
        assert_eq!(what, "c.toml:3: unknown key `profiles.a.dead_letters.formats[0].field`");
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        let (what, why, _) = error("[profiles.a]\nread_only = 'yes'\n");
        assert_eq!(what, "c.toml:2: wrong value for `profiles.a.read_only`");
        assert!(why.contains("true or false"), "{why}");
        let (_, why, _) = error("[profiles.a]\ncolour = 'orange'\n");
        assert!(why.contains("one of black, red"), "{why}");
        let (_, why, _) = error("[profiles.a.security]\nmechanism = 'scram-sha-256'\n");
        assert!(why.ends_with("did you mean \"SCRAM-SHA-256\"?"), "{why}");
        let (_, why, _) = error("[profiles.a.refresh]\nvisible = 2\n");
        assert!(why.contains("\"2s\""), "{why}");
        let (_, why, _) = error("[profiles]\na = 1\n");
        assert!(why.contains("[profiles.a]"), "{why}");
        let (_, why, _) = error("[profiles.a.metrics]\nscrape = 'http://x'\n");
        assert!(why.contains("[[profiles.a.metrics.scrape]]"), "{why}");
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let (what, ..) = error("[profiles.a]\nbrokers = [\n\n[x\n");
        assert!(what.starts_with("c.toml:"), "{what}");
    }

    #[test]
    fn brokers_may_stand_in_one_text_or_in_a_list() {
        for text in ["[profiles.a]\nbrokers = 'h:1, i:2'", "[profiles.a]\nbrokers = ['h:1', 'i:2']"] {
            let (layer, _) = parse(text, Path::new("c.toml")).unwrap();
            assert_eq!(
                layer.get(&Place::of("profiles.a.brokers")).unwrap().raw,
                Raw::List(vec!["h:1".to_owned(), "i:2".to_owned()])
            );
        }
    }

    #[test]
    fn a_librdkafka_property_may_be_a_number_or_a_boolean() {
        let (layer, _) =
            parse("[profiles.a.properties]\n'socket.timeout.ms' = 1_000\n'log.queue' = true", Path::new("c"))
                .unwrap();
        let raws: Vec<&Raw> = layer.values().map(|v| &v.raw).collect();
        assert_eq!(raws, [&Raw::Text("true".to_owned()), &Raw::Text("1000".to_owned())]);
    }
}
