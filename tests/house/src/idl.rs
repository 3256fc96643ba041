//! A strict reader of Varlink's interface descriptions (varlink.org, "Interface Definition"): what it takes is
//! well formed and closed, so that every client's generator of code takes it too.

use std::collections::BTreeSet;

/// What an interface defines and uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub interface: String,
    /// Its methods, in order.
    pub methods: Vec<String>,
    /// Its types.
    pub types: BTreeSet<String>,
}

/// Reads a description.
///
/// # Errors
/// The first thing that the language does not know, that is said twice, or a name that is used and not defined or
/// defined and not used.
pub fn read(text: &str) -> Result<Description, String> {
    let mut reader = Reader { rest: text, used: BTreeSet::new() };
    let mut found = Description::default();
    reader.word("interface")?;
    found.interface = reader.interface()?;
    while reader.more() {
        let kind = reader.token();
        let name = reader.name()?;
        let fresh = match kind {
            "type" => {
                reader.structure_or_enum()?;
                found.types.insert(name.clone())
            }
            "method" => {
                reader.structure()?;
                reader.mark("->")?;
                reader.structure()?;
                let fresh = !found.methods.contains(&name);
                found.methods.push(name.clone());
                fresh
            }
            "error" => {
                reader.structure()?;
                true
            }
            other => return Err(format!("{other:?} is no member of an interface")),
        };
        if !fresh {
            return Err(format!("{name} stands there twice"));
        }
    }
    if let Some(name) = reader.used.difference(&found.types).next() {
        return Err(format!("{name} is used and not defined"));
    }
    if let Some(name) = found.types.difference(&reader.used).next() {
        return Err(format!("{name} is defined and not used"));
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    used: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// Whether anything follows but white space and comments, which it skips.
    fn more(&mut self) -> bool {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return !self.rest.is_empty(),
            }
        }
    }

    /// As much as is of letters, digits and what names are joined with.
    fn token(&mut self) -> &'a str {
        self.more();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let found = self.token();
        if found == word { Ok(()) } else { Err(format!("{found:?} stands where {word:?} belongs")) }
    }

    fn takes(&mut self, mark: &str) -> bool {
        self.more();
        self.rest.strip_prefix(mark).map(|rest| self.rest = rest).is_some()
    }

    fn mark(&mut self, mark: &str) -> Result<(), String> {
        if self.takes(mark) {
            return Ok(());
        }
        Err(format!("{mark:?} belongs before {:?}", self.rest.lines().next().unwrap_or_default()))
    }

    /// `[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+`
    fn interface(&mut self) -> Result<String, String> {
        let name = self.token();
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        let sound = name.contains('.')
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.split('.').all(part);
        if sound { Ok(name.to_owned()) } else { Err(format!("{name:?} is no interface")) }
    }

    /// `[A-Z][A-Za-z0-9]*`
    fn name(&mut self) -> Result<String, String> {
        let name = self.token();
        let sound = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if sound { Ok(name.to_owned()) } else { Err(format!("{name:?} is no name")) }
    }

    /// `[A-Za-z](_?[A-Za-z0-9])*`
    fn field(&mut self) -> Result<(), String> {
        let field = self.token();
        let sound = field.starts_with(|c: char| c.is_ascii_alphabetic())
            && field
                .split('_')
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()));
        if sound { Ok(()) } else { Err(format!("{field:?} is no field")) }
    }

    fn structure(&mut self) -> Result<(), String> {
        self.mark("(")?;
        if self.takes(")") {
            return Ok(());
        }
        loop {
            self.field()?;
            self.mark(":")?;
            self.value()?;
            if !self.takes(",") {
                return self.mark(")");
            }
        }
    }

    fn structure_or_enum(&mut self) -> Result<(), String> {
        let before = self.rest;
        self.mark("(")?;
        if self.takes(")") {
            return Ok(());
        }
        self.field()?;
        if self.takes(":") {
            self.rest = before;
            return self.structure();
        }
        while self.takes(",") {
            self.field()?;
        }
        self.mark(")")
    }

    fn value(&mut self) -> Result<(), String> {
        if self.takes("?") && self.rest.starts_with('?') {
            return Err("nothing is optional twice".to_owned());
        }
        if self.takes("[]") || self.takes("[string]") {
            return self.value();
        }
        self.more();
        if self.rest.starts_with('(') {
            return self.structure_or_enum();
        }
        if self.rest.starts_with(|c: char| c.is_ascii_uppercase()) {
            let name = self.name()?;
            self.used.insert(name);
            return Ok(());
        }
        match self.token() {
            "bool" | "int" | "float" | "string" | "object" => Ok(()),
            other => Err(format!("{other:?} is no type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_language_knows_is_taken() {
        let text = "# One.\ninterface cn.yanmen.x-1\n\n# Two.\ntype State (on, switched_off)\n\
                    type Row (at: int, inner: (a: ?string, b: [][string]float), state: ?State)\n\
                    method Ask(rows: []Row, how: (fast, slow)) -> ()\nerror Odd (why: string)\n";
        let found = read(text).unwrap();
        assert_eq!((found.interface.as_str(), found.methods), ("cn.yanmen.x-1", vec!["Ask".to_owned()]));
        assert_eq!(found.types, BTreeSet::from(["Row".to_owned(), "State".to_owned()]));
    }

    #[test]
    fn what_it_does_not_know_is_told() {
        for (body, told) in [
            ("method Ask(state: State) -> ()", "State is used and not defined"),
            ("type State (on)", "State is defined and not used"),
            ("type State (log-in)", "\"log-in\" is no field"),
            ("type State (a.b)", "\"a.b\" is no field"),
            ("type Person string", "\"(\" belongs before \"string\""),
            ("method ask() -> ()", "\"ask\" is no name"),
            ("method Ask(a: text) -> ()", "\"text\" is no type"),
            ("method Ask(a: ??int) -> ()", "nothing is optional twice"),
            ("method Ask(a__b: int) -> ()", "\"a__b\" is no field"),
            ("method Ask(a: int,) -> ()", "\"\" is no field"),
            ("method Ask()", "\"->\" belongs before \"\""),
            ("method Ask() -> ()\nmethod Ask() -> ()", "Ask stands there twice"),
            ("call Ask() -> ()", "\"call\" is no member of an interface"),
        ] {
            assert_eq!(read(&format!("interface a.b\n{body}\n")).unwrap_err(), told);
        }
        assert_eq!(read("interface yanmen\n").unwrap_err(), "\"yanmen\" is no interface");
    }
}
