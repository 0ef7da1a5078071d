//! What the operator decides by hand is kept in the profile: the file is edited where it must be, and every comment
//! and blank line stays.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use super::profile::Profile;
use crate::text::Fault;

/// What a topic is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A dead-letter topic, although nothing may show it.
    Adopted,
    /// None, although something may look like it.
    Ignored,
}

impl Decision {
    /// The list of the profile that names such topics, and the other one.
    fn lists(self) -> (&'static str, &'static str) {
        match self {
            Self::Adopted => ("adopt", "ignore"),
            Self::Ignored => ("ignore", "adopt"),
        }
    }
}

/// What was kept, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Topic.
    pub topic: String,
    /// What it is said to be.
    pub decision: Decision,
    /// Profile.
    pub profile: String,
    /// File.
    pub file: PathBuf,
    /// Whether the file did not say so before.
    pub changed: bool,
}

impl Kept {
    /// One sentence for the operator. Hostile until sanitised.
    pub fn words(&self) -> String {
        let Self { topic, profile, .. } = self;
        let is = match self.decision {
            Decision::Adopted => "is a dead-letter topic",
            Decision::Ignored => "is no dead-letter topic",
        };
        let file = self.file.display();
        if self.changed {
            format!("{topic} {is} from now on: kept in profile {profile} of {file}")
        } else {
            format!("{topic} {is} already, says profile {profile} of {file}")
        }
    }
}

/// Writes into the profile's file what a topic is.
pub fn keep(profile: &Profile, topic: &str, decision: Decision) -> Result<Kept, Fault> {
    let file = profile.kept_in.as_deref().map_err(|why| {
        Fault::usage("not_kept", format!("there is nowhere to keep what {topic} is")).why(why).hint(
            "write a [profiles.NAME] with these brokers into the file of `redrive config path`, and give --profile NAME",
        )
    })?;
    let cannot = |why: String| {
        Fault::failed("not_kept", format!("{} cannot be changed", file.display())).why(why).hint(format!(
            "add {topic:?} to `{}` of [profiles.{}.dead_letters] by hand",
            decision.lists().0,
            profile.name
        ))
    };
    // A link stays one: what it leads to is changed.
    let place = fs::canonicalize(file).map_err(|e| cannot(e.to_string()))?;
    let text = fs::read_to_string(&place).map_err(|e| cannot(e.to_string()))?;
    let edited = edit(&text, &profile.name, topic, decision).map_err(cannot)?;
    if let Some(edited) = &edited {
        // What is written is read first: a file that the program refuses would be worse than none.
        super::parse::parse(edited, &place)?;
        replace(&place, edited).map_err(|e| cannot(e.to_string()))?;
    }
    Ok(Kept {
        topic: topic.to_owned(),
        decision,
        profile: profile.name.clone(),
        file: file.to_owned(),
        changed: edited.is_some(),
    })
}

/// The text with the topic in the list of its decision and not in the other one; `None` where it is so already.
fn edit(text: &str, profile: &str, topic: &str, decision: Decision) -> Result<Option<String>, String> {
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.message().to_owned())?;
    let table = document
        .get_mut("profiles")
        .and_then(Item::as_table_like_mut)
        .and_then(|profiles| profiles.get_mut(profile))
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| format!("it has no profile {profile} any more"))?;
    let (wanted, other) = decision.lists();
    let letters = table
        .entry("dead_letters")
        .or_insert(Item::Table(Table::new()))
        .as_table_like_mut()
        .ok_or("`dead_letters` is no table")?;
    let removed = letters.get_mut(other).is_some_and(|list| remove(list, topic));
    let added = add(letters, wanted, topic)?;
    Ok((removed || added).then(|| document.to_string()))
}

fn remove(list: &mut Item, topic: &str) -> bool {
    let Some(list) = list.as_array_mut() else { return false };
    let before = list.len();
    let was_first = list.get(0).and_then(Value::as_str) == Some(topic);
    list.retain(|entry| entry.as_str() != Some(topic));
    // The space behind a comma that is gone.
    if let Some(first) = list.get_mut(0).filter(|_| was_first)
        && first.decor().prefix().and_then(|prefix| prefix.as_str()) == Some(" ")
    {
        first.decor_mut().set_prefix("");
    }
    list.len() < before
}

