//! One home-grown dead-letter format in a file of its own, to be tried before it goes into the profile.

use std::path::Path;

use super::build::Builder;
use super::parse::parse_below;
use super::place::Environment;
use super::profile::LetterFormat;
use super::value::{Place, Step};
use crate::text::Fault;

/// Larger files are none.
const LARGEST: u64 = 1 << 20;

/// Reads a file that holds what stands below `[[profiles.NAME.dead_letters.formats]]`.
pub fn letter_format(path: &Path) -> Result<LetterFormat, Fault> {
    let unreadable = |why: String| {
        Fault::usage("config", format!("the letter format {} cannot be read", path.display()))
            .why(why)
            .hint("--letter-format names it")
    };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable(format!("it has {size} bytes, and a format is at most 1 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    from_text(&text, path)
}

/// Reads what such a file holds; `path` is for the errors.
pub fn from_text(text: &str, path: &Path) -> Result<LetterFormat, Fault> {
    let named = Step::Name("tried".to_owned());
    let base = Place::of("profiles").then(named).then(Step::Name("dead_letters".to_owned()));
    let base = base.then(Step::Name("formats".to_owned())).then(Step::Index(0));
    let values = parse_below(text, path, &base)?;
    let environment = Environment::default();
    let builder = Builder { values: &values, environment: &environment, beside: path.parent() };
    let whole = |fault: Fault| {
        let within = fault.what.contains(&path.display().to_string());
        let what = if within { fault.what.clone() } else { format!("{}: {}", path.display(), fault.what) };
        Fault { what, ..fault }
    };
    builder.letter_format(&Place::default()).map_err(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::{Encoding, Occurrence};

    fn read(text: &str) -> Result<LetterFormat, Fault> {
        from_text(text, Path::new("billing.toml"))
    }

    #[test]
    fn a_file_is_a_format_as_the_profile_has_it() {
        let text = "name = 'billing'\nlatest = 'first'\nstrip = ['x-*']\n[fields]\norigin_topic = 'x-topic'\n\
                    [encodings]\norigin_offset = 'i64be'\n";
        let format = read(text).unwrap();
        assert_eq!((format.name.as_str(), format.latest), ("billing", Occurrence::First));
        assert_eq!(format.fields["origin_topic"], "x-topic");
        assert_eq!(format.encodings["origin_offset"], Encoding::BigEndian64);
        assert_eq!(format.strip, ["x-*"]);
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let wrong = |text: &str| {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.exit_code(), 2);
            (fault.what, fault.why, fault.hint)
        };
        let (what, _, hint) = wrong("name = 'b'\n[fields]\norigin_topik = 'x'\n");
        assert_eq!(what, "billing.toml:3: unknown key `fields.origin_topik`");
        assert_eq!(hint, "did you mean `origin_topic`?");
        let (what, why, _) = wrong("name = 'b'\n[fields]\nmessage = 'm'\n[encodings]\nmessage = 'hex'\n");
        assert_eq!(what, "billing.toml:5: wrong value for `encodings.message`");
        assert!(why.contains("base64"), "{why}");
        assert_eq!(
            wrong("name = 'b'\n[fields]\nmessage = '$.'\n").0,
            "billing.toml:3: wrong value for `fields.message`"
        );
        assert!(wrong("name = ").0.starts_with("billing.toml:1: "));
        assert_eq!(wrong("[fields]\nmessage = 'm'\n").0, "billing.toml: `name` is missing");
        assert!(wrong("name = 'b'\n").1.contains("names no field"));
    }
}
