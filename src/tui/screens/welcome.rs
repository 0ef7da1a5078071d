//! Nothing is configured yet: what to do.

use super::super::command::Scope;
use super::super::hits::Hits;
use super::super::state::State;
use super::super::theme::Role;
use super::super::widgets::Pen;
use super::View;

/// The screen.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// Where the configuration would be, where that is known.
    pub place: Option<String>,
}

impl View for Welcome {
    fn scope(&self) -> Scope {
        Scope::Welcome
    }

    fn crumb(&self) -> String {
        "welcome".to_owned()
    }

    fn draw(&self, _state: &State, pen: &mut Pen<'_>, _hits: &mut Hits) {
        let place = self.place.as_deref().unwrap_or("the configuration file");
        let lines = [
            ("No cluster is configured yet.".to_owned(), Role::Title),
            (String::new(), Role::Text),
            ("Try it without a cluster:".to_owned(), Role::Text),
            ("  redrive demo".to_owned(), Role::Key),
            (String::new(), Role::Text),
            ("Connect once:".to_owned(), Role::Text),
            ("  redrive --brokers localhost:9092".to_owned(), Role::Key),
            (String::new(), Role::Text),
            ("Or write a profile:".to_owned(), Role::Text),
            (format!("  {place}"), Role::Key),
            ("  [profiles.local]".to_owned(), Role::Dim),
            ("  brokers = \"localhost:9092\"".to_owned(), Role::Dim),
            (String::new(), Role::Text),
            ("`redrive config check` says whether each profile connects.".to_owned(), Role::Text),
        ];
        for (y, (text, role)) in (1..).zip(&lines) {
            pen.put(2, y, text, *role);
        }
    }
}