fn add(letters: &mut dyn TableLike, name: &str, topic: &str) -> Result<bool, String> {
    let list = letters.entry(name).or_insert(Item::Value(Value::Array(Array::new())));
    let list = list.as_array_mut().ok_or_else(|| format!("`dead_letters.{name}` is no list"))?;
    if list.iter().any(|entry| entry.as_str() == Some(topic)) {
        return Ok(false);
    }
    let mut entry = Value::from(topic);
    // In a list of a line each, the new one has a line of its own too.
    if let Some(prefix) = list.iter().last().and_then(|last| last.decor().prefix()).and_then(|p| p.as_str())
        && prefix.contains('\n')
    {
        let indent = prefix.rsplit('\n').next().unwrap_or_default();
        entry.decor_mut().set_prefix(format!("\n{indent}"));
        list.push_formatted(entry);
    } else {
        list.push(entry);
    }
    Ok(true)
}

/// Puts a new text in the place of a file, whole or not at all, with the file's own permissions.
fn replace(place: &Path, text: &str) -> std::io::Result<()> {
    let permissions = fs::metadata(place)?.permissions();
    if permissions.readonly() {
        return Err(std::io::Error::other("the file is read-only"));
    }
    OpenOptions::new().write(true).open(place)?;
    let mut aside = place.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
        file.set_permissions(permissions)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, place)
    })();
    if written.is_err() {
        // The failure itself is told; what is left aside is only untidy.
        let _ = fs::remove_file(&aside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# mine\n[profiles.a] # first\nbrokers = [\"h:1\"]\n\n# the other\n[profiles.b]\nbrokers = \
                        [\"h:2\"]\n\n[profiles.b.dead_letters]\nadopt = [\n    \"x\", # why x\n    \"y\",\n]\nignore = \
                        [\"z\"]   # loud\n";

    fn edited(profile: &str, topic: &str, decision: Decision) -> Option<String> {
        edit(TEXT, profile, topic, decision).unwrap()
    }

    #[test]
    fn a_topic_comes_into_its_list_and_leaves_the_other_and_all_comments_stay() {
        let text = edited("b", "z", Decision::Adopted).unwrap();
        assert_eq!(text, TEXT.replace("    \"y\",\n", "    \"y\",\n    \"z\",\n").replace("[\"z\"]", "[]"));
        assert_eq!(edited("b", "x", Decision::Adopted), None);
        let text = edited("a", "new", Decision::Ignored).unwrap();
        assert!(
            text.contains(
                "[profiles.a] # first\nbrokers = [\"h:1\"]\n\n[profiles.a.dead_letters]\nignore = [\"new\"]\n"
            ),
            "{text}"
        );
        assert!(text.ends_with(&TEXT[TEXT.find("# the other").unwrap()..]), "{text}");
        let (layer, names) = super::super::parse::parse(&text, Path::new("c")).unwrap();
        assert_eq!((layer.len(), names.len()), (5, 2));
        let two = TEXT.replace("[\"z\"]", "[\"z\", \"y\"]");
        let text = edit(&two, "b", "z", Decision::Adopted).unwrap().unwrap();
        assert!(text.contains("ignore = [\"y\"]   # loud"), "{text}");
        let inline = "profiles.a = { brokers = [\"h:1\"] }\n";
        let text = edit(inline, "a", "t", Decision::Adopted).unwrap().unwrap();
        assert!(super::super::parse::parse(&text, Path::new("c")).is_ok(), "{text}");
        assert!(text.contains("\"t\""));
    }

    #[test]
    fn what_cannot_be_kept_is_told_with_what_to_do() {
        assert!(edit(TEXT, "c", "t", Decision::Adopted).unwrap_err().contains("no profile c"));
        let mut profile = Profile::new("a", vec!["h:1".into()]);
        let fault = keep(&profile, "t", Decision::Adopted).unwrap_err();
        assert_eq!((fault.exit_code(), fault.code), (2, "not_kept"));
        assert!(fault.hint.contains("--profile"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        profile.kept_in = Ok(file.clone());
        assert_eq!(keep(&profile, "t", Decision::Adopted).unwrap_err().exit_code(), 1);
        fs::write(&file, TEXT).unwrap();
        assert!(keep(&profile, "t", Decision::Adopted).unwrap().changed);
        assert!(!keep(&profile, "t", Decision::Adopted).unwrap().changed);
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        let fault = keep(&profile, "u", Decision::Adopted).unwrap_err();
        assert!(fault.why.contains("read-only") && fault.hint.contains("by hand"), "{fault:?}");
        assert!(!fs::read_to_string(&file).unwrap().contains("\"u\""));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
