//! The drill on the embedded broker, by keys: from the page to the redriven event.

use std::sync::Arc;
use std::time::Duration;

use redrive::ask::Desk;
use redrive::broker::memory::MemoryBroker;
use redrive::broker::memory::shop::{self, Shop};
use redrive::config::profile::Profile;
use redrive::context::{Cx, Operator};
use redrive::text::{Clock, SystemClock};
use redrive::tui::message::{Effect, Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, console};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A console on a shop: requests are answered, pictures come.
struct Drill {
    bench: Bench,
    desk: Arc<Desk>,
    clock: Arc<dyn Clock>,
    answers: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    shop: Shop,
}

impl Drill {
    async fn open() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let broker = MemoryBroker::new(Arc::clone(&clock), 64 << 20).broker();
        for made in broker.writer().unwrap().create_topics(&shop::topics("")).await.unwrap() {
            made.unwrap();
        }
        let options = shop::Options { rate: 200, failures_percent: 10.0, seed: 7, prefix: String::new() };
        let shop = Shop::start(Arc::clone(&broker), Arc::clone(&clock), options).unwrap();
        let profile = Arc::new(Profile::new("demo", Vec::new()));
        let operator =
            Operator { name: "oncall".to_owned(), os_user: "oncall".to_owned(), host: "desk".to_owned() };
        let cx = Cx { broker, clock: Arc::clone(&clock), profile, operator: Arc::new(operator) };
        let desk = Arc::new(Desk::new(cx));
        Self { bench: console(), desk, clock, answers: mpsc::channel(1024), shop }
    }

    /// Presses the key of a command, and asks what it wants to know.
    fn press(mut self, name: &str) -> Self {
        self.bench = self.bench.press(name);
        self.ask();
        self
    }

    fn keys(mut self, keys: &str) -> Self {
        self.bench = self.bench.keys(keys);
        self.ask();
        self
    }

    fn ask(&mut self) {
        for (id, request) in std::mem::take(&mut self.bench.asked) {
            let (desk, sender) = (Arc::clone(&self.desk), self.answers.0.clone());
            tokio::spawn(async move {
                let tell = |event| drop(sender.try_send(Message::Told(id, event)));
                let answer = desk.answer(request, &tell, CancellationToken::new()).await;
                let _ = sender.send(Message::Done(id, Box::new(answer))).await;
            });
        }
    }

    /// Goes on until `wanted` is in the picture.
    async fn expect(mut self, wanted: &str) -> Self {
        let mut pictures = self.desk.snapshots();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.bench.text().contains(wanted) {
            let message = tokio::select! {
                Some(message) = self.answers.1.recv() => message,
                Ok(()) = pictures.changed() => Message::Snapshot(Arc::clone(&pictures.borrow_and_update())),
                () = tokio::time::sleep_until(deadline) => {
                    panic!("waited in vain for {wanted:?}:\n{}", self.bench.text())
                }
            };
            self.bench.send(Message::Clock(self.clock.now()));
            self.bench.send(message);
            self.ask();
        }
        self
    }

    async fn close(self) {
        self.shop.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_page_to_the_redriven_event() {
    let drill = Drill::open().await;
    let drill = drill.expect("payments-dlt").await;
    let drill = drill.press("dlqs").expect("payments-dlt").await;
    let drill =
        drill.keys("/").keys("p a y enter").press("dlq.open").expect("shop.PaymentGateway.charge").await;
    for cause in shop::Cause::ALL {
        drill.shop.repair(cause);
    }
    let drill = drill.press("dlq.plan").expect("exactly once").await;
    let drill = drill.press("plan.run").expect("[ Cancel ]").await;
    let drill = drill.keys("tab enter").expect("came back").await;
    // The end is told, whatever screen is seen then.
    let drill = drill.keys("esc").expect("ended:").await;
    assert!(!drill.bench.effects.iter().any(|effect| matches!(effect, Effect::Quit)));
    drill.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_letters_of_a_failure_are_looked_at_one_by_one() {
    let drill = Drill::open().await.expect("payments-dlt").await;
    let drill = drill.press("dlqs").keys("/").keys("p a y enter").press("dlq.open").expect("at shop.").await;
    let drill = drill.press("failures.open").expect("ord-").await;
    let drill = drill.press("letters.open").expect("VALUE").await.expect("ord-").await;
    drill.keys("q q q").expect("EXPIRES").await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_browsed_and_followed() {
    let drill = Drill::open().await;
    // What is browsed is what there is when the screen opens.
    while drill.shop.status().produced < 100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let drill = drill.press("topics").expect("orders").await;
    let drill = drill.keys("/").keys("^ o r d e r s $ enter").press("topics.open").expect("ord-").await;
    drill.press("records.follow").expect("following new records").await.close().await;
}
