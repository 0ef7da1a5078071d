//! Whose code a frame is, and its name without what changes from build to build.

use std::borrow::Cow;
use std::sync::LazyLock;

/// The longest class or frame name taken for one.
pub(super) const NAME: usize = 512;

/// Prefixes and parts of paths, from `assets/frames.txt`.
struct Libraries {
    /// Sorted; none is the beginning of another.
    prefixes: Vec<&'static str>,
    parts: Vec<&'static str>,
}

static LIBRARIES: LazyLock<Libraries> = LazyLock::new(|| {
    let lines =
        include_str!("../../../assets/frames.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let (parts, mut prefixes): (Vec<&str>, Vec<&str>) = lines.partition(|l| l.starts_with('~'));
    prefixes.sort_unstable();
    prefixes.dedup_by(|longer, shorter| longer.starts_with(*shorter));
    Libraries { prefixes, parts: parts.into_iter().map(|p| &p[1..]).collect() }
});

/// Whether a frame is a known library's: by the profile's `library_frames`, then by the built-in list. An entry
/// is a prefix of class and method; `~` begins a part of a file's path, `!` says that the rest is the
/// application's own.
pub(super) fn is_library(name: &str, place: &str, more: &[String]) -> bool {
    let fits = |entry: &str| match entry.strip_prefix('~') {
        Some(part) => !part.is_empty() && place.contains(part),
        None => !entry.is_empty() && name.starts_with(entry),
    };
    if more.iter().filter_map(|entry| entry.strip_prefix('!')).any(fits) {
        return false;
    }
    if more.iter().any(|entry| fits(entry)) {
        return true;
    }
    let known = &*LIBRARIES;
    let after = known.prefixes.partition_point(|p| *p <= name);
    if after > 0 && name.starts_with(known.prefixes[after - 1]) {
        return true;
    }
    // Java's places are `(File.java:12)`: only paths can hold a part of one.
    place.contains(['/', '\\', ':', '<']) && known.parts.iter().any(|part| place.contains(part))
}

/// The first frame of the application; else the first one.
pub(super) fn first_frame<'t>(
    frames: impl Iterator<Item = (&'t str, &'t str)>,
    more: &[String],
) -> (Option<Cow<'t, str>>, bool) {
    let mut fallback = None;
    for (name, place) in frames {
        if name.is_empty() || name.len() > NAME {
            continue;
        }
        if !is_library(name, place, more) {
            return (Some(stable(name)), true);
        }
        fallback.get_or_insert(name);
    }
    (fallback.map(stable), false)
}

/// What generated classes put behind the name of the class that they stand for.
const GENERATED: [&str; 4] = ["$$", "$HibernateProxy$", "$ByteBuddy$", "$MockitoMock$"];

/// The name without what changes from build to build: addresses and numbers of lambdas, proxies, closures and
/// state machines.
pub(super) fn stable(name: &str) -> Cow<'_, str> {
    if let Some(written) = as_written(name) {
        return Cow::Owned(written);
    }
    let mut name = Cow::Borrowed(name);
    if let Some(at) = GENERATED.iter().filter_map(|mark| name.find(mark)).min() {
        // `acme.Web$$SpringCGLIB$$0.handle` is `acme.Web.handle`.
        let method = name[at..].rfind('.').map_or("", |dot| &name[at + dot..]);
        name = Cow::Owned(format!("{}{method}", &name[..at]));
    }
    if name.bytes().any(|b| b.is_ascii_digit()) {
        without_counters(&name).map_or(name, Cow::Owned)
    } else {
        name
    }
}

