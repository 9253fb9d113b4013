//! Writes the report of every sample as a page into the folder given (or the current one), to be looked at.

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() -> std::io::Result<()> {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    for (name, report) in samples::all() {
        let path = folder.join(format!("{name}.html"));
        std::fs::write(&path, tidegate_load::report::html::html(&report))?;
        println!("{}", path.display());
    }
    Ok(())
}
