//! Java and its languages, and what looks like it: .NET and Node.

use memchr::memmem;

use super::frames::{NAME, first_frame};
use super::{LOOK, Trace, head};

/// What stands before the next cause, at the beginning of a line.
const CAUSES: [&str; 4] = ["\nCaused by: ", "\ncaused by: ", "[cause]: ", "\n ---> "];
/// Causes that are looked at from the last one on, where they cannot be read.
const MOST_CAUSES: usize = 64;
/// Lines before the first frame in which the error is looked for.
const HEAD_LINES: usize = 16;
/// The end of the inner exceptions of .NET; what follows is a sibling or an outer one.
const INNER_ENDS: &str = "--- End of inner exception stack trace ---";

pub(super) fn parse<'t>(text: &'t str, more: &[String]) -> Trace<'t> {
    let (class, message) = outermost(text);
    let (root_class, root_message) = root(text, (class, message));
    let looked = head(behind_message(text), LOOK);
    let (frame, own) = match first_frame(frames(looked, Suppressed::Skipped), more) {
        (frame, true) => (frame, true),
        // Reactor keeps the application's own frames in a suppressed exception.
        (frame, false) => match first_frame(frames(looked, Suppressed::Taken), more) {
            (own, true) => (own, true),
            (other, false) => (frame.or(other), false),
        },
    };
    Trace { class, root_class, root_message, frame, own }
}

/// The text without a message at its beginning that is so long that frames could be out of sight: some messages hold the
/// whole record that failed.
pub(super) fn behind_message(text: &str) -> &str {
    let frames = ["\n\tat ", "\n   at ", "\n    at "];
    let first = frames.iter().filter_map(|mark| memmem::find(text.as_bytes(), mark.as_bytes())).min();
    first.filter(|at| *at > LOOK / 2).map_or(text, |at| &text[at..])
}

type Headline<'t> = (Option<&'t str>, Option<&'t str>);

/// The error at the beginning. A crash of Node shows the line of source before it.
fn outermost(text: &str) -> Headline<'_> {
    let first = text.lines().next().unwrap_or_default();
    let found = headline(first);
    if found.0.is_some() {
        return found;
    }
    let is_error = |line: &&str| {
        let (class, message) = headline(line);
        class.is_some_and(|class| {
            (message.is_some() || line.ends_with(class))
                && (class.contains('.') || class.ends_with("Error") || class.ends_with("Exception"))
        })
    };
    let before = text.lines().take(HEAD_LINES).skip(1).take_while(|line| frame(line).is_none());
    before.filter(|line| line.len() < LOOK).find(is_error).map(headline).unwrap_or_default()
}

/// The error at the end of the chain of causes.
fn root<'t>(text: &'t str, outermost: Headline<'t>) -> Headline<'t> {
    if memmem::find(text.as_bytes(), b"\nWrapped by: ").is_some() {
        // Written with the root cause first, as logback's `rootException` does.
        return outermost;
    }
    let within = &text[..memmem::find(text.as_bytes(), INNER_ENDS.as_bytes()).unwrap_or(text.len())];
    let cause = CAUSES.iter().find_map(|mark| last_cause(within, mark));
    // .NET Framework writes the chain in one line.
    let in_line = || {
        let inner = within.len() < text.len();
        inner.then(|| last_cause(within, " ---> ")).flatten()
    };
    match cause.or_else(in_line) {
        Some((Some(class), message)) => (Some(class), message),
        // A cause that cannot be read: the end of the chain is not known.
        Some((None, _)) => (None, None),
        None => outermost,
    }
}

/// The last cause that names a class: one that refers back to an exception above it, or to a sibling, is no end.
fn last_cause<'t>(text: &'t str, mark: &str) -> Option<Headline<'t>> {
    let finder = memmem::FinderRev::new(mark);
    let mut found = None;
    let mut end = text.len();
    for _ in 0..MOST_CAUSES {
        let Some(at) = finder.rfind(&text.as_bytes()[..end]) else { break };
        let line = text[at + mark.len()..].lines().next().unwrap_or_default();
        if !line.starts_with("[CIRCULAR REFERENCE") && !line.starts_with("(Inner Exception #") {
            found = Some(headline(line));
            break;
        }
        end = at;
    }
    found
}

/// `class: message`, or a class alone.
pub(super) fn headline(line: &str) -> Headline<'_> {
    let line = line.trim();
    let line = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.split_once("\" ").map_or(line, |(_, error)| error),
        None => ["Unhandled exception. ", "Uncaught "]
            .iter()
            .find_map(|before| line.strip_prefix(before))
            .unwrap_or(line),
    };
    let line = line.split(" ---> ").next().unwrap_or(line).trim_end_matches(['{', ' ']);
    let (class, message) = match line.split_once(": ") {
        Some((class, message)) => (class, Some(message)),
        None => (line.trim_end_matches(':'), None),
    };
    // Node writes a code behind the class: `TypeError [ERR_X]: …`.
    let class = class.split(" [").next().unwrap_or(class);
    if is_class(class) { (Some(class), message) } else { (None, None) }
}

