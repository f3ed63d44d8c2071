//! Runs a query file against an index; options and output are those of the Lucene harness (Searcher.java).
//!
//!   --index DIR --queries FILE [--out FILE] [--cmds TOP_10,TOP_1000,COUNT] [--rounds 10] [--warm-sec 10]
//!   [--field body] [--label NAME] [--mapping FILE] [--threads N]
//!
//! BM25 scores are printed divided by k1 + 1, as Lucene has them. TOP_k_COUNT_n counts all hits: tantivy
//! does not stop at n.
use crate::bodies::{self, Parsed};
use crate::report::percentile;
use crate::schema::{Fields, Kind, Result};
use crate::tokens::Standard;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};
use tantivy::aggregation::agg_result::AggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationCollector};
use tantivy::collector::{Collector, Count, TopDocs};
use tantivy::schema::{document::Value, Field};
use tantivy::{DateTime, DocAddress, Index, Searcher, TantivyDocument};

struct Query {
    class: String,
    text: String,
    is: Parsed,
}

#[derive(Clone)]
struct Command {
    name: String,
    k: usize, // 0: COUNT and AGGS
    counted: bool,
    aggs: bool,
}

impl Command {
    fn parse(name: &str) -> Result<Command> {
        let part: Vec<&str> = name.split('_').collect();
        let k = if part[0] == "TOP" { part.get(1).ok_or("TOP_k")?.parse()? } else { 0 };
        if k == 0 && name != "COUNT" && name != "AGGS" {
            return Err(format!("unknown command {name}").into());
        }
        Ok(Command { name: name.into(), k, counted: k > 0 && part.len() > 2, aggs: name == "AGGS" })
    }
    fn runs(&self, q: &Query) -> bool {
        if self.aggs {
            return q.is.aggs.is_some();
        }
        q.is.aggs.is_none() && (q.is.sort.is_none() || self.k > 0)
    }
}

/// Hits, and of the best of them their score or value.
#[derive(Default)]
struct Answer {
    hits: usize,
    lower: bool,
    top: Vec<(String, DocAddress)>,
    aggs: Option<AggregationResults>,
}

/// The best by a collector, with a count if that is asked for.
fn best<C, T>(s: &Searcher, q: &Query, c: &Command, top: C) -> Result<(Vec<(T, DocAddress)>, usize, bool)>
where
    C: Collector<Fruit = Vec<(T, DocAddress)>>,
{
    if c.counted {
        let (top, n) = s.search(&*q.is.query, &(top, Count))?;
        return Ok((top, n, false));
    }
    let top = s.search(&*q.is.query, &top)?;
    let n = top.len();
    Ok((top, n, n == c.k))
}

/// The best by a fast field; without `shown` nothing is printed.
fn sorted<C, T>(s: &Searcher, q: &Query, c: &Command, top: C, shown: Option<fn(T) -> String>) -> Result<Answer>
where
    C: Collector<Fruit = Vec<(Option<T>, DocAddress)>>,
{
    let (list, hits, lower) = best(s, q, c, top)?;
    let Some(shown) = shown else { return Ok(Answer { hits, ..Answer::default() }) };
    let top = list.into_iter().map(|(v, d)| (v.map_or("null".into(), shown), d)).collect();
    Ok(Answer { hits, lower, top, aggs: None })
}

