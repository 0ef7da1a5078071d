//! A real terminal for the program under test: a PTY, an emulator that reads what it writes, and keys.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long anything may take to appear; generous, since a test machine is slow and shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, running in a terminal of its own.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
    before: String,
    _home: tempfile::TempDir,
}

/// What the program wrote.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts the program with `arguments` in a terminal of `columns` x `rows`.
    pub fn start(arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_with(arguments, columns, rows, &[])
    }

    /// The same with environment variables.
    pub fn start_with(arguments: &[&str], columns: u16, rows: u16, variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pair = native_pty_system()
            .openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })
            .unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_redrive"));
        command.args(arguments);
        command.env_clear();
        for (name, value) in [
            ("HOME", home.path().to_str().unwrap()),
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
        ]
        .iter()
        .chain(variables)
        {
            command.env(name, value);
        }
        let before = format!("{:?}", pair.master.get_termios().unwrap());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let seen =
            Arc::new(Mutex::new(Seen { parser: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() }));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                let mut seen = shared.lock().unwrap();
                seen.bytes.extend_from_slice(&buffer[..n]);
                seen.parser.process(&buffer[..n]);
            }
        });
        Self { master: pair.master, writer, child, seen, before, _home: home }
    }

    /// Types keys as the terminal would send them.
    pub fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// The picture as text.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// The picture with its colours.
    pub fn screen(&self) -> vt100::Screen {
        self.seen.lock().unwrap().parser.screen().clone()
    }

    /// All bytes written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Waits until the picture fulfils `wanted`, and gives it; fails with the picture otherwise.
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < until, "waited in vain for {what}; the terminal shows:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `text` is on the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Changes the terminal's size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends a signal, for example `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success()
        );
    }

    /// The process's state letter (`S`, `R`, `T` for stopped).
    pub fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim().chars().next().unwrap()
    }

    /// Waits for the end and gives the exit code.
    pub fn end(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What was written last may still be on its way.
                thread::sleep(Duration::from_millis(100));
                return status.exit_code();
            }
            assert!(Instant::now() < until, "the program does not end; the terminal shows:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails unless the terminal is as it was before the program began.
    pub fn assert_restored(&self) {
        let after = format!("{:?}", self.master.get_termios().unwrap());
        assert_eq!(self.before, after, "the line settings differ");
        let screen = self.screen();
        assert!(!screen.alternate_screen(), "the alternate screen was not left");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is on");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is captured");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Ends a program that a failed test left behind; one that ended by itself needs nothing.
        let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        if !ended && self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
