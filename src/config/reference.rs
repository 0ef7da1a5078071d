//! `${env:NAME}` and `${file:PATH}`: values that are looked up, so that no secret stands in the file.
//!
//! `$${` stands for a literal `${`. A file's last line break is cut. What cannot be found is an error, never
//! an empty value.

use std::path::{Path, PathBuf};

use super::place::Environment;

/// A secret's file is read up to this size; a larger one is a mistake.
const LARGEST_FILE: u64 = 256 * 1024;

/// Replaces every reference in `text`. `beside` is the directory that relative files are looked for in.
pub(super) fn expand(text: &str, environment: &Environment, beside: Option<&Path>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or("\"${\" without a closing \"}\"")?;
            out.push_str(&look_up(name, environment, beside)?);
            rest = after;
        } else {
            out.push('$');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether `text` holds a reference, and so can be checked only after it is looked up.
pub(super) fn has_reference(text: &str) -> bool {
    text.contains("${")
}

fn look_up(name: &str, environment: &Environment, beside: Option<&Path>) -> Result<String, String> {
    match name.split_once(':') {
        Some(("env", variable)) => environment
            .get(variable)
            .cloned()
            .ok_or_else(|| format!("the environment variable {variable} is not set")),
        Some(("file", file)) => read(&resolve(file, environment, beside)),
        _ => Err(format!("${{{name}}} is not known; ${{env:NAME}} and ${{file:PATH}} are")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |why: String| format!("the file {} cannot be read: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > LARGEST_FILE {
        return Err(failed(format!("it has {size} bytes, more than any secret")));
    }
    let mut text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// A path as it is written in the configuration: `~/` is the home directory, a relative one lies `beside`.
pub(super) fn resolve(text: &str, environment: &Environment, beside: Option<&Path>) -> PathBuf {
    if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), environment.get("HOME")) {
        return Path::new(home).join(rest);
    }
    match beside {
        Some(beside) => beside.join(text),
        None => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        [("PW", "s3cret"), ("HOME", "/home/me")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn a_variable_is_put_in_its_place() {
        let e = environment();
        assert_eq!(expand("a${env:PW}b", &e, None), Ok("as3cretb".to_owned()));
        assert_eq!(expand("$5 and $${env:PW}", &e, None), Ok("$5 and ${env:PW}".to_owned()));
    }

    #[test]
    fn a_missing_variable_is_an_error_that_names_it() {
        let why = expand("${env:NOT_SET}", &environment(), None).unwrap_err();
        assert!(why.contains("NOT_SET"), "{why}");
        assert!(expand("${cmd:ls}", &environment(), None).is_err());
        assert!(expand("${env:PW", &environment(), None).is_err());
    }

    #[test]
    fn a_file_is_read_without_its_last_line_break() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), "two\nlines\r\n").unwrap();
        assert_eq!(expand("${file:pw}", &environment(), Some(dir.path())), Ok("two\nlines".to_owned()));
        let why = expand("${file:none}", &environment(), Some(dir.path())).unwrap_err();
        assert!(why.contains("none"), "{why}");
    }

    #[test]
    fn a_value_that_was_looked_up_is_not_looked_up_again() {
        let e = [("A", "${env:B}"), ("B", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(expand("${env:A}", &e, None), Ok("${env:B}".to_owned()));
    }

    #[test]
    fn the_tilde_is_the_home_directory() {
        assert_eq!(
            resolve("~/ca.pem", &environment(), Some(Path::new("/etc"))),
            Path::new("/home/me/ca.pem")
        );
        assert_eq!(resolve("ca.pem", &environment(), Some(Path::new("/etc"))), Path::new("/etc/ca.pem"));
        assert_eq!(resolve("/a/ca.pem", &environment(), Some(Path::new("/etc"))), Path::new("/a/ca.pem"));
    }
}
