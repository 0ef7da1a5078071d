//! Who acts: the self-declared name, and what the system knows of it.

use std::path::Path;

use crate::config::place::Environment;
use crate::context::Operator;

/// The operator of this process. `declared` is `--operator`.
pub(super) fn operator(declared: Option<&str>, environment: &Environment) -> Operator {
    let variable = |name: &str| environment.get(name).filter(|text| !text.is_empty()).cloned();
    let host = host().or_else(|| variable("HOSTNAME")).unwrap_or_else(|| "unknown-host".to_owned());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let os_user = os_user().or_else(|| user.clone()).unwrap_or_else(|| "unknown-user".to_owned());
    let name = declared
        .map(str::to_owned)
        .or_else(|| variable("REDRIVE_OPERATOR"))
        .unwrap_or_else(|| format!("{}@{host}", user.as_deref().unwrap_or(&os_user)));
    Operator { name, os_user, host }
}

fn host() -> Option<String> {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// The user that the process runs as, whatever `$USER` says: the owner of its own folder under `/proc`.
#[cfg(unix)]
fn os_user() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let id = std::fs::metadata(Path::new("/proc/self")).ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    Some(name.unwrap_or_else(|| format!("uid {id}")))
}

#[cfg(not(unix))]
fn os_user() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_variable_and_the_variable_before_the_user() {
        let mut environment = Environment::from([("USER".to_owned(), "ada".to_owned())]);
        assert!(operator(None, &environment).name.starts_with("ada@"));
        environment.insert("REDRIVE_OPERATOR".to_owned(), "on-call".to_owned());
        assert_eq!(operator(None, &environment).name, "on-call");
        assert_eq!(operator(Some("grace"), &environment).name, "grace");
    }
}
