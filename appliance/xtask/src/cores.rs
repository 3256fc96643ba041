//! Cores are pure: what they know of time, chance and the world is handed in.
//!
//! Three looks: at the sources (paths into std that reach a clock, a socket, a file, a thread, the
//! environment), at each manifest (see [`crate::imports`]), and at the whole tree beneath a core.

use crate::{
    failure::Failure,
    manifest::{Part, workspace},
    repository::Repository,
    shell,
};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Paths that a core's sources must not name. `std::net`'s addresses are plain values and stay allowed.
const FORBIDDEN: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Crates that must not stand anywhere in the tree beneath a core: runtimes, sockets, databases, the skeleton.
const NOT_BENEATH: &[&str] = &["mio", "nix", "rustix", "service", "sled", "socket2", "systemd", "tokio"];

/// Holds every core to its purity.
///
/// # Errors
/// Every place that breaks it.
pub fn check(repository: &Repository) -> Result<String, Failure> {
    let mut broken = Vec::new();
    let all = workspace(repository)?;
    let cores: Vec<_> =
        all.iter().filter(|manifest| matches!(manifest.part(), Some((_, Part::Core)))).collect();
    for core in &cores {
        for path in repository.files(core.folder.join("src"), "rs")? {
            let text = repository.read(&path)?;
            let place = repository.relative(&path).display().to_string();
            broken.extend(impure(&text, &place)?);
        }
        let tree = repository.cargo(["tree", "--quiet", "--prefix", "none", "--format", "{lib}"]);
        let tree = shell::quiet(&tree.args(["--edges", "normal,no-proc-macro", "--package", &core.name]))?;
        broken.extend(
            beneath(&tree).map(|found| format!("{}: {found} stands in the tree beneath it", core.name)),
        );
    }
    Failure::unless_empty(broken)?;
    Ok(format!("{} cores", cores.len()))
}

fn beneath(tree: &str) -> impl Iterator<Item = &'static str> {
    NOT_BENEATH.iter().copied().filter(|name| tree.lines().any(|line| line.trim() == *name))
}

/// Every forbidden path in one source, tests in it left out.
fn impure(text: &str, place: &str) -> Result<Vec<String>, Failure> {
    let tokens: TokenStream =
        text.parse().map_err(|error| Failure::plain(format!("{place} cannot be read: {error}")))?;
    let mut paths = Vec::new();
    walk(tokens, &mut paths);
    let forbidden = |path: &Path| {
        FORBIDDEN.iter().any(|forbidden| {
            let rest = path.text.strip_prefix(forbidden);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                // Everything of a module that holds something forbidden.
                || path.text.strip_suffix("::*").is_some_and(|module| forbidden.starts_with(module))
        })
    };
    let told = |path: &Path| format!("{place}:{}: a core must not use {}", path.line, path.text);
    Ok(paths.iter().filter(|path| forbidden(path)).map(told).collect())
}

/// One path as it is meant: `use std::{fs, net::UdpSocket}` holds two.
struct Path {
    text: String,
    line: usize,
}

fn walk(tokens: TokenStream, paths: &mut Vec<Path>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(mark) if mark.as_char() == '#' && is_test_only(tokens.get(at + 1)) => {
                at = end_of_item(&tokens, at + 2);
            }
            TokenTree::Ident(_) => at = path(&tokens, at, "", paths),
            TokenTree::Group(group) => {
                walk(group.stream(), paths);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads the path that begins at `at`, branches of a use tree included; returns where it ends.
fn path(tokens: &[TokenTree], mut at: usize, prefix: &str, paths: &mut Vec<Path>) -> usize {
    let mut text = prefix.to_owned();
    loop {
        let line = tokens.get(at).map_or(0, |token| token.span().start().line);
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => text.push_str(&word.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' && text.ends_with("::") => {
                text.push('*');
            }
            Some(TokenTree::Group(group))
                if group.delimiter() == Delimiter::Brace && text.ends_with("::") =>
            {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                let mut branch = 0;
                while branch < branches.len() {
                    branch = path(&branches, branch, &text, paths).max(branch + 1);
                }
                return at + 1;
            }
            _ => return at,
        }
        at += 1;
        if !(is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))) {
            paths.push(Path { text: text.replace("core::", "std::").replace("alloc::", "std::"), line });
            return at;
        }
        text.push_str("::");
        at += 2;
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

fn is_test_only(attribute: Option<&TokenTree>) -> bool {
    matches!(attribute, Some(TokenTree::Group(group)) if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Behind the item that begins at `at`: its block, or its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    tokens[at..].iter().position(ends).map_or(tokens.len(), |length| at + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_a_socket_or_a_file_in_a_core_is_found() {
        for text in [
            "use std::time::Instant;",
            "use std::{fmt, time::{Duration, SystemTime}};",
            "use std::{fs, io};",
            "use std::fs::File as Paper;",
            "use std::net::*;",
            "fn f() { let now = std::time::Instant::now(); }",
            "fn f() { g(|| ::std::net::UdpSocket::bind(a)); }",
            "mod inner { pub use std::net::{IpAddr, TcpStream}; }",
            "fn f() -> std::thread::JoinHandle<()> { h() }",
        ] {
            assert_eq!(impure(text, "x.rs").unwrap().len(), 1, "{text}");
        }
    }

    #[test]
    fn values_comments_strings_and_tests_pass() {
        for text in [
            "use std::{net::{IpAddr, SocketAddr}, time::Duration};",
            "//! std::fs is for shells.\n/// std::time::Instant is not used.\nfn f() { g(\"std::fs\"); }",
            "#[cfg(test)]\nmod tests { use std::fs; }\nuse std::fmt;",
            "#[cfg(test)]\nuse std::time::Instant;",
            "use types::Instant;",
        ] {
            assert_eq!(impure(text, "x.rs").unwrap(), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_runtime_beneath_a_core_is_found() {
        assert_eq!(beneath("sip_core\ntypes\ntokio\n").collect::<Vec<_>>(), ["tokio"]);
        assert_eq!(beneath("sip_core\ntokio_stream_names\n").count(), 0);
    }
}
