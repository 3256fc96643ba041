//! Documentation: every relative link in a page leads to a file that is there.

use crate::{failure::Failure, repository::Repository};

/// Follows every link of every `*.md`.
///
/// # Errors
/// Every link that leads nowhere.
pub fn check(repository: &Repository) -> Result<String, Failure> {
    let mut broken = Vec::new();
    let mut links = 0;
    for page in repository.files("", "md")? {
        let text = repository.read(&page)?;
        for (line, target) in targets(&text) {
            links += 1;
            let file = target.split(['#', '?']).next().unwrap_or_default();
            let base = if file.starts_with('/') { repository.root() } else { page.parent().unwrap_or(&page) };
            if !base.join(file.trim_start_matches('/')).exists() {
                broken
                    .push(format!("{}:{line}: {target} is not there", repository.relative(&page).display()));
            }
        }
    }
    Failure::unless_empty(broken)?;
    Ok(format!("{links} links"))
}

/// The relative targets of `[text](target)` outside of code, each with its line.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        // Every second piece between backticks is code.
        for prose in text.split('`').step_by(2).filter(|_| !fenced) {
            let found = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let relative = |target: &&str| {
                !target.is_empty()
                    && !target.contains("://")
                    && !target.starts_with("mailto:")
                    && !target.starts_with('#')
            };
            targets.extend(found.filter(relative).map(|target| (line, target)));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn only_relative_links_outside_of_code_are_followed() {
        let text = "[a](b.md#c) and [d](https://e)\n```\n[f](g)\n```\n`x[1](y)` [h](../i \"j\") [k](#l)\n";
        assert_eq!(targets(text), [(1, "b.md#c"), (5, "../i")]);
    }
}
