//! Partitions as an operator lists them.

/// More would be a slip, and would only cost memory.
const MOST: i32 = 100_000;

/// Reads `0,3-5`; the partitions come in order, each once.
pub fn partitions(text: &str) -> Result<Vec<i32>, String> {
    let number = |text: &str| text.trim().parse::<i32>().ok().filter(|n| (0..MOST).contains(n));
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => list.extend(first..=last),
            _ => return Err("partitions are written as 0,3-5".to_owned()),
        }
    }
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_numbers_and_ranges() {
        assert_eq!(partitions("0,3-5, 4").unwrap(), [0, 3, 4, 5]);
        for wrong in ["", "a", "5-3", "-1", "1,,2", "0-99999999"] {
            assert!(partitions(wrong).is_err(), "{wrong}");
        }
    }
}
