//! Pictures of real screens for the README: the program runs in a terminal, and what it shows becomes SVG.
//!
//! `REDRIVE_PICTURES=assets/pictures cargo test --release --test pty pictures` writes them anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::terminal::Terminal;

const CELL: (f64, f64) = (8.4, 18.0);
/// The 16 ANSI colours as a dark terminal shows them.
const PALETTE: [&str; 16] = [
    "#1e222a", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4", "#5c6370",
    "#ff7a85", "#b5e08d", "#ffd78a", "#82c4ff", "#de9bf0", "#7fd5e0", "#ffffff",
];
const INK: &str = "#c8ccd4";
const PAPER: &str = "#1e222a";

fn colour(colour: vt100::Color, default: &str) -> String {
    match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(i) => {
            PALETTE.get(usize::from(i)).map_or_else(|| default.to_owned(), |c| (*c).to_owned())
        }
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

/// Draws a screen as SVG: one rectangle a run of background, one text a run of style.
fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (f64::from(columns) * CELL.0 + 16.0, f64::from(rows) * CELL.1 + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let style = |c: u16| {
                screen.cell(row, c).map(|cell| {
                    (
                        cell.fgcolor(),
                        cell.bgcolor(),
                        cell.bold(),
                        cell.inverse(),
                        cell.dim(),
                        cell.underline(),
                    )
                })
            };
            let first = column;
            let this = style(first);
            let mut text = String::new();
            while column < columns && style(column) == this {
                let cell = screen.cell(row, column).unwrap();
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                }
                column += 1;
            }
            let Some((fg, bg, bold, inverse, dim, underline)) = this else { continue };
            let (mut ink, mut paper) = (colour(fg, INK), colour(bg, PAPER));
            if inverse {
                std::mem::swap(&mut ink, &mut paper);
            }
            let (x, y) = (f64::from(first) * CELL.0 + 8.0, f64::from(row) * CELL.1 + 8.0);
            let length = f64::from(column - first) * CELL.0;
            if paper != PAPER {
                writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{length}\" height=\"{}\" fill=\"{paper}\"/>",
                    CELL.1
                )
                .unwrap();
            }
            if text.trim().is_empty() {
                continue;
            }
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let faint = if dim { " opacity=\"0.6\"" } else { "" };
            let line = if underline { " text-decoration=\"underline\"" } else { "" };
            writeln!(
                out,
                "<text x=\"{x}\" y=\"{}\" fill=\"{ink}\" textLength=\"{length}\" xml:space=\"preserve\"{weight}{faint}{line}>{escaped}</text>",
                y + 13.5
            )
            .unwrap();
        }
    }
    out.push_str("</svg>\n");
    out
}

#[test]
fn pictures_of_the_screens_can_be_made() {
    let temporary = tempfile::tempdir().unwrap();
    let folder =
        std::env::var_os("REDRIVE_PICTURES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    // A path is meant from the project's folder, wherever the test was started.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let save = |name: &str, terminal: &Terminal| {
        let drawn = svg(&terminal.screen());
        assert!(drawn.matches("<text").count() > 10, "{name} is almost empty:\n{}", terminal.text());
        std::fs::write(folder.join(format!("{name}.svg")), drawn).unwrap();
    };

    let mut terminal = Terminal::start(&["demo", "--seed", "7"], 110, 32);
    let busy = |text: &str| text.contains("payments-dlt") && text.contains("DEAD LETTERS");
    terminal.wait("dead letters on the overview", busy);
    std::thread::sleep(std::time::Duration::from_secs(if std::env::var_os("REDRIVE_PICTURES").is_some() {
        45
    } else {
        1
    }));
    save("overview", &terminal);
    terminal.press("gt");
    terminal.wait_for("RECORDS/S");
    save("topics", &terminal);
    terminal.press("gc");
    terminal.wait_for("CONSUMED/S");
    save("groups", &terminal);
    terminal.press("gd");
    terminal.wait_for("EXPIRES");
    save("dead-letters", &terminal);
    terminal.press("/payments\r");
    terminal.wait("the other topics filtered out", |text| !text.contains("orders-dlt"));
    terminal.press("\r");
    terminal.wait_for("at shop.PaymentGateway.charge");
    save("failures", &terminal);
    terminal.press("\r");
    terminal.wait_for("OFFSET");
    terminal.press("\r");
    terminal.wait_for("your code first");
    save("inspector", &terminal);
    terminal.press("R");
    terminal.wait_for("exactly once");
    save("plan", &terminal);
    terminal.signal("TERM");
    terminal.end();
    terminal.assert_restored();
}
