//! Signals that the console heeds.

use std::io;

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// INT, TERM, HUP: end, and leave the terminal as it was.
    End,
    /// TSTP: give the terminal back and stop.
    Suspend,
    /// CONT: take the terminal again.
    Continue,
}

#[cfg(unix)]
mod here {
    use futures_util::FutureExt as _;
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::{Signal, io};

    /// The signals of this process.
    pub struct Signals {
        interrupt: Stream,
        terminate: Stream,
        hangup: Stream,
        stop: Stream,
        go_on: Stream,
    }

    impl Signals {
        /// Begins to listen.
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
                stop: signal(SignalKind::from_raw(libc::SIGTSTP))?,
                go_on: signal(SignalKind::from_raw(libc::SIGCONT))?,
            })
        }

        /// Forgets what the keys of another program sent to this one too.
        pub fn forget(&mut self) {
            for signal in [&mut self.interrupt, &mut self.stop, &mut self.go_on] {
                while signal.recv().now_or_never().is_some() {}
            }
        }

        /// The next one.
        pub async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::End,
                _ = self.terminate.recv() => Signal::End,
                _ = self.hangup.recv() => Signal::End,
                _ = self.stop.recv() => Signal::Suspend,
                _ = self.go_on.recv() => Signal::Continue,
            }
        }
    }
}

#[cfg(not(unix))]
mod here {
    use super::{Signal, io};

    /// The signals of this process.
    pub struct Signals;

    impl Signals {
        /// Begins to listen.
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Nothing is kept, so there is nothing to forget.
        pub fn forget(&mut self) {}

        /// The next one.
        pub async fn next(&mut self) -> Signal {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::End
        }
    }
}

pub use here::Signals;
