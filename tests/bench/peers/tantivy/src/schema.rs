//! A mapping of Elasticsearch's as tantivy fields, each in the form that serves search best: numbers as
//! fast fields (tantivy searches ranges in them) and indexed for exact values, keywords as raw terms
//! and as fast fields, text with positions and norms.
use serde_json::Value;
use tantivy::schema::{
    DateOptions, DateTimePrecision, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions, STORED, STRING,
};
use tantivy::{DateTime, TantivyDocument};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Keyword,
    Long,
    Double,
    Date,
}

pub struct Column {
    pub path: Vec<String>,
    pub field: Field,
    pub kind: Kind,
}

pub struct Fields {
    pub schema: Schema,
    pub id: Field,
    pub columns: Vec<Column>,
}

fn text(freqs: bool) -> TextOptions {
    let how = if freqs { IndexRecordOption::WithFreqs } else { IndexRecordOption::WithFreqsAndPositions };
    TextOptions::default().set_indexing_options(TextFieldIndexing::default().set_tokenizer("standard").set_index_option(how))
}

fn collect(properties: &Value, path: &[String], out: &mut Vec<(Vec<String>, Kind)>) -> Result<()> {
    for (name, p) in properties.as_object().ok_or("a mapping without properties")? {
        let mut here = path.to_vec();
        here.push(name.clone());
        if let Some(below) = p.get("properties") {
            collect(below, &here, out)?;
            continue;
        }
        let kind = match p["type"].as_str().unwrap_or("") {
            "text" => Kind::Text,
            "keyword" => Kind::Keyword,
            "date" => Kind::Date,
            "long" | "integer" => Kind::Long,
            "double" => Kind::Double,
            other => return Err(format!("type {other} of {name}").into()),
        };
        out.push((here, kind));
    }
    Ok(())
}

impl Fields {
    /// Of a mapping, or body alone.
    pub fn read(mapping: Option<&str>, freqs: bool) -> Result<Fields> {
        let mut kinds = vec![];
        match mapping {
            None => kinds.push((vec!["body".to_string()], Kind::Text)),
            Some(file) => {
                let m: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
                collect(&m["properties"], &[], &mut kinds)?;
            }
        }
        let mut b = Schema::builder();
        let id = b.add_text_field("id", STORED);
        let mut columns = vec![];
        for (path, kind) in kinds {
            let name = path.join("_");
            let number = NumericOptions::default().set_fast().set_indexed();
            let field = match kind {
                Kind::Text => b.add_text_field(&name, text(freqs)),
                Kind::Keyword => b.add_text_field(&name, TextOptions::from(STRING).set_fast(Some("raw"))),
                Kind::Long => b.add_i64_field(&name, number),
                Kind::Double => b.add_f64_field(&name, number),
                Kind::Date => {
                    b.add_date_field(&name, DateOptions::default().set_fast().set_indexed().set_precision(DateTimePrecision::Milliseconds))
                }
            };
            columns.push(Column { path, field, kind });
        }
        Ok(Fields { schema: b.build(), id, columns })
    }

    pub fn column(&self, name: &str) -> Result<&Column> {
        Ok(self.columns.iter().find(|c| c.path.join("_") == name).ok_or_else(|| format!("no field {name}"))?)
    }

    /// Adds the fields of a row.
    pub fn add(&self, d: &mut TantivyDocument, row: &Value) {
        for c in &self.columns {
            let mut v = Some(row);
            for p in &c.path {
                v = v.and_then(|x| x.get(p));
            }
            match v {
                None | Some(Value::Null) => {}
                Some(Value::Array(list)) => list.iter().for_each(|x| c.add(d, x)),
                Some(x) => c.add(d, x),
            }
        }
    }
}

impl Column {
    fn add(&self, d: &mut TantivyDocument, v: &Value) {
        match self.kind {
            Kind::Text | Kind::Keyword => match v {
                Value::String(s) => d.add_text(self.field, s),
                other => d.add_text(self.field, other.to_string()),
            },
            Kind::Long => d.add_i64(self.field, v.as_i64().unwrap_or_default()),
            Kind::Double => d.add_f64(self.field, v.as_f64().unwrap_or_default()),
            Kind::Date => d.add_date(self.field, DateTime::from_timestamp_millis(v.as_i64().unwrap_or_default())),
        }
    }
}
