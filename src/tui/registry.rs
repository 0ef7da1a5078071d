//! The table of all commands: keys, palette, help, footer, README and tests read it and nothing else.

use super::command::Scope::{
    Compare, Dlqs, Failures, Group, Groups, Inspector, Letters, List, Offsets, Overview, Pager, Plan,
    Records, Run, Runs, Topic, Topics,
};
use super::command::{Command, Id, Risk};
use super::enabled;

const fn c(id: Id, name: &'static str, title: &'static str, help: &'static str) -> Command {
    Command::new(id, name, title, help)
}

/// All commands.
pub const REGISTRY: &[Command] = &[
    c(Id::Help, "help", "help", "Lists the keys of this screen; enter does one.")
        .keys(&["?"])
        .also(&["h", "keys"]),
    c(Id::Palette, "palette", "command", "Finds every command by name.").keys(&[":"]).footer(9),
    c(Id::Quit, "quit", "quit", "Ends the console.").also(&["q", "exit", "qa"]),
    c(
        Id::Cancel,
        "cancel",
        "cancel",
        "Cancels what runs on this screen; twice within a second ends the console.",
    )
    .keys(&["ctrl-c"]),
    c(Id::Back, "back", "back", "Leaves, in this order: a begun key, search, marks, filter, the screen.")
        .keys(&["esc"]),
    c(Id::Close, "close", "back", "Goes back to the screen before, and ends the console on the first one.")
        .keys(&["q"]),
    c(Id::Last, "last", "last view", "Goes to the view that was left last.").keys(&["-"]),
    c(Id::GoOverview, "overview", "overview", "Shows the five dashboards and what needs attention.")
        .keys(&["go"])
        .cli("overview")
        .when(enabled::cluster),
    c(Id::GoTopics, "topics", "topics", "Lists the topics.")
        .keys(&["gt"])
        .cli("topics list")
        .footer(5)
        .when(enabled::cluster),
    c(Id::GoGroups, "groups", "groups", "Lists the consumer groups.")
        .keys(&["gc"])
        .cli("groups list")
        .footer(5)
        .when(enabled::cluster),
    c(Id::GoDlqs, "dlqs", "dead letters", "Lists the dead-letter topics.")
        .keys(&["gd"])
        .also(&["dead-letters"])
        .cli("dlq list")
        .footer(6)
        .when(enabled::cluster),
    c(Id::GoRuns, "runs", "runs", "Lists what was redriven, by whom, and what became of it.")
        .keys(&["gr"])
        .cli("runs list")
        .when(enabled::cluster),
    c(
        Id::GoSearch,
        "search",
        "search",
        "Searches a topic: key, text, jq condition, range; says first how much.",
    )
    .keys(&["gs"])
    .cli("tail TOPIC --key K --estimate")
    .when(enabled::cluster),
    c(Id::GoNotices, "notices", "notices", "Lists what was told lately.").keys(&["gn"]).also(&["messages"]),
    c(Id::Dashboard(1), "dashboard.throughput", "throughput", "Goes to dashboard 1, throughput.")
        .keys(&["1"]),
    c(Id::Dashboard(2), "dashboard.latency", "latency", "Goes to dashboard 2, latency.").keys(&["2"]),
    c(Id::Dashboard(3), "dashboard.errors", "errors", "Goes to dashboard 3, errors.").keys(&["3"]),
    c(Id::Dashboard(4), "dashboard.lag", "lag", "Goes to dashboard 4, lag.").keys(&["4"]),
    c(Id::Dashboard(5), "dashboard.dead-letters", "dead letters", "Goes to dashboard 5, dead letters.")
        .keys(&["5"]),
    c(Id::Refresh, "refresh", "refresh", "Looks at the cluster now.").keys(&["ctrl-r"]),
    c(Id::Redraw, "redraw", "redraw", "Draws the whole screen anew.").keys(&["ctrl-l"]),
    c(Id::Suspend, "suspend", "suspend", "Gives the terminal back to the shell; `fg` comes back.")
        .keys(&["ctrl-z"]),
    c(Id::Pause, "view.pause", "pause", "Holds the picture; what comes meanwhile is counted.").keys(&["p"]),
    c(Id::TimeStyle, "view.time", "time format", "Shows times as local, UTC or ages.").keys(&["zt"]),
    c(Id::Mouse, "view.mouse", "mouse", "Takes the mouse, or leaves it to the terminal to select text.")
        .keys(&["%"]),
    c(Id::CopyRow, "copy.row", "copy", "Copies the row, or the whole record.")
        .on(&[List, Pager])
        .keys(&["yy"])
        .risk(Risk::Local),
    c(Id::CopyKey, "copy.key", "copy key", "Copies the key, or the name of the row.")
        .on(&[List, Pager])
        .keys(&["yk"])
        .risk(Risk::Local),
    c(Id::CopyValue, "copy.value", "copy value", "Copies the record's value.")
        .on(&[Letters, Records, Inspector])
        .keys(&["yv"])
        .risk(Risk::Local),
    c(Id::CopyHeaders, "copy.headers", "copy headers", "Copies the record's headers as JSON.")
        .on(&[Letters, Records, Inspector])
        .keys(&["yh"])
        .risk(Risk::Local),
    c(Id::CopyPosition, "copy.position", "copy place", "Copies topic, partition and offset.")
        .on(&[Letters, Records, Inspector])
        .keys(&["yp"])
        .risk(Risk::Local),
    c(Id::CopyCommand, "copy.command", "copy command", "Copies the command line that shows the same.")
        .keys(&["yc"])
        .risk(Risk::Local),
    c(Id::Down, "move.down", "down", "Moves down.").on(&[List, Pager]).keys(&["j", "down"]),
    c(Id::Up, "move.up", "up", "Moves up.").on(&[List, Pager]).keys(&["k", "up"]),
    c(Id::Top, "move.top", "top", "Moves to the first line.").on(&[List, Pager]).keys(&["gg", "home"]),
    c(Id::Bottom, "move.bottom", "bottom", "Moves to the last line.").on(&[List, Pager]).keys(&["G", "end"]),
    c(Id::HalfDown, "move.half-down", "half down", "Moves half a page down.")
        .on(&[List, Pager])
        .keys(&["ctrl-d"]),
    c(Id::HalfUp, "move.half-up", "half up", "Moves half a page up.").on(&[List, Pager]).keys(&["ctrl-u"]),
    c(Id::PageDown, "move.page-down", "page down", "Moves a page down.")
        .on(&[List, Pager])
        .keys(&["ctrl-f", "pgdn"]),
    c(Id::PageUp, "move.page-up", "page up", "Moves a page up.").on(&[List, Pager]).keys(&["ctrl-b", "pgup"]),
    c(
        Id::Left,
        "move.left",
        "left",
        "Moves sideways: to columns on the left, or to the start of long lines.",
    )
    .on(&[List, Pager])
    .keys(&["h", "left"]),
    c(Id::Right, "move.right", "right", "Moves sideways: to columns on the right, or along long lines.")
        .on(&[List, Pager])
        .keys(&["l", "right"]),
    c(Id::FullScreen, "view.full", "full screen", "Shows the list or the text alone, or everything again.")
        .keys(&["zz"]),
    c(Id::Filter, "list.filter", "filter", "Filters as you type: text, /expression, !not, -f fuzzy.")
        .on(&[List])
        .keys(&["/"])
        .footer(7)
        .when(enabled::listed),
    c(Id::Mark, "list.mark", "mark", "Marks the row.").on(&[List]).keys(&["space"]).when(enabled::listed),
    c(
        Id::MarkRange,
        "list.mark-range",
        "mark range",
        "Marks all rows that the cursor passes, until pressed again.",
    )
    .on(&[List])
    .keys(&["v"])
    .when(enabled::listed),
    c(Id::MarkAll, "list.mark-all", "mark all", "Marks all rows that pass the filter.")
        .on(&[List])
        .keys(&["*"])
        .when(enabled::listed),
    c(Id::Unmark, "list.unmark", "unmark", "Takes all marks away.")
        .on(&[List])
        .keys(&["ctrl-\\"])
        .when(enabled::listed),
    c(Id::Faults, "list.faults", "only faults", "Shows only rows with which something is wrong, or all.")
        .on(&[Topics, Topic, Groups, Group, Dlqs, Failures, Letters, Runs])
        .keys(&["zf"]),
    c(
        Id::SaveList,
        "list.save",
        "save",
        "Saves the marked rows, or all that are shown, as JSON lines or CSV.",
    )
    .on(&[List])
    .keys(&["ctrl-s"])
    .risk(Risk::Local)
    .when(enabled::listed),
    c(Id::Sort, "list.sort", "order by", "Orders by the next column.")
        .on(&[List])
        .keys(&["o"])
        .when(enabled::listed),
    c(Id::Reverse, "list.reverse", "reverse", "Turns the order round.")
        .on(&[List])
        .keys(&["O"])
        .when(enabled::listed),
    c(
        Id::OpenOverview,
        "overview.open",
        "open",
        "Opens what needs attention, or the list behind the dashboard.",
    )
    .on(&[Overview])
    .keys(&["enter"])
    .footer(99)
    .when(enabled::listed),
    c(Id::WorstOffender, "overview.worst", "worst", "Opens the dashboard's worst offender.")
        .on(&[Overview])
        .keys(&["d"]),
    c(Id::ChartsLonger, "charts.longer", "longer", "Lets the charts go further back, up to a day.")
        .on(&[Overview])
        .keys(&[">"])
        .footer(5),
    c(Id::ChartsShorter, "charts.shorter", "shorter", "Lets the charts go less far back.")
        .on(&[Overview])
        .keys(&["<"])
        .footer(5),
    c(
        Id::Acknowledge,
        "attention.acknowledge",
        "acknowledge",
        "Keeps the line quiet until it gets worse; again takes that back.",
    )
    .on(&[Overview])
    .keys(&["a"])
    .also(&["ack"])
    .footer(8)
    .when(enabled::attention),
    c(
        Id::Mute,
        "attention.mute",
        "mute 1 h",
        "Keeps the line quiet for an hour; `:mute 15m` for another time.",
    )
    .on(&[Overview])
    .also(&["mute"])
    .when(enabled::attention),
    c(Id::ShowQuiet, "attention.all", "all lines", "Shows acknowledged and muted lines too, or not.")
        .on(&[Overview])
        .keys(&["za"])
        .also(&["muted"]),
    c(Id::OpenTopics, "topics.open", "records", "Shows the topic's latest records.")
        .on(&[Topics])
        .keys(&["enter"])
        .footer(99)
        .cli("tail TOPIC --from=-100")
        .when(enabled::row),
    c(Id::DescribeTopics, "topics.describe", "describe", "Shows partitions and configuration.")
        .on(&[Topics])
        .keys(&["d"])
        .footer(90)
        .cli("topics show TOPIC")
        .when(enabled::row),
    c(Id::TopicGroups, "topics.groups", "its groups", "Lists the consumer groups of the topic.")
        .on(&[Topics])
        .keys(&["c"])
        .footer(70)
        .cli("groups list")
        .when(enabled::row),
    c(Id::Tail, "tail", "tail", "Follows the new records of the topic, or of all that are marked.")
        .on(&[Topics, Topic, Dlqs])
        .keys(&["f"])
        .footer(80)
        .cli("tail TOPIC --follow")
        .when(enabled::row),
    c(Id::OpenTopic, "topic.open", "records", "Shows the partition's latest records.")
        .on(&[Topic])
        .keys(&["enter"])
        .footer(99)
        .cli("tail TOPIC --partition 0 --from=-100")
        .when(enabled::row),
    c(Id::OpenGroups, "groups.open", "partitions", "Shows the group's partitions by lag.")
        .on(&[Groups])
        .keys(&["enter"])
        .footer(99)
        .cli("groups show GROUP")
        .when(enabled::row),
    c(Id::DescribeGroups, "groups.describe", "members", "Shows the group's members.")
        .on(&[Groups])
        .keys(&["d"])
        .footer(90)
        .cli("groups show GROUP")
        .when(enabled::row),
    c(
        Id::OpenGroup,
        "group.open",
        "next record",
        "Shows the record that the group reads next on the partition.",
    )
    .on(&[Group])
    .keys(&["enter"])
    .footer(99)
    .cli("get TOPIC 0 0")
    .when(enabled::row),
    c(Id::TogglePane, "pane.toggle", "other pane", "Turns to the other pane.")
        .on(&[Overview, Topic, Group])
        .keys(&["tab"])
        .footer(80),
    c(Id::OpenDlqs, "dlq.open", "failures", "Groups the topic's dead letters by failure.")
        .on(&[Dlqs])
        .keys(&["enter"])
        .footer(99)
        .cli("dlq failures TOPIC")
        .when(enabled::row),
    c(
        Id::DescribeDlqs,
        "dlq.describe",
        "describe",
        "Tells formats, origins, and why it counts as a dead-letter topic.",
    )
    .on(&[Dlqs])
    .keys(&["d"])
    .footer(90)
    .cli("dlq list")
    .when(enabled::row),
    c(
        Id::ExportLetters,
        "dlq.export",
        "export…",
        "Saves the topic's open letters into a file, before retention deletes them.",
    )
    .on(&[Dlqs])
    .keys(&["S"])
    .also(&["export"])
    .footer(70)
    .risk(Risk::Local)
    .cli("export TOPIC --state pending --save FILE")
    .when(enabled::row),
    c(Id::Adopt, "dlq.adopt", "adopt", "Takes the topic for one of dead letters; kept in the profile.")
        .on(&[Topics, Topic])
        .also(&["adopt"])
        .risk(Risk::Local)
        .cli("dlq adopt TOPIC"),
    c(Id::Ignore, "dlq.ignore", "ignore", "Takes the topic for none of dead letters; kept in the profile.")
        .on(&[Dlqs, Topics, Topic])
        .also(&["ignore"])
        .risk(Risk::Local)
        .cli("dlq ignore TOPIC"),
    c(Id::OpenFailures, "failures.open", "letters", "Shows the letters of the failure.")
        .on(&[Failures])
        .keys(&["enter"])
        .footer(99)
        .cli("dlq letters TOPIC --failure ID")
        .when(enabled::row),
    c(Id::SampleFailure, "failures.sample", "sample", "Shows one letter of it with its stack trace.")
        .on(&[Failures])
        .keys(&["d"])
        .footer(90)
        .cli("get TOPIC 0 0")
        .when(enabled::row),
    c(Id::OpenLetters, "letters.open", "inspect", "Shows the letter whole.")
        .on(&[Letters])
        .keys(&["enter"])
        .footer(99)
        .cli("get TOPIC 0 0")
        .when(enabled::row),
    c(
        Id::LetterState,
        "letters.state",
        "state",
        "Shows pending letters, all of them, or those of another state.",
    )
    .on(&[Letters])
    .keys(&["tab"])
    .footer(60)
    .cli("dlq letters TOPIC --state all"),
    c(Id::Plan, "dlq.plan", "redrive…", "Makes a redrive plan for the row or the marks; writes nothing yet.")
        .on(&[Dlqs, Failures, Letters, Inspector])
        .keys(&["R"])
        .also(&["redrive"])
        .footer(85)
        .cli("plan TOPIC")
        .when(enabled::plan),
    c(
        Id::EditLetter,
        "letter.edit",
        "edit a copy…",
        "Edits a copy of the letter in $EDITOR, then makes its plan.",
    )
    .on(&[Letters, Inspector])
    .keys(&["E"])
    .footer(35)
    .cli("plan TOPIC --edit JQ")
    .when(enabled::edit),
    c(Id::Discard, "dlq.discard", "discard…", "Gives letters up: the row or the marks; asks for a reason.")
        .on(&[Failures, Letters, Inspector])
        .keys(&["X"])
        .footer(50)
        .risk(Risk::Write)
        .cli("dlq discard TOPIC --reason TEXT")
        .when(enabled::dispose),
    c(Id::Park, "dlq.park", "park…", "Sets letters aside: the row or the marks; asks for a reason.")
        .on(&[Failures, Letters, Inspector])
        .keys(&["P"])
        .footer(45)
        .risk(Risk::Write)
        .cli("dlq park TOPIC --reason TEXT")
        .when(enabled::dispose),
    c(
        Id::Release,
        "dlq.release",
        "release…",
        "Opens discarded, parked or duplicate letters again; asks for a reason.",
    )
    .on(&[Failures, Letters, Inspector])
    .keys(&["U"])
    .footer(40)
    .risk(Risk::Write)
    .cli("dlq release TOPIC --reason TEXT")
    .when(enabled::dispose),
    c(Id::OpenRecords, "records.open", "inspect", "Shows the record whole.")
        .on(&[Records])
        .keys(&["enter"])
        .footer(99)
        .cli("get TOPIC 0 0")
        .when(enabled::row),
    c(Id::Follow, "records.follow", "follow", "Follows new records, or stops.")
        .on(&[Records])
        .keys(&["f", "F"])
        .footer(90)
        .cli("tail TOPIC --follow"),
    c(Id::ShowHeaders, "records.headers", "headers", "Shows headers in a column, or hides them.")
        .on(&[Records])
        .keys(&["zh"]),
    c(Id::Deltas, "records.deltas", "deltas", "Shows the time since the record before, or when it was.")
        .on(&[Records])
        .keys(&["zd"]),
    c(Id::Page, "record.page", "pager", "Opens the whole record in $PAGER.")
        .on(&[Letters, Records, Inspector])
        .keys(&["e"])
        .cli("get TOPIC 0 0")
        .when(enabled::subject),
    c(Id::Compare, "record.compare", "compare", "Shows what differs between the two marked records.")
        .on(&[Letters, Records])
        .keys(&["="])
        .when(enabled::two),
    c(
        Id::Query,
        "records.query",
        "search",
        "Searches the topic: key, text, jq condition, range; says first how much.",
    )
    .on(&[Records, Letters, Topics, Topic])
    .keys(&["s"])
    .footer(80)
    .cli("tail TOPIC --key K --from=-100"),
    c(Id::ReadOn, "records.continue", "continue", "Goes on with a search where it stopped.")
        .on(&[Records])
        .keys(&["n"])
        .footer(85)
        .when(enabled::stopped),
    c(Id::PagerPageDown, "pager.page-down", "page", "Moves a page down.").on(&[Pager]).keys(&["space"]),
    c(Id::PagerPageUp, "pager.page-up", "page back", "Moves a page up.").on(&[Pager]).keys(&["b"]),
    c(
        Id::Wrap,
        "pager.wrap",
        "wrap",
        "Wraps long lines, or cuts them at the edge; h and l move along them then.",
    )
    .on(&[Pager])
    .keys(&["zw"]),
    c(Id::Search, "pager.search", "search", "Searches in the text.").on(&[Pager]).keys(&["/"]).footer(60),
    c(Id::SearchNext, "pager.next", "next", "Goes to the next place found.").on(&[Pager]).keys(&["n"]),
    c(Id::SearchPrevious, "pager.previous", "previous", "Goes to the place found before.")
        .on(&[Pager])
        .keys(&["N"]),
    c(Id::NextDifference, "compare.next", "next", "Goes to the next difference.")
        .on(&[Compare])
        .keys(&["]"])
        .footer(90),
    c(Id::PreviousDifference, "compare.previous", "previous", "Goes to the difference before.")
        .on(&[Compare])
        .keys(&["["]),
    c(Id::NextSection, "inspector.section", "section", "Goes to the next section.")
        .on(&[Inspector])
        .keys(&["tab"])
        .footer(90),
    c(Id::PreviousSection, "inspector.section-back", "section", "Goes to the section before.")
        .on(&[Inspector])
        .keys(&["shift-tab"]),
    c(Id::NextRecord, "inspector.next", "next", "Shows the next record of the list.")
        .on(&[Inspector])
        .keys(&["]"])
        .footer(80),
    c(Id::PreviousRecord, "inspector.previous", "previous", "Shows the record before.")
        .on(&[Inspector])
        .keys(&["["]),
    c(Id::Layout, "inspector.layout", "json/hex", "Shows the value as JSON, text or bytes.")
        .on(&[Inspector])
        .keys(&["zr"])
        .footer(50),
    c(
        Id::Base64,
        "inspector.base64",
        "base64",
        "Decodes the base64 inside JSON in place, or shows it as it is.",
    )
    .on(&[Inspector])
    .keys(&["zb"])
    .cli("get TOPIC 0 0 --base64"),
    c(Id::Unfold, "inspector.unfold", "unfold", "Shows or hides the frames of libraries.")
        .on(&[Inspector])
        .keys(&["enter"])
        .footer(70),
    c(Id::Origin, "inspector.origin", "origin", "Shows the record that failed, in its own topic.")
        .on(&[Inspector])
        .keys(&["gf"])
        .footer(65)
        .cli("get TOPIC 0 0")
        .when(enabled::origin),
    c(Id::Choose, "plan.choose", "choose", "Does what is under the cursor, or changes it.")
        .on(&[Plan])
        .keys(&["enter"])
        .footer(99),
    c(Id::NextField, "plan.next", "next", "Goes to the next field.").on(&[Plan]).keys(&["tab"]),
    c(Id::PreviousField, "plan.previous", "previous", "Goes to the field before.")
        .on(&[Plan])
        .keys(&["shift-tab"]),
    c(Id::StartRun, "plan.run", "run…", "Asks, and executes the plan exactly.")
        .on(&[Plan])
        .keys(&["R"])
        .footer(95)
        .risk(Risk::Write)
        .cli("run FILE")
        .when(enabled::run),
    c(Id::SavePlan, "plan.save", "save plan", "Saves the plan into a file.")
        .on(&[Plan])
        .keys(&["ctrl-s"])
        .footer(90)
        .risk(Risk::Local)
        .cli("plan TOPIC --save FILE")
        .when(enabled::planned),
    c(Id::StopRun, "run.stop", "stop", "Stops after this transaction; what is written stays written.")
        .on(&[Run])
        .keys(&["ctrl-c"])
        .footer(95)
        .when(enabled::stoppable),
    c(Id::PauseRun, "run.pause", "pause", "Pauses the run between two transactions, or lets it go on.")
        .on(&[Run])
        .keys(&["p"])
        .footer(94)
        .when(enabled::going),
    c(Id::SlowerRun, "run.slower", "slower", "Lowers the limit of records a second.")
        .on(&[Run])
        .keys(&["<"])
        .footer(92)
        .when(enabled::going),
    c(Id::FasterRun, "run.faster", "faster", "Raises the limit of records a second.")
        .on(&[Run])
        .keys(&[">"])
        .footer(91)
        .when(enabled::going),
    c(Id::ContinueRun, "run.continue", "go on", "Sends the rest after the canary.")
        .on(&[Run])
        .keys(&["C"])
        .footer(96)
        .risk(Risk::Write)
        .when(enabled::canary),
    c(Id::RunLetters, "run.letters", "letters", "Shows the dead letters of the topic, in every state.")
        .on(&[Run])
        .keys(&["enter"])
        .footer(90)
        .cli("dlq letters TOPIC --state all"),
    c(Id::OpenRuns, "runs.open", "open", "Shows the run.")
        .on(&[Runs])
        .keys(&["enter"])
        .footer(99)
        .cli("runs show RUN")
        .when(enabled::row),
    c(
        Id::MoveOffsets,
        "groups.move",
        "move offsets",
        "Moves or deletes the group's offsets: shows what that does first.",
    )
    .on(&[Groups, Group])
    .keys(&["M"])
    .also(&["reset"])
    .footer(60)
    .cli("groups reset GROUP --topic TOPIC --offsets earliest")
    .when(enabled::row),
    c(Id::OffsetsChoose, "offsets.choose", "choose", "Does what is under the cursor, or changes it.")
        .on(&[Offsets])
        .keys(&["enter"])
        .footer(99),
    c(Id::OffsetsNext, "offsets.next", "next", "Goes to the next field.")
        .on(&[Offsets])
        .keys(&["tab"])
        .footer(80),
    c(Id::OffsetsPrevious, "offsets.previous", "previous", "Goes to the field before.")
        .on(&[Offsets])
        .keys(&["shift-tab"]),
    c(Id::OffsetsGo, "offsets.move", "move…", "Asks, and does what is shown.")
        .on(&[Offsets])
        .keys(&["M"])
        .footer(95)
        .risk(Risk::Write)
        .cli("groups reset GROUP --topic TOPIC --offsets earliest --yes")
        .when(enabled::offsets),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::text::width::width;
    use crate::tui::command::Scope;

    #[test]
    fn names_are_unique_and_titles_fit() {
        let mut seen = BTreeSet::new();
        for command in REGISTRY {
            for name in std::iter::once(&command.name).chain(command.aliases) {
                assert!(seen.insert(*name), "{name} twice");
            }
            assert!(width(command.title) <= 12, "{}", command.name);
            assert!(command.help.ends_with('.') && width(command.help) <= 78, "{}", command.name);
        }
    }

    #[test]
    fn what_writes_has_no_lower_case_key_and_is_everywhere_in_its_own_place() {
        for command in REGISTRY.iter().filter(|c| c.risk == Risk::Write) {
            assert!(!command.scopes.contains(&Scope::Global), "{}", command.name);
            for key in command.keys {
                assert!(key.chars().all(|c| c.is_ascii_uppercase()), "{} on {key}", command.name);
            }
        }
    }

    #[test]
    fn every_screen_has_something_in_its_footer() {
        let common = [Scope::Global, Scope::List, Scope::Pager, Scope::Welcome];
        for scope in Scope::ALL.iter().filter(|s| !common.contains(s)) {
            assert!(REGISTRY.iter().any(|c| c.scopes.contains(scope) && c.footer > 0), "{scope:?}");
        }
    }
}
