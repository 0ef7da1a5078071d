//! The terminal lent to another program: the operator's pager, or editor.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::text::Fault;

/// What edits where neither `$VISUAL` nor `$EDITOR` is set.
const EDITOR: &str = "vi";

/// What reads where `$PAGER` is not set.
const PAGER: &str = "less";

/// Shows a text in the operator's pager, and waits until it is left.
///
/// # Errors
/// There is no such program, or it failed.
pub fn page(text: &str) -> Result<String, Fault> {
    let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    let pager = pager.unwrap_or_else(|| PAGER.to_owned());
    let failed = |why: String| {
        Fault::failed("pager", format!("{pager} did not show it"))
            .why(why)
            .hint("set PAGER to a program that is there")
    };
    // Through the shell, as everybody reads PAGER. Nobody could continue a pager that stopped: we would wait for it.
    let mut child = Command::new("sh")
        .args(["-c", &format!("trap '' TSTP; {pager}")])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // Left before the end.
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(failed(e.to_string())),
            _ => {}
        }
    }
    let status = child.wait().map_err(|e| failed(e.to_string()))?;
    if status.success() { Ok(format!("{pager} was left")) } else { Err(failed(status.to_string())) }
}

/// Lets the operator edit a text, and waits; gives the text as it was saved. It lies in a file of the directory for
/// temporary files that only its owner reads, and is deleted afterwards.
///
/// # Errors
/// The file could not be written or read, or there is no such program, or it failed: then nothing counts as edited.
pub fn edit(text: &str) -> Result<String, Fault> {
    let set = |name: &str| std::env::var(name).ok().filter(|program| !program.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| EDITOR.to_owned());
    let path = std::env::temp_dir().join(format!("redrive-{}.json", uuid::Uuid::new_v4().simple()));
    let edited = write(&path, text)
        .map_err(|e| {
            Fault::failed("editor", format!("{} could not be written", path.display()))
                .why(e.to_string())
                .hint("set TMPDIR to a directory that can be written to")
        })
        .and_then(|()| run_editor(&editor, &path));
    // Where it was never made there is nothing to delete.
    let _ = fs::remove_file(&path);
    edited
}

fn run_editor(editor: &str, path: &Path) -> Result<String, Fault> {
    let failed = |why: String| {
        Fault::failed("editor", format!("{editor} did not edit it"))
            .why(why)
            .hint("set EDITOR to a program that is there; nothing was changed")
    };
    let status = Command::new("sh")
        .args(["-c", &format!("trap '' TSTP; {editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .map_err(|e| failed(e.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    fs::read_to_string(path).map_err(|e| failed(e.to_string()))
}

/// Payloads are nobody else's to read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
