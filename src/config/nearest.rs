//! The known word that a mistyped one most likely meant.

/// The candidate with the smallest edit distance to `word`; `None` where none is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).collect();
    candidates
        .into_iter()
        .map(|candidate| {
            let known: Vec<char> = candidate.to_lowercase().chars().collect();
            (distance(&word, &known), known.len(), candidate)
        })
        .filter(|(distance, length, _)| *distance <= (word.len().max(*length) / 3).max(1))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
}

/// The number of single edits in characters: one more, one less, another one, or two neighbours exchanged.
fn distance(a: &[char], b: &[char]) -> usize {
    let first: Vec<usize> = (0..=b.len()).collect();
    let (mut before, mut row) = (first.clone(), first);
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let [above, diagonal] = [row[j + 1], row[j]];
            let mut least = (diagonal + usize::from(x != y)).min(above + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_that_was_meant() {
        let known = ["protocol", "mechanism", "username", "password"];
        assert_eq!(nearest("protcol", known), Some("protocol"));
        assert_eq!(nearest("Usrname", known), Some("username"));
    }

    #[test]
    fn a_word_that_resembles_nothing_finds_nothing() {
        assert_eq!(nearest("zzzz", ["protocol", "ca"]), None);
        assert_eq!(nearest("", ["protocol"]), None);
    }

    #[test]
    fn the_distance_counts_single_edits() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("emial", "email"), 1);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
        assert_eq!(d("abc", "abc"), 0);
    }
}