/// One query; `show`: with what is printed of the answer.
fn run(s: &Searcher, q: &Query, c: &Command, show: bool) -> Result<Answer> {
    if let Some(a) = &q.is.aggs {
        let r = s.search(&*q.is.query, &AggregationCollector::from_aggs(a.clone(), AggContextParams::default()))?;
        return Ok(Answer { aggs: Some(r), ..Answer::default() });
    }
    if c.k == 0 {
        return Ok(Answer { hits: q.is.query.count(s)?, ..Answer::default() });
    }
    if let Some(sort) = &q.is.sort {
        let (top, f, o) = (TopDocs::with_limit(c.k), &sort.field, sort.order.clone());
        return match sort.kind {
            Kind::Date => sorted(s, q, c, top.order_by_fast_field(f, o), show.then_some(|v: DateTime| v.into_timestamp_millis().to_string())),
            Kind::Double => sorted(s, q, c, top.order_by_fast_field(f, o), show.then_some(|v: f64| format!("{v:?}"))),
            _ => sorted(s, q, c, top.order_by_fast_field(f, o), show.then_some(|v: i64| v.to_string())),
        };
    }
    let (list, hits, lower) = best(s, q, c, TopDocs::with_limit(c.k).order_by_score())?;
    if !show {
        return Ok(Answer { hits, ..Answer::default() });
    }
    let unit = if q.is.bm25 { 2.2 } else { 1.0 };
    let top = list.into_iter().map(|(v, d)| (format!("{:.5}", v / unit), d)).collect();
    Ok(Answer { hits, lower, top, aggs: None })
}

struct Bench {
    s: Searcher,
    id: Field,
    q: Vec<Query>,
    cmds: Vec<Command>,
    rounds: usize,
    threads: usize,
    label: String,
    out: Option<std::io::BufWriter<std::fs::File>>,
}

impl Bench {
    fn id_of(&self, d: DocAddress) -> Result<String> {
        let doc: TantivyDocument = self.s.doc(d)?;
        Ok(doc.get_first(self.id).and_then(|v| v.as_str().map(str::to_string)).unwrap_or("null".into()))
    }

    fn write(&mut self, i: usize, c: &Command, best: f64, median: f64) -> Result<()> {
        let q = &self.q[i];
        let a = run(&self.s, q, c, true)?;
        let mut line = format!("{}\t{}\t{}\t{}\t{best:.2}\t{median:.2}\t{}", c.name, q.class, q.text, a.hits, if a.lower { '>' } else { '=' });
        for (n, (score, d)) in a.top.iter().take(10).enumerate() {
            write!(line, "{}{}:{score}", if n == 0 { '\t' } else { ' ' }, self.id_of(*d)?)?;
        }
        if a.top.len() > 10 {
            let (score, d) = &a.top[a.top.len() - 1];
            write!(line, "\t{} {}:{score}", a.top.len(), self.id_of(*d)?)?;
        }
        if let Some(r) = a.aggs {
            write!(line, "\t{}", bodies::trimmed(&serde_json::to_value(r)?))?;
        }
        if let Some(o) = &mut self.out {
            writeln!(o, "{line}")?;
        }
        Ok(())
    }

    fn measure(&mut self, c: &Command) -> Result<()> {
        let mut t = vec![vec![]; self.q.len()];
        for _ in 0..self.rounds {
            for (i, q) in self.q.iter().enumerate().filter(|(_, q)| c.runs(q)) {
                let t0 = Instant::now();
                run(&self.s, q, c, false)?;
                t[i].push(t0.elapsed().as_nanos() as f64 / 1e3);
            }
        }
        let mut by: Vec<(String, Vec<f64>, Vec<f64>)> = vec![];
        for (i, x) in t.iter_mut().enumerate().filter(|(_, x)| !x.is_empty()) {
            x.sort_by(f64::total_cmp);
            let (best, median) = (x[0], x[x.len() / 2]);
            for name in [self.q[i].class.clone(), "ALL".into()] {
                let at = by.iter().position(|g| g.0 == name).unwrap_or_else(|| {
                    by.push((name, vec![], vec![]));
                    by.len() - 1
                });
                by[at].1.push(best);
                by[at].2.push(median);
            }
            self.write(i, c, best, median)?;
        }
        for (name, mut best, mut median) in by {
            best.sort_by(f64::total_cmp);
            median.sort_by(f64::total_cmp);
            let figures = |v: &[f64]| (percentile(v, 50.0), percentile(v, 99.0), v.iter().sum::<f64>() / v.len() as f64);
            let ((a, b, m), (x, y, z)) = (figures(&best), figures(&median));
            println!(
                "{}\t{}\t{name}\tn={}\tbest_p50={a:.1}\tbest_p99={b:.1}\tbest_mean={m:.1}\tmed_p50={x:.1}\tmed_p99={y:.1}\tmed_mean={z:.1}",
                self.label,
                c.name,
                best.len()
            );
        }
        Ok(())
    }

