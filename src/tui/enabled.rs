//! Whether commands can be done now, and the reason where they cannot.

use super::state::State;

/// There is a row under the cursor.
pub fn row(state: &State) -> Result<(), String> {
    match state.view().list() {
        Some(list) if list.row().is_none() => Err("the list is empty".to_owned()),
        _ => Ok(()),
    }
}
