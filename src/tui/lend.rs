//! The terminal lent to another program: the operator's pager.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use crate::text::Fault;

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
