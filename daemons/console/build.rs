//! Takes the page's files into the program: each as it is, and compressed by Brotli (RFC 7932) where that is shorter.
//!
//! A file lies at the path that it has under `ui/dist` where the page has been built, else under `ui`;
//! `index.html` lies at `/`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a build that fails says why and ends")]

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("ui");
    let built = root.join("dist");
    let page = if built.is_dir() { built } else { root };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    println!("cargo::rerun-if-changed={}", page.display());
    let mut files = Vec::new();
    walk(&page, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for (at, file) in files.iter().enumerate() {
        let Some(kind) = kind(file) else { continue };
        println!("cargo::rerun-if-changed={}", file.display());
        let path = format!("/{}", file.strip_prefix(&page).unwrap().to_str().unwrap());
        let path = path.strip_suffix("index.html").unwrap_or(&path);
        let bytes = fs::read(file).unwrap();
        let short = compressed(&bytes);
        let packed = out.join(format!("{at}.br"));
        let brotli = match short.len() < bytes.len() {
            true => {
                fs::write(&packed, short).unwrap();
                format!("Some(include_bytes!({packed:?}))")
            }
            false => "None".to_owned(),
        };
        // A build names what it has made by its digest: such a file never changes.
        let fixed = path.starts_with("/assets/");
        writeln!(
            table,
            "File {{ path: {path:?}, kind: {kind:?}, bytes: include_bytes!({file:?}), brotli: {brotli}, fixed: {fixed} }},"
        )
        .unwrap();
    }
    table.push(']');
    fs::write(out.join("files.rs"), table).unwrap();
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            // Sources of a page to be built are no files of it.
            true if matches!(name, "node_modules" | "src" | "tests") || name.starts_with('.') => {}
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

/// The media type; `None` of what is no part of a page.
fn kind(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 64 * 1024, 11, 22);
    writer.write_all(bytes).unwrap();
    writer.into_inner()
}
