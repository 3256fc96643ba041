//! Which part of a sound is asked for (RFC 9110 §14.1.2): one range of bytes.
//!
//! What is no range, or several of them, is answered with the whole, as the standard permits.

use std::ops::Range;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it (200).
    Whole,
    /// These bytes (206).
    Of(Range<usize>),
    /// There are no such bytes (416).
    Nowhere,
}

/// The part of `size` bytes that the header asks for.
pub fn part(header: &str, size: usize) -> Part {
    let Some((unit, set)) = header.split_once('=') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Part::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Digits::Number(first), Digits::None) => within(first, size, size),
        (Digits::Number(first), Digits::Number(last)) if first > last => Part::Whole,
        (Digits::Number(first), Digits::Number(last)) => within(first, last.saturating_add(1), size),
        (Digits::None, Digits::Number(0)) => Part::Nowhere,
        (Digits::None, Digits::Number(suffix)) => within(size.saturating_sub(suffix), size, size),
        _ => Part::Whole,
    }
}

fn within(from: usize, to: usize, size: usize) -> Part {
    if from < size { Part::Of(from..to.min(size)) } else { Part::Nowhere }
}

enum Digits {
    None,
    Number(usize),
    Wrong,
}

/// A number too large for this machine is larger than every sound.
fn number(text: &str) -> Digits {
    match text {
        "" => Digits::None,
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Digits::Number(digits.parse().unwrap_or(usize::MAX))
        }
        _ => Digits::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9110() {
        for (header, answer) in [
            ("bytes=0-499", Part::Of(0..500)),
            ("bytes=500-999", Part::Of(500..1_000)),
            ("bytes=-500", Part::Of(9_500..10_000)),
            ("bytes=9500-", Part::Of(9_500..10_000)),
            ("BYTES=0-0", Part::Of(0..1)),
            ("bytes=9000-99999", Part::Of(9_000..10_000)),
            ("bytes=-99999", Part::Of(0..10_000)),
        ] {
            assert_eq!(part(header, 10_000), answer, "{header}");
        }
    }

    #[test]
    fn what_is_not_there_is_nowhere_and_what_is_no_range_is_the_whole() {
        let most = u64::MAX;
        for header in [
            "bytes=10000-",
            "bytes=10000-10001",
            "bytes=-0",
            &format!("bytes={most}-"),
            &format!("bytes={most}0-"),
        ] {
            assert_eq!(part(header, 10_000), Part::Nowhere, "{header}");
        }
        assert_eq!(part(&format!("bytes=9-{most}"), 10_000), Part::Of(9..10_000));
        assert_eq!(part(&format!("bytes=-{most}"), 10_000), Part::Of(0..10_000));
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=１-",
        ] {
            assert_eq!(part(header, 10_000), Part::Whole, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Nowhere);
    }
}
