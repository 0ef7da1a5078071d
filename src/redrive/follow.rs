//! What became of a run's records, as far as it shows within a bounded time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::document::RunAnswer;
use super::watch::Watch;
use crate::context::Cx;
use crate::letters::outcome::{Outcome, Redriven};

/// How long a run waits for groups to come to its records.
const WAIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);

/// Counts what became of the records, until all is settled or the time is over. What cannot be found out stays
/// unconfirmed.
pub(super) async fn follow(
    cx: &Cx,
    watch: &mut Watch<'_>,
    sent: &[Redriven],
    answer: &mut RunAnswer,
    cancel: &CancellationToken,
) {
    let clock = &cx.clock;
    let began = clock.monotonic();
    answer.unconfirmed = answer.redriven;
    if sent.is_empty() {
        return;
    }
    // The operator's cancel ended the writing; one look is still made.
    let looks = CancellationToken::new();
    loop {
        let Ok(outcomes) = watch.look(sent, &looks).await else { return };
        count(&outcomes, answer);
        let waits = outcomes.iter().any(|o| matches!(o, Outcome::Produced | Outcome::Retrying));
        if !waits || cancel.is_cancelled() || clock.monotonic().saturating_sub(began) >= WAIT {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cancel.cancelled() => return,
        }
    }
}

/// Counts outcomes into the answer. Records of a run that are not among them stay unconfirmed.
pub(super) fn count(outcomes: &[Outcome], answer: &mut RunAnswer) {
    let of = |wanted: Outcome| outcomes.iter().filter(|o| **o == wanted).count() as u64;
    let processed = of(Outcome::Processed);
    let known =
        outcomes.iter().any(|o| matches!(o, Outcome::Processed | Outcome::Retrying | Outcome::Produced));
    answer.came_back = of(Outcome::CameBack);
    answer.processed = known.then_some(processed);
    answer.unconfirmed = answer.redriven.saturating_sub(processed + answer.came_back);
}
