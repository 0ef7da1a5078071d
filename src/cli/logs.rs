//! The log: a file, never the terminal.
//!
//! Writing is lossy: a slow disk drops lines and does not hold the work up.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::text::Fault;

/// A log larger than this is moved to `….old` at the start.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Starts logging to `path`. The guard writes out what waits when it is dropped.
pub(super) fn start(path: &Path, verbose: u8) -> Result<WorkerGuard, Fault> {
    let file = open(path).map_err(|e| {
        Fault::usage("log_file", format!("the log {} cannot be written", path.display()))
            .why(e.to_string())
            .hint("give another file with --log-file")
    })?;
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(8192).thread_name("log").finish(file);
    let filter = match verbose {
        0 => "warn,redrive=info",
        1 => "info,redrive=debug",
        _ => "debug,redrive=trace",
    };
    // A second subscriber in one process is a mistake of the program, and the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(writer)
        .with_ansi(false)
        .try_init();
    Ok(guard)
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > LARGEST) {
        let mut old = path.as_os_str().to_owned();
        old.push(".old");
        fs::rename(path, old)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
