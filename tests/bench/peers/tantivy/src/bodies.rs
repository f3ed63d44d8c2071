//! Queries: the words of gen_queries and the search bodies of gen_bodies.pl. Words are looked up as they stand.
use crate::schema::{Column, Fields, Kind, Result};
use serde_json::Value;
use std::ops::Bound;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::query::{AllQuery, BooleanQuery, ConstScoreQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, RangeQuery, RegexQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DateTime, Order, Term};

pub struct Sort {
    pub field: String,
    pub kind: Kind,
    pub order: Order,
}

pub struct Parsed {
    pub query: Box<dyn Query>,
    pub bm25: bool, // scores are BM25's, which tantivy multiplies by k1 + 1
    pub sort: Option<Sort>,
    pub aggs: Option<Aggregations>,
}

fn word(field: Field, w: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, w), IndexRecordOption::WithFreqs))
}

fn phrase(field: Field, text: &str, slop: u32) -> Box<dyn Query> {
    let terms: Vec<Term> = text.split_whitespace().map(|w| Term::from_field_text(field, w)).collect();
    if terms.len() < 2 {
        return word(field, text.trim());
    }
    let mut q = PhraseQuery::new(terms);
    q.set_slop(slop);
    Box::new(q)
}

/// +a +b all of them, a b any, -a none, "a b" a phrase.
pub fn words(text: &str, field: Field) -> Parsed {
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let occur = match rest.as_bytes()[0] {
            b'+' => Occur::Must,
            b'-' => Occur::MustNot,
            _ => Occur::Should,
        };
        if occur != Occur::Should {
            rest = &rest[1..];
        }
        let (q, end) = if let Some(inner) = rest.strip_prefix('"') {
            let e = inner.find('"').unwrap_or(inner.len());
            (phrase(field, &inner[..e], 0), (e + 2).min(rest.len()))
        } else {
            let e = rest.find(' ').unwrap_or(rest.len());
            (word(field, &rest[..e]), e)
        };
        clauses.push((occur, q));
        rest = rest[end..].trim_start();
    }
    let query: Box<dyn Query> = match clauses.as_slice() {
        [(o, q)] if *o != Occur::MustNot => q.box_clone(),
        _ => Box::new(BooleanQuery::new(clauses)),
    };
    Parsed { query, bm25: true, sort: None, aggs: None }
}

fn only(v: &Value) -> Result<(&String, &Value)> {
    Ok(v.as_object().and_then(|o| o.iter().next()).ok_or("an empty object")?)
}

fn text_of(v: &Value) -> Result<&str> {
    Ok(v.as_str().ok_or("not a text")?)
}

fn number(c: &Column, v: &Value) -> Result<Term> {
    let whole = || v.as_i64().ok_or("not a whole number");
    Ok(match c.kind {
        Kind::Long => Term::from_field_i64(c.field, whole()?),
        Kind::Date => Term::from_field_date(c.field, DateTime::from_timestamp_millis(whole()?)),
        _ => Term::from_field_f64(c.field, v.as_f64().ok_or("not a number")?),
    })
}

/// `*` and `?` of a wildcard as a regular expression.
fn pattern(wildcard: &str) -> String {
    let mut out = String::new();
    for c in wildcard.chars() {
        match c {
            '*' => out.push_str("(?s:.)*"),
            '?' => out.push_str("(?s:.)"),
            c if c.is_alphanumeric() || c == '/' => out.push(c),
            c => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    out
}

struct Reader<'a> {
    fields: &'a Fields,
    bm25: bool,
}

impl Reader<'_> {
    fn query(&mut self, v: &Value) -> Result<Box<dyn Query>> {
        let (name, inside) = only(v)?;
        if name == "match_all" {
            return Ok(Box::new(AllQuery));
        }
        if name == "bool" {
            return self.bool(inside);
        }
        let (field, o) = only(inside)?;
        let c = self.fields.column(field)?;
        Ok(match name.as_str() {
            "match" => {
                self.bm25 = true;
                word(c.field, text_of(o)?)
            }
            "term" if c.kind != Kind::Keyword => Box::new(TermQuery::new(number(c, o)?, IndexRecordOption::Basic)),
            "term" => {
                self.bm25 = true;
                Box::new(TermQuery::new(Term::from_field_text(c.field, text_of(o)?), IndexRecordOption::Basic))
            }
            "match_phrase" => {
                self.bm25 = true;
                phrase(c.field, text_of(&o["query"])?, o["slop"].as_u64().unwrap_or(0) as u32)
            }
            "prefix" => Box::new(RegexQuery::from_pattern(&pattern(&format!("{}*", text_of(&o["value"])?)), c.field)?),
            "wildcard" => Box::new(RegexQuery::from_pattern(&pattern(text_of(&o["value"])?), c.field)?),
            "fuzzy" => {
                let edits = text_of(&o["fuzziness"])?.parse()?;
                Box::new(FuzzyTermQuery::new(Term::from_field_text(c.field, text_of(&o["value"])?), edits, true))
            }
            "range" => {
                let from = o.get("gte").map_or(Ok(Bound::Unbounded), |x| number(c, x).map(Bound::Included))?;
                let to = o.get("lt").map_or(Ok(Bound::Unbounded), |x| number(c, x).map(Bound::Excluded))?;
                Box::new(RangeQuery::new(from, to))
            }
            other => return Err(format!("query {other}").into()),
        })
    }

    /// tantivy has no filter clauses: one that must match and adds nothing to the score.
    fn bool(&mut self, b: &Value) -> Result<Box<dyn Query>> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![];
        for (kind, list) in b.as_object().ok_or("bool")? {
            for c in list.as_array().ok_or("bool: not a list")? {
                let scored = self.bm25;
                let q = self.query(c)?;
                clauses.push(match kind.as_str() {
                    "must" => (Occur::Must, q),
                    "should" => (Occur::Should, q),
                    "filter" => {
                        self.bm25 = scored;
                        (Occur::Must, Box::new(ConstScoreQuery::new(q, 0.0)))
                    }
                    other => return Err(format!("bool {other}").into()),
                });
            }
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }
}

pub fn body(text: &str, fields: &Fields) -> Result<Parsed> {
    let v: Value = serde_json::from_str(text)?;
    let mut r = Reader { fields, bm25: false };
    let query = v.get("query").map_or_else(|| Ok(Box::new(AllQuery) as Box<dyn Query>), |q| r.query(q))?;
    let sort = match v.get("sort") {
        None => None,
        Some(s) => {
            let (field, o) = only(&s[0])?;
            let order = if o["order"] == "desc" { Order::Desc } else { Order::Asc };
            Some(Sort { field: field.clone(), kind: fields.column(field)?.kind, order })
        }
    };
    let aggs = v.get("aggs").map(|a| serde_json::from_value(a.clone())).transpose()?;
    Ok(Parsed { query, bm25: r.bm25, sort, aggs })
}

/// An answer with the members that the Lucene harness prints.
pub fn trimmed(v: &Value) -> Value {
    match v {
        Value::Object(o) => o
            .iter()
            .filter(|(k, _)| !matches!(k.as_str(), "key_as_string" | "doc_count_error_upper_bound" | "sum_other_doc_count"))
            .map(|(k, x)| (k.clone(), trimmed(x)))
            .collect(),
        Value::Array(a) => a.iter().map(trimmed).collect(),
        other => other.clone(),
    }
}
