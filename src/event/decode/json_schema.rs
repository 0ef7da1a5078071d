//! JSON described by a JSON Schema: what is read is not held against it, what is written is.

use std::error::Error;

use jsonschema::{Retrieve, Uri};
use serde_json::Value;

use crate::event::encode::Misfit;

/// A JSON Schema, with those that it refers to.
#[derive(Clone, Debug)]
pub struct JsonSchema {
    text: String,
    references: Vec<(String, String)>,
}

/// The schemas that a registry names as references: nothing else is fetched.
struct References(Vec<(String, String)>);

impl Retrieve for References {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let is = |name: &str| {
            let rest = uri.as_str().strip_suffix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let found = self.0.iter().find(|(name, _)| is(name));
        let (_, text) = found.ok_or_else(|| format!("{uri} is none of the schema's references"))?;
        Ok(serde_json::from_str(text)?)
    }
}

impl JsonSchema {
    /// A schema; `references` are the schemas that it refers to, by the names that it has for them.
    pub fn new(text: String, references: Vec<(String, String)>) -> Self {
        Self { text, references }
    }

    /// Holds a document against it.
    pub fn check(&self, document: &Value) -> Result<(), Misfit> {
        let wrong = |why: String| Misfit::new(format!("the JSON Schema cannot be used: {why}"));
        let schema: Value = serde_json::from_str(&self.text).map_err(|e| wrong(e.to_string()))?;
        let options = jsonschema::options().with_retriever(References(self.references.clone()));
        let validator = options.build(&schema).map_err(|e| wrong(e.to_string()))?;
        let Err(error) = validator.validate(document) else { return Ok(()) };
        let pointer = error.instance_path().to_string();
        let mut misfit = Misfit::new(error.to_string());
        for part in pointer.rsplit('/').filter(|part| !part.is_empty()) {
            let is_index = part.bytes().all(|b| b.is_ascii_digit());
            let name = part.replace("~1", "/").replace("~0", "~");
            misfit = misfit.at(&if is_index { format!("[{name}]") } else { name });
        }
        Err(misfit)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_held_against_the_schema_and_its_references_and_nothing_is_fetched() {
        let line =
            r#"{"type":"object","required":["sku"],"properties":{"n":{"type":"integer","minimum":1}}}"#;
        let order = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object",
            "properties":{"lines":{"type":"array","items":{"$ref":"line.json"}}}}"#;
        let schema = JsonSchema::new(order.into(), vec![("line.json".into(), line.into())]);
        assert_eq!(schema.check(&json!({"lines": [{"sku": "a", "n": 1}]})), Ok(()));
        let why = |document: Value| schema.check(&document).unwrap_err().to_string();
        assert_eq!(
            why(json!({"lines": [{"sku": "a"}, {"sku": "b", "n": 0}]})),
            "lines[1].n: 0 is less than the minimum of 1"
        );
        assert!(why(json!({"lines": [{}]})).starts_with("lines[0]: \"sku\" is a required property"));
        assert!(why(json!(7)).starts_with("7 is not of type"));

        let away = JsonSchema::new(r#"{"$ref":"http://127.0.0.1:1/x.json"}"#.into(), Vec::new());
        let why = away.check(&json!(1)).unwrap_err().to_string();
        assert!(why.contains("none of the schema's references"), "{why}");
        assert!(JsonSchema::new("{".into(), Vec::new()).check(&json!(1)).is_err());
    }
}
