//! The program in a real terminal: what it shows, and that it leaves the terminal as it was.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]
#![expect(clippy::disallowed_methods, reason = "a test of a real program waits in real time")]

mod pictures;
mod terminal;

use terminal::Terminal;

const CTRL_Z: &str = "\u{1a}";

fn demo(columns: u16, rows: u16) -> Terminal {
    let terminal = Terminal::start(&["demo", "--seed", "7"], columns, rows);
    terminal.wait_for("THROUGHPUT");
    terminal
}

#[test]
fn start_and_quit_leave_the_terminal_as_it_was() {
    let mut terminal = demo(80, 24);
    assert!(terminal.screen().alternate_screen());
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn a_termination_signal_leaves_the_terminal_as_it_was() {
    for signal in ["TERM", "HUP"] {
        let mut terminal = demo(80, 24);
        terminal.signal(signal);
        terminal.end();
        terminal.assert_restored();
    }
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_readable() {
    let mut terminal = Terminal::start_with(&["demo", "--seed", "7"], 80, 24, &[("REDRIVE_TEST_PANIC", "1")]);
    assert_ne!(terminal.end(), 0);
    terminal.assert_restored();
    assert!(terminal.text().contains("panicked"), "{}", terminal.text());
}

#[test]
fn suspending_gives_the_terminal_back_and_resuming_draws_again() {
    let mut terminal = demo(80, 24);
    terminal.press(CTRL_Z);
    let mut tries = 0;
    while terminal.state() != 'T' {
        tries += 1;
        assert!(tries < 500, "the program was not stopped");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    terminal.assert_restored();
    terminal.signal("CONT");
    terminal.wait_for("THROUGHPUT");
    assert!(terminal.screen().alternate_screen());
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn the_picture_follows_the_size_of_the_terminal() {
    let mut terminal = demo(80, 24);
    terminal.resize(200, 60);
    terminal
        .wait("a footer on the last line", |text| text.lines().nth(59).is_some_and(|l| l.contains("help")));
    terminal.resize(50, 12);
    terminal.wait("the size that it needs", |text| text.contains("60") && text.contains("16"));
    terminal.resize(80, 24);
    terminal.wait_for("THROUGHPUT");
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn what_the_editor_leaves_of_a_letter_becomes_its_plan() {
    let editor = [("EDITOR", "sed -i 's/\"key\": \"/&other-/'")];
    let mut terminal = Terminal::start_with(&["demo", "--seed", "7"], 80, 24, &editor);
    terminal.wait_for("THROUGHPUT");
    terminal.press("gd");
    terminal.wait("a letter", |text| text.contains("PENDING") && text.contains("-dlt"));
    terminal.press("\r");
    terminal.wait("failures", |text| text.contains("KEYS") && text.contains("at shop."));
    terminal.press("\r");
    terminal.wait("letters", |text| text.contains("ORIGIN") && text.contains("pending "));
    terminal.press("E");
    terminal.wait_for("1 letter ");
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
    terminal.assert_restored();
}

#[test]
fn without_colour_no_colour_is_sent() {
    let mut terminal = Terminal::start_with(&["demo", "--seed", "7"], 80, 24, &[("NO_COLOR", "1")]);
    terminal.wait_for("THROUGHPUT");
    terminal.press(":q\r");
    assert_eq!(terminal.end(), 0);
    let screen = String::from_utf8(terminal.bytes()).unwrap();
    for sequence in screen.split("\u{1b}[").skip(1) {
        if let Some(parameters) = sequence.find('m').map(|end| &sequence[..end])
            && parameters.bytes().all(|b| b.is_ascii_digit() || b == b';')
        {
            let coloured = parameters.split(';').filter_map(|p| p.parse().ok()).any(|p: u32| {
                (30..=38).contains(&p)
                    || (40..=48).contains(&p)
                    || (90..=97).contains(&p)
                    || (100..=107).contains(&p)
            });
            assert!(!coloured, "a colour was sent: ESC[{parameters}m");
        }
    }
}
