//! Where configuration and log lie on this system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use directories::ProjectDirs;

/// The environment variables that are UTF-8, taken once at the start, so that tests can give their own.
pub type Environment = BTreeMap<String, String>;

/// The configuration file's usual place; `None` where the system knows no home directory.
pub fn usual_file() -> Option<PathBuf> {
    directories().map(|dirs| dirs.config_dir().join("config.toml"))
}

/// The console's log file; `None` where the system knows no home directory.
pub fn log_file() -> Option<PathBuf> {
    directories().map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).join("redrive.log"))
}

/// The file that the console keeps searches in; `None` where the system knows no home directory.
pub fn searches_file() -> Option<PathBuf> {
    directories().map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).join("searches.jsonl"))
}

fn directories() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "redrive")
}