/// The method of C# in which a compiler's own one was written: `Acme.Stock.Pay` of `Acme.Stock.<Pay>d__3.MoveNext`.
fn as_written(name: &str) -> Option<String> {
    let begin = name.find('<').filter(|at| name[..*at].ends_with('.'))?;
    let generated = &name[begin..];
    let end = generated.match_indices('>').map(|(at, _)| at).find(|at| {
        let before = &generated[..*at];
        before.rfind('<').is_some_and(|open| open + 1 < *at)
    })?;
    let method = &generated[..end];
    let method = method.rsplit('<').next()?;
    let behind = &generated[end + 1..];
    // Java's `<init>` and Node's `<anonymous>` end there.
    let of_a_compiler = behind.contains("__") || generated.starts_with("<>");
    (of_a_compiler && method.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')))
        .then(|| format!("{}{method}", &name[..begin]))
}

/// Takes off what counts anonymous functions and classes: the digits behind `$`, behind `func` of Go and
/// behind `__` of Clojure.
fn without_counters(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[at..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, behind) = (&rest[..at], &rest[at + digits..]);
        let ends = behind.is_empty() || behind.starts_with(['.', '$', '_', '-']);
        let so_far_ends = |mark: &str| before.ends_with(mark) || (before.is_empty() && out.ends_with(mark));
        if so_far_ends("$") && ends {
            out.push_str(before);
            out.truncate(out.trim_end_matches('$').len());
        } else if ends
            && ["__", "$Proxy", "_closure", ".func", ".gowrap", ".deferwrap"].iter().any(|m| so_far_ends(m))
        {
            out.push_str(before);
        } else if ends && so_far_ends(".") && out.trim_end_matches('.').rsplit('.').next() == Some("func") {
            // `Reserve.func1.2`: a closure within one.
            out.push_str(before);
            out.truncate(out.trim_end_matches('.').len());
        } else {
            out.push_str(&rest[..at + digits]);
        }
        rest = behind;
    }
    out.push_str(rest);
    let out = out.strip_suffix("$adapted").unwrap_or(&out);
    let out = out.strip_suffix("-fm").unwrap_or(out);
    (out != name).then(|| out.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_every_build() {
        for (name, expected) in [
            ("shop.Stock.lambda$reserve$3", "shop.Stock.lambda$reserve"),
            ("shop.Stock$1.run", "shop.Stock.run"),
            ("shop.Stock$Part2.run", "shop.Stock$Part2.run"),
            ("shop.Stock$reserve$2.invokeSuspend", "shop.Stock$reserve.invokeSuspend"),
            ("shop.Stock$.$anonfun$reserve$1", "shop.Stock$.$anonfun$reserve"),
            ("shop.Stock$.$anonfun$reserve$1$adapted", "shop.Stock$.$anonfun$reserve"),
            ("shop.Web$$EnhancerBySpringCGLIB$$1a2b.handle", "shop.Web.handle"),
            ("shop.Web$$SpringCGLIB$$0.handle", "shop.Web.handle"),
            ("shop.Web$$Lambda$1352/0x00007f3b.apply", "shop.Web.apply"),
            ("shop.Order$HibernateProxy$AbC12x.total", "shop.Order.total"),
            ("$Proxy45.charge", "$Proxy.charge"),
            ("shop.core$reserve$fn__1234.invoke", "shop.core$reserve$fn__.invoke"),
            ("Shop.Stock.<Pay>d__12.MoveNext", "Shop.Stock.Pay"),
            ("Shop.Stock.<>c__DisplayClass3_0.<Pay>b__1", "Shop.Stock.Pay"),
            ("Shop.Stock.<>c__DisplayClass3_0.<<Pay>b__0>d.MoveNext", "Shop.Stock.Pay"),
            ("shop.Stock.<init>", "shop.Stock.<init>"),
            ("Object.<anonymous>", "Object.<anonymous>"),
            ("shop/stock.(*Handler).Reserve.func1.2", "shop/stock.(*Handler).Reserve.func"),
            ("shop/v2.Reserve.func10", "shop/v2.Reserve.func"),
            ("shop.Md5.sum256", "shop.Md5.sum256"),
        ] {
            assert_eq!(stable(name), expected, "{name}");
        }
    }

    #[test]
    fn the_profile_says_whose_frames_are_whose() {
        let more = ["com.acme.platform.".to_owned(), "!com.google.shop.".to_owned(), "~/vendor/".to_owned()];
        assert!(is_library("com.acme.platform.Bus.send", "(Bus.java:1)", &more));
        assert!(!is_library("com.google.shop.Stock.pay", "(Stock.java:1)", &more));
        assert!(is_library("com.google.common.X.y", "(X.java:1)", &more));
        assert!(is_library("run", "(/app/vendor/x.js:1:2)", &more));
        assert!(!is_library("run", "(/app/x.js:1:2)", &["~".to_owned(), String::new(), "!".to_owned()]));
    }
}
