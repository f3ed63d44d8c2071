//! JSON lines into an index.
//!
//!   --in FILE --index DIR [--threads 1] [--ram 256] [--merge] [--limit N] [--freqs] [--mapping FILE]
//!
//! tantivy has no sources beside the fields, no translog and no refresh without a commit: --es is not here.
use crate::report;
use crate::schema::{Fields, Result};
use crate::tokens::Standard;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Instant;
use tantivy::indexer::NoMergePolicy;
use tantivy::{Index, IndexWriter, TantivyDocument};

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

#[derive(Deserialize)]
struct Line<'a> {
    id: Id,
    #[serde(borrow, default)]
    body: Cow<'a, str>,
}

struct Options {
    input: String,
    dir: String,
    mapping: Option<String>,
    threads: usize,
    ram: f64,
    limit: u64,
    merge: bool,
    freqs: bool,
}

fn options(args: &[String]) -> Result<Options> {
    let mut o = Options { input: String::new(), dir: String::new(), mapping: None, threads: 1, ram: 256.0, limit: u64::MAX, merge: false, freqs: false };
    let mut it = args.iter();
    while let Some(a) = it.next() {
        let mut value = || it.next().ok_or_else(|| format!("{a} wants a value"));
        match a.as_str() {
            "--in" => o.input = value()?.clone(),
            "--index" => o.dir = value()?.clone(),
            "--mapping" => o.mapping = Some(value()?.clone()),
            "--threads" => o.threads = value()?.parse()?,
            "--ram" => o.ram = value()?.parse()?,
            "--limit" => o.limit = value()?.parse()?,
            "--merge" => o.merge = true,
            "--freqs" => o.freqs = true,
            _ => return Err(format!("unknown option {a}").into()),
        }
    }
    Ok(o)
}

/// One line as a document.
fn document(f: &Fields, rows: bool, line: &str) -> Result<TantivyDocument> {
    let mut d = TantivyDocument::default();
    if rows {
        let row: serde_json::Value = serde_json::from_str(line)?;
        d.add_text(f.id, row["id"].as_str().unwrap_or_default());
        f.add(&mut d, &row);
    } else {
        let l: Line = serde_json::from_str(line)?;
        match l.id {
            Id::Text(t) => d.add_text(f.id, t),
            Id::Number(n) => d.add_text(f.id, n.to_string()),
        }
        d.add_text(f.columns[0].field, l.body);
    }
    Ok(d)
}

pub fn main(args: &[String]) -> Result<()> {
    let o = options(args)?;
    let f = Fields::read(o.mapping.as_deref(), o.freqs)?;
    let _ = fs::remove_dir_all(&o.dir);
    fs::create_dir_all(&o.dir)?;
    let (t0, c0) = (Instant::now(), report::cpu_seconds());
    let index = Index::create_in_dir(&o.dir, f.schema.clone())?;
    index.tokenizers().register("standard", Standard::default());
    let mut w: IndexWriter = index.writer_with_num_threads(o.threads, (o.ram * 1e6) as usize)?;
    if o.merge {
        w.set_merge_policy(Box::new(NoMergePolicy)); // one merge at the end, in the order of the documents
    }
    let mut input = BufReader::with_capacity(1 << 20, fs::File::open(&o.input)?);
    let (mut line, mut docs, mut bytes) = (String::new(), 0u64, 0u64);
    while docs < o.limit {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        w.add_document(document(&f, o.mapping.is_some(), &line)?)?;
        docs += 1;
        bytes += line.len() as u64;
    }
    let index_s = t0.elapsed().as_secs_f64();
    w.commit()?;
    let commit_s = t0.elapsed().as_secs_f64() - index_s;
    if o.merge {
        let ids = index.searchable_segment_ids()?;
        if ids.len() > 1 {
            w.merge(&ids).wait()?;
        }
        w.garbage_collect_files().wait()?;
    }
    w.wait_merging_threads()?;
    let total = t0.elapsed().as_secs_f64();
    let cpu = (report::cpu_seconds() - c0).max(0.01);
    let segments = index.searchable_segment_ids()?.len();
    let (by, size) = report::files(&o.dir);
    let n = docs as f64;
    println!(
        "threads={} ram={:.0} es=false append=false merge={} docs={docs} input_bytes={bytes} index_s={index_s:.2} commit_s={commit_s:.2} \
         merge_close_s={:.2} total_s={total:.2} cpu_s={cpu:.2} gc_ms=0 docs_per_s={:.0} MB_per_s={:.2} docs_per_s_total={:.0} \
         docs_per_cpu_s={:.0} index_bytes={size} segments={segments} files:{}",
        o.threads,
        o.ram,
        o.merge,
        total - index_s - commit_s,
        n / (index_s + commit_s),
        bytes as f64 / 1e6 / (index_s + commit_s),
        n / total,
        n / cpu,
        by.iter().map(|(k, v)| format!(" {k}={v}")).collect::<String>()
    );
    Ok(())
}