    /// Queries a second of n threads that each run all queries of the command.
    fn together(&self, c: &Command, n: usize) -> Result<()> {
        let t0 = Instant::now();
        let done: usize = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..n)
                .map(|t| {
                    scope.spawn(move || {
                        let from = self.q.len() * t / n;
                        let mut done = 0;
                        for i in (0..self.rounds).flat_map(|_| 0..self.q.len()) {
                            let q = &self.q[(i + from) % self.q.len()];
                            if c.runs(q) && run(&self.s, q, c, false).is_ok() {
                                done += 1;
                            }
                        }
                        done
                    })
                })
                .collect();
            lanes.into_iter().map(|l| l.join().unwrap_or(0)).sum()
        });
        let s = t0.elapsed().as_secs_f64();
        if done > 0 {
            println!("{}\t{}\tthreads={n}\tn={done}\tseconds={s:.3}\tqueries_per_s={:.1}", self.label, c.name, done as f64 / s);
        }
        Ok(())
    }

    fn all(&mut self, warm: f64) -> Result<()> {
        let (end, mut passes) = (Instant::now() + Duration::from_secs_f64(warm), 0);
        loop {
            for c in &self.cmds {
                for q in self.q.iter().filter(|q| c.runs(q)) {
                    run(&self.s, q, c, false)?;
                }
            }
            passes += 1;
            if Instant::now() >= end {
                break;
            }
        }
        eprintln!("warm-up passes {passes}");
        for c in self.cmds.clone() {
            self.measure(&c)?;
            for n in 1..=self.threads {
                self.together(&c, n)?;
            }
        }
        if let Some(mut o) = self.out.take() {
            o.flush()?;
        }
        Ok(())
    }
}

fn read(file: &str, fields: &Fields, rows: bool, field: Field) -> Result<Vec<Query>> {
    let mut q = vec![];
    for l in std::fs::read_to_string(file)?.lines().filter(|l| !l.is_empty()) {
        let (class, text) = l.split_once('\t').unwrap_or(("all", l));
        let is = if rows && text.starts_with('{') { bodies::body(text, fields)? } else { bodies::words(text, field) };
        q.push(Query { class: class.into(), text: text.into(), is });
    }
    Ok(q)
}

pub fn main(args: &[String]) -> Result<()> {
    let (mut dir, mut file, mut out, mut mapping, mut field) = (String::new(), String::new(), None, None, "body".to_string());
    let (mut cmds, mut rounds, mut warm, mut threads, mut label) = ("TOP_10,TOP_1000,COUNT".to_string(), 10, 10.0, 0, "tantivy".to_string());
    let mut it = args.iter();
    while let Some(a) = it.next() {
        let v = it.next().ok_or_else(|| format!("{a} wants a value"))?.clone();
        match a.as_str() {
            "--index" => dir = v,
            "--queries" => file = v,
            "--out" => out = Some(v),
            "--cmds" => cmds = v,
            "--rounds" => rounds = v.parse()?,
            "--warm-sec" => warm = v.parse()?,
            "--field" => field = v,
            "--label" => label = v,
            "--mapping" => mapping = Some(v),
            "--threads" => threads = v.parse()?,
            _ => return Err(format!("unknown option {a}").into()),
        }
    }
    let fields = Fields::read(mapping.as_deref(), false)?;
    let index = Index::open_in_dir(&dir)?;
    index.tokenizers().register("standard", Standard::default());
    let s = index.reader()?.searcher();
    let of_words = fields.column(&field).map_or(fields.id, |c| c.field);
    let q = read(&file, &fields, mapping.is_some(), of_words)?;
    eprintln!("{label}: {} docs, {} segments, {} queries", s.num_docs(), s.segment_readers().len(), q.len());
    let cmds = cmds.split(',').map(Command::parse).collect::<Result<Vec<_>>>()?;
    let out = out.map(std::fs::File::create).transpose()?.map(std::io::BufWriter::new);
    Bench { s, id: fields.id, q, cmds, rounds, threads, label, out }.all(warm)
}
