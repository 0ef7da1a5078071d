//! The searches of earlier sessions, in a file of the state directory: one JSON array a line, the latest last.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::overlays::search::Typed;

/// So many searches are kept.
const MOST: usize = 100;
/// A file that is larger is none of ours.
const MOST_BYTES: u64 = 1 << 20;

/// Reads them; what cannot be read is as if it were not there.
pub fn read(path: &Path) -> Vec<Typed> {
    if fs::metadata(path).is_ok_and(|file| file.len() > MOST_BYTES) {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let searches = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let searches: Vec<Typed> = searches.collect();
    let more = searches.len().saturating_sub(MOST);
    searches.into_iter().skip(more).collect()
}

/// Adds one; another session's are kept. Keys of records are nobody else's, so the file is the operator's alone.
pub fn add(path: &Path, search: &Typed) -> std::io::Result<()> {
    let mut searches = read(path);
    searches.retain(|other| other != search);
    searches.push(search.clone());
    let more = searches.len().saturating_sub(MOST);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&aside)?;
    for search in searches.iter().skip(more) {
        serde_json::to_writer(&mut file, search)?;
        file.write_all(b"\n")?;
    }
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_kept_once_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/searches");
        assert!(read(&path).is_empty());
        let search = |n: usize| -> Typed { std::array::from_fn(|field| format!("{n} \"{field}\"\n")) };
        for n in (0..MOST + 5).chain([7]) {
            add(&path, &search(n)).unwrap();
        }
        let there = read(&path);
        assert_eq!(there.len(), MOST);
        assert_eq!((&there[0], there.last()), (&search(5), Some(&search(7))));
        fs::write(&path, "nonsense\n[\"a\"]\n").unwrap();
        assert!(read(&path).is_empty());
    }
}
