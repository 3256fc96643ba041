//! Compiles `configs/house.toml` into the table of this crate, and refuses a table that breaks the law.

#[path = "src/law.rs"]
mod law;

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../configs/house.toml");
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read_to_string(&path)?;
    let house: law::House = toml::from_str(&text)?;
    let broken = law::broken(&house);
    if !broken.is_empty() {
        return Err(format!("configs/house.toml:\n  {}", broken.join("\n  ")).into());
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("table.rs"), table(&house)?)?;
    Ok(())
}

fn table(house: &law::House) -> Result<String, std::fmt::Error> {
    let mut code = format!(
        "/// The floors, the most exposed first.\npub const FLOORS: &[&str] = &{:?};\n",
        house.floors
    );
    code += "/// Every row of the table, by floor, then by name.\npub const DAEMONS: &[Daemon] = &[\n";
    let mut rows: Vec<_> = house.daemon.iter().collect();
    rows.sort_by_key(|(name, daemon)| {
        (house.floors.iter().position(|floor| *floor == daemon.floor), name.as_str())
    });
    for (name, daemon) in rows {
        writeln!(
            code,
            "Daemon {{ name: {name:?}, floor: {:?}, duty: {:?}, network: Network::{}, root: {}, settings: &{:?}, calls: &[",
            daemon.floor,
            daemon.duty,
            match daemon.network {
                law::Network::None => "None",
                law::Network::Inet => "Inet",
            },
            daemon.root,
            daemon.settings
        )?;
        for (callee, methods) in &daemon.calls {
            writeln!(code, "    Calls {{ callee: {callee:?}, methods: &{methods:?} }},")?;
        }
        code += "] },\n";
    }
    Ok(code + "];\n")
}