fn is_class(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$' | '/' | '`' | '+' | '-' | '<' | '>'))
}

/// What is done with the frames of suppressed exceptions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suppressed {
    Skipped,
    Taken,
}

/// The frames: name, and the place behind it.
fn frames(text: &str, of_suppressed: Suppressed) -> impl Iterator<Item = (&str, &str)> {
    // The indentation of a `Suppressed:` block under way.
    let mut suppressed: Option<usize> = None;
    text.lines().filter_map(move |line| {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(outer) = suppressed {
            let inside = indent > outer || (indent == outer && trimmed.starts_with("Caused by: "));
            if inside {
                return None;
            }
            suppressed = None;
        }
        if trimmed.starts_with("Suppressed: ") && of_suppressed == Suppressed::Skipped {
            suppressed = Some(indent);
            return None;
        }
        frame(line)
    })
}

/// The name and the place of one frame.
fn frame(line: &str) -> Option<(&str, &str)> {
    let trimmed = line.trim_start();
    let rest = trimmed.strip_prefix("at ")?;
    let rest = rest.strip_prefix("async ").or_else(|| rest.strip_prefix("new ")).unwrap_or(rest);
    let (name, place) = match rest.find('(') {
        Some(paren) => (without_module(rest[..paren].trim_end()), &rest[paren..]),
        // Node's anonymous function: the place is all there is.
        None => (file(rest), rest),
    };
    // A function of Node without a name of its own goes by its file.
    let name =
        if name.ends_with("<anonymous>") && place.len() > "(<anonymous>)".len() { file(place) } else { name };
    // A line of a message can begin with `at `, too; Node's `x [as y]` is the only name with a space.
    let is_name = !name.contains(' ') || name.contains(" [as ");
    // Some loggers take the indentation off.
    let indented = trimmed.len() < line.len() || place.ends_with(')');
    (is_name && indented).then_some((name, place))
}

/// The file's name in a place of Node: `stock.js` of `(file:///app/src/stock.js:20:11)`.
fn file(place: &str) -> &str {
    let place = place.trim_matches(['(', ')', ' ', '{']);
    let place = place.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':');
    place.rsplit(['/', '\\']).next().unwrap_or(place)
}

/// Takes off Java's class loader and module: `app//`, `java.base/`, `my.module@1.2/`.
pub(super) fn without_module(name: &str) -> &str {
    // Behind `$$Lambda` a slash belongs to an address.
    let class = name.split("$$Lambda").next().unwrap_or(name);
    class.rfind('/').map_or(name, |at| &name[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<&str>, Option<&str>, Option<&str>, Option<String>) {
        let trace = parse(text, &[]);
        (trace.class, trace.root_class, trace.root_message, trace.frame.map(Into::into))
    }

    #[test]
    fn a_java_chain_ends_at_its_last_cause_and_begins_in_the_application() {
        let text = "org.springframework.X: wrapper\n\tat org.springframework.A.b(A.java:1)\n\tSuppressed: org.y.Z: \
                    Restored Stack Trace\n\t\tat shop.Never.here(N.java:1)\n\tCaused by: shop.Never: no\n\t\tat \
                    shop.Never.there(N.java:2)\nCaused by: shop.PaymentFailed: payment failed\n\tat \
                    shop.Stock.lambda$pay$3(Stock.java:54)\n\t... 10 more\nCaused by: \
                    java.net.SocketTimeoutException: Read timed out\n\tat shop.Stock.authorize(Stock.java:60)\n";
        let trace = parse(text, &[]);
        assert_eq!(trace.class, Some("org.springframework.X"));
        assert_eq!(trace.root_class, Some("java.net.SocketTimeoutException"));
        assert_eq!(trace.root_message, Some("Read timed out"));
        assert_eq!(trace.frame.as_deref(), Some("shop.Stock.lambda$pay"));
        assert!(trace.own);
    }

    #[test]
    fn causes_that_go_in_a_circle_end_before_the_circle() {
        let text = "a.A: one\r\n\tat shop.X.y(X.java:1)\r\nCaused by: b.B: two\r\n\tat shop.X.z(X.java:2)\r\n\
                    Caused by: [CIRCULAR REFERENCE: a.A: one]\r\n";
        assert_eq!(read(text), (Some("a.A"), Some("b.B"), Some("two"), Some("shop.X.y".to_owned())));
    }

    #[test]
    fn a_trace_with_its_root_first_is_read_from_there() {
        let text = "java.io.IOException: broken pipe\n\tat shop.Net.send(Net.java:1)\nWrapped by: shop.Failed: no\n\tat \
                    shop.Api.call(Api.java:2)\n";
        assert_eq!(
            read(text),
            (
                Some("java.io.IOException"),
                Some("java.io.IOException"),
                Some("broken pipe"),
                Some("shop.Net.send".to_owned())
            )
        );
    }

    #[test]
    fn reactor_and_coroutines_keep_the_application_in_odd_places() {
        let text = "java.lang.IllegalStateException: no\n\tat reactor.core.X.y(X.java:1)\n\tSuppressed: \
                    reactor.core.publisher.FluxOnAssembly$OnAssemblyException: \n\t\tat shop.Flow.map(Flow.java:3)\n";
        assert_eq!(read(text).3.as_deref(), Some("shop.Flow.map"));
        let text = "Exception in thread \"main\" kotlin.KotlinNullPointerException\n\tat _COROUTINE._BOUNDARY._(C.kt:46)\n\t\
                    at shop.Stock$reserve$2.invokeSuspend(Stock.kt:9)\n";
        assert_eq!(
            read(text),
            (
                Some("kotlin.KotlinNullPointerException"),
                Some("kotlin.KotlinNullPointerException"),
                None,
                Some("shop.Stock$reserve.invokeSuspend".to_owned())
            )
        );
    }

    #[test]
    fn modules_and_proxies_are_not_part_of_a_frame() {
        let text = "x.Y: z\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n\tat \
                    app//shop.Web$$EnhancerBySpringCGLIB$$1a2b.handle(<generated>)\n";
        assert_eq!(read(text).3.as_deref(), Some("shop.Web.handle"));
    }

    #[test]
    fn without_a_frame_of_its_own_the_first_one_stands() {
        let trace = parse("java.lang.E\n\tat java.util.A.b(A.java:1)\n\tat java.util.C.d(C.java:1)\n", &[]);
        assert_eq!(
            (trace.class, trace.frame.as_deref(), trace.own),
            (Some("java.lang.E"), Some("java.util.A.b"), false)
        );
    }

    #[test]
    fn dot_net_is_read_to_its_inner_exception() {
        let text = "MassTransit.ConsumerException: failed\n ---> System.TimeoutException: too late\n   at \
                    System.Net.Http.Send(Uri uri)\n   at Shop.Stock.Pay(Order order) in /src/Stock.cs:line 12\n   --- End \
                    of inner exception stack trace ---\n   at MassTransit.Pipe.Send()\n";
        assert_eq!(
            read(text),
            (
                Some("MassTransit.ConsumerException"),
                Some("System.TimeoutException"),
                Some("too late"),
                Some("Shop.Stock.Pay".to_owned())
            )
        );
    }

    #[test]
    fn the_siblings_of_an_aggregate_are_not_its_root() {
        let text = "System.AggregateException: One or more errors occurred. (a) (b)\n ---> Shop.A: a\n ---> Shop.Deep: d\n   \
                    at Shop.Deeper.Go()\n   --- End of inner exception stack trace ---\n   at Shop.Stock.<Pay>d__4.MoveNext()\n   \
                    --- End of inner exception stack trace ---\n   at Shop.Run()\n ---> (Inner Exception #1) Shop.B: b\n   at \
                    Shop.C()<---\n";
        let (class, root, message, frame) = read(text);
        assert_eq!((class, root, message), (Some("System.AggregateException"), Some("Shop.Deep"), Some("d")));
        assert_eq!(frame.as_deref(), Some("Shop.Deeper.Go"));
        let old = "Unhandled exception. Shop.A: a ---> Shop.B: b ---> Shop.C: c\r\n   at Shop.X()\r\n   --- End of inner \
                   exception stack trace ---\r\n";
        assert_eq!(read(old).1, Some("Shop.C"));
        // An arrow in a message is none of a chain.
        assert_eq!(read("shop.A: maps a ---> b\n\tat shop.X.y(X.java:1)\n").1, Some("shop.A"));
    }

    #[test]
    fn node_skips_its_modules() {
        let text = "TypeError [ERR_X]: no sku\n    at Object.parse (node:internal/x:1:2)\n    at run \
                    (/app/node_modules/kafkajs/a.js:1:2)\n    at async Stock.reserve (/app/src/stock.js:20:11) {\n  [cause]: \
                    Error: deep\n      at x (/app/y.js:1:1)\n}\n";
        assert_eq!(
            read(text),
            (Some("TypeError"), Some("Error"), Some("deep"), Some("Stock.reserve".to_owned()))
        );
    }

    #[test]
    fn a_crash_of_node_shows_its_source_first_and_anonymous_functions_go_by_their_file() {
        let text = "/app/src/stock.js:20\n    throw new Error('no sku')\n    ^\n\nError: no sku\n    at Array.map \
                    (<anonymous>)\n    at file:///app/src/stock.mjs:20:11\n    at Object.<anonymous> (/app/x.js:1:1)\n";
        assert_eq!(read(text), (Some("Error"), Some("Error"), Some("no sku"), Some("stock.mjs".to_owned())));
    }
}
