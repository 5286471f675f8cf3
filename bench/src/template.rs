//! The configurations' templates: text with `{{name}}` in it.

use anyhow::{Result, bail};

/// Replaces every `{{name}}`; fails when one has no value.
pub fn fill(template: &str, values: &[(&str, String)]) -> Result<String> {
    let mut text = String::with_capacity(template.len());
    // The comments on top of a file may speak of the braces.
    for line in template.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else { bail!("no end of the name in {line:?}") };
            let Some((_, value)) = values.iter().find(|(one, _)| *one == name) else {
                bail!("no value for {name}")
            };
            text.push_str(before);
            text.push_str(value);
            rest = after;
        }
        text.push_str(rest);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_comments_left_out() {
        let values = [("a", "1".to_string()), ("b", "2".to_string())];
        assert_eq!(fill("# {{c}}\nx {{a}}:{{b}} {{a}}\n", &values).unwrap(), "x 1:2 1\n");
        assert!(fill("{{c}}", &values).is_err());
        assert!(fill("{{a", &values).is_err());
    }
}
