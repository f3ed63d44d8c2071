//! Indexer and searcher on tantivy with the options and output lines of the Lucene harness.
mod bodies;
mod indexer;
mod report;
mod schema;
mod searcher;
mod tokens;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or(&[]);
    let done = match args.first().map(String::as_str) {
        Some("Indexer") => indexer::main(rest),
        Some("Searcher") => searcher::main(rest),
        Some("version") => {
            println!("{}", tantivy::version_string());
            Ok(())
        }
        _ => Err("usage: bench-tantivy Indexer|Searcher OPTIONS | version".into()),
    };
    if let Err(e) = done {
        eprintln!("bench-tantivy: {e}");
        std::process::exit(1);
    }
}
