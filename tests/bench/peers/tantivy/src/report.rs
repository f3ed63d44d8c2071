//! What both programs print alike.
use std::collections::BTreeMap;
use std::fs;

/// CPU seconds of the process.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |x| x.1);
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|x| x.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Bytes of the index by extension, and all of them.
pub fn files(dir: &str) -> (BTreeMap<String, u64>, u64) {
    let mut by = BTreeMap::new();
    let mut all = 0;
    for e in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = e.file_name().to_string_lossy().into_owned();
        let n = e.metadata().map_or(0, |m| m.len());
        if name.ends_with(".lock") {
            continue;
        }
        all += n;
        *by.entry(name.rsplit_once('.').map_or("other", |x| x.1).to_string()).or_insert(0) += n;
    }
    (by, all)
}

/// A percentile of sorted values.
pub fn percentile(v: &[f64], p: f64) -> f64 {
    let i = (p / 100.0 * v.len() as f64).ceil() as usize;
    v[i.saturating_sub(1).min(v.len() - 1)]
}
