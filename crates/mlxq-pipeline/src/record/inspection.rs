//! What `mlxq inspect` found, with the keys of `docs/inspect.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlxq_checkpoint::Deviation;
use mlxq_checkpoint::recipe::{Encoding, Format, PlannedTensor};
use mlxq_checkpoint::tensor::Dtype;
use serde_json::{Value, json};

/// A folder that was looked at.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Its `model_type`.
    pub(crate) model_type: String,
    /// Whether the type has a layout of its own.
    pub(crate) has_layout: bool,
    /// Whether it is a converted folder.
    pub(crate) is_converted: bool,
    /// The format of modules without one of their own, of the folder or of the conversion to come.
    pub(crate) format: Format,
    /// Why it is none of its type, or cannot be converted.
    pub(crate) problem: Option<String>,
    /// Tensors in the weight files, and their bytes.
    pub(crate) in_files: (usize, u64),
    /// The checkpoint that it was compared with.
    pub(crate) source: Option<PathBuf>,
    /// One for each module's weight, and for every other tensor.
    pub(crate) rows: Vec<Row>,
    /// Tensors that a conversion leaves out, or has left out: name and reason.
    pub(crate) left_out: Vec<(String, String)>,
    /// Tensors that were not compared: name and reason.
    pub(crate) not_compared: Vec<(String, &'static str)>,
}

/// A tensor, or a packed module.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) tensor: PlannedTensor,
    pub(crate) deviation: Option<Deviation>,
}

/// What rows are together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Total {
    pub(crate) rows: usize,
    pub(crate) quantized: usize,
    pub(crate) parameters: u64,
    pub(crate) quantized_parameters: u64,
    /// Bytes as the folder holds them.
    pub(crate) bytes: u64,
    /// Bytes after a conversion; the same for a converted folder.
    pub(crate) converted_bytes: u64,
    /// Of those rows that were compared.
    pub(crate) deviation: Option<Deviation>,
}

impl Row {
    /// The module of a packed weight, the name of any other tensor.
    pub(crate) fn name(&self) -> &str {
        match self.tensor.format() {
            Some(_) => self.tensor.module(),
            None => &self.tensor.info.name,
        }
    }

    /// Bytes after a conversion.
    pub(crate) fn converted_bytes(&self) -> u64 {
        self.tensor.outputs().iter().map(|info| info.bytes() as u64).sum()
    }

    /// The element type of packed numbers' scales.
    fn scales(&self) -> Option<Dtype> {
        self.tensor.outputs().get(1).map(|scales| scales.dtype)
    }

    /// The form after a conversion in words: element type, or bits, group and scales.
    pub(crate) fn converted_form(&self) -> String {
        match (self.tensor.encoding, self.scales()) {
            (Encoding::Packed(format, _), Some(scales)) => {
                let (mode, bits, size) = (format.mode(), format.bits(), format.group_size());
                format!("{mode} {bits}/{size} {}", scales.name())
            }
            (Encoding::Float(float), _) => Dtype::from(float).name().to_owned(),
            _ => self.tensor.info.dtype.name().to_owned(),
        }
    }

    /// The form after a conversion, as JSON.
    fn converted_json(&self) -> Value {
        let bytes = self.converted_bytes();
        let dtype = self.tensor.outputs().first().map(|info| info.dtype.name());
        let format = self.tensor.format();
        json!({
            "dtype": dtype,
            "bytes": bytes,
            "bits_per_weight": bits_per_weight(bytes, self.tensor.info.elements() as u64),
            "quantization": format.map(format_json),
            "scales": self.scales().map(Dtype::name),
        })
    }

    /// The form of an original.
    fn original_json(&self) -> Value {
        let info = &self.tensor.info;
        json!({
            "dtype": info.dtype.name(),
            "bytes": info.bytes(),
            "bits_per_weight": 8 * info.dtype.size(),
            "quantization": null,
            "scales": null,
        })
    }
}

impl Inspected {
    /// What some of its rows are together.
    pub(crate) fn total<'r>(&self, rows: impl IntoIterator<Item = &'r Row> + Clone) -> Total {
        let sum = |number: &dyn Fn(&Row) -> u64| rows.clone().into_iter().map(number).sum();
        let is_packed = |row: &Row| row.tensor.format().is_some();
        let elements = |row: &Row| row.tensor.info.elements() as u64;
        let converted_bytes = sum(&Row::converted_bytes);
        let deviations = || rows.clone().into_iter().filter_map(|row| row.deviation);
        Total {
            rows: rows.clone().into_iter().count(),
            quantized: rows.clone().into_iter().filter(|row| is_packed(row)).count(),
            parameters: sum(&elements),
            quantized_parameters: sum(&|row| if is_packed(row) { elements(row) } else { 0 }),
            bytes: match self.is_converted {
                true => converted_bytes,
                false => sum(&|row| row.tensor.info.bytes() as u64),
            },
            converted_bytes,
            deviation: deviations().next().map(|_| deviations().sum()),
        }
    }

    /// The rows of every layer; those of none come first.
    pub(crate) fn layers(&self) -> BTreeMap<Option<usize>, Vec<&Row>> {
        let mut layers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in &self.rows {
            layers.entry(row.tensor.layer()).or_default().push(row);
        }
        layers
    }

    /// Whether there is a conversion to speak of that has not been done.
    pub(crate) fn is_foreseen(&self) -> bool {
        !self.is_converted && self.problem.is_none()
    }

    /// The document of `docs/inspect.md`.
    pub fn to_json(&self) -> Value {
        let layer = |(layer, rows): (&Option<usize>, &Vec<&Row>)| {
            let mut line = json!({"layer": layer});
            let total = self.total_json(&self.total(rows.iter().copied()));
            merge(&mut line, total);
            line
        };
        json!({
            "folder": self.folder.to_string_lossy(),
            "model_type": self.model_type,
            "has_layout": self.has_layout,
            "is_converted": self.is_converted,
            "quantization": format_json(self.format),
            "problem": self.problem,
            "source": self.source.as_ref().map(|source| source.to_string_lossy()),
            "in_files": {"tensors": self.in_files.0, "bytes": self.in_files.1},
            "total": self.total_json(&self.total(&self.rows)),
            "layers": self.layers().iter().map(layer).collect::<Vec<_>>(),
            "tensors": self.rows.iter().map(|row| self.row_json(row)).collect::<Vec<_>>(),
            "left_out": notes(&self.left_out),
            "not_compared": notes(&self.not_compared),
        })
    }

    fn total_json(&self, total: &Total) -> Value {
        let size = |bytes: u64| json!({"bytes": bytes, "bits_per_weight": bits_per_weight(bytes, total.parameters)});
        json!({
            "tensors": total.rows,
            "quantized_tensors": total.quantized,
            "parameters": total.parameters,
            "quantized_parameters": total.quantized_parameters,
            "stored": size(total.bytes),
            "converted": self.is_foreseen().then(|| size(total.converted_bytes)),
            "error": total.deviation.map(deviation_json),
        })
    }

    fn row_json(&self, row: &Row) -> Value {
        let (stored, converted) = match self.is_converted {
            true => (row.converted_json(), None),
            false => (row.original_json(), self.is_foreseen().then(|| row.converted_json())),
        };
        json!({
            "name": row.name(),
            "layer": row.tensor.layer(),
            "shape": row.tensor.info.shape,
            "parameters": row.tensor.info.elements(),
            "stored": stored,
            "converted": converted,
            "rule": row.tensor.rule,
            "error": row.deviation.map(deviation_json),
        })
    }
}

/// Mean bits of `parameters` in so many bytes.
pub(crate) fn bits_per_weight(bytes: u64, parameters: u64) -> f64 {
    bytes as f64 * 8.0 / parameters.max(1) as f64
}

fn format_json(format: Format) -> Value {
    json!({"bits": format.bits(), "group_size": format.group_size(), "mode": format.mode()})
}

/// Numbers that are not finite become null.
fn deviation_json(deviation: Deviation) -> Value {
    json!({"relative_rms": deviation.relative_rms(), "max_abs": deviation.largest()})
}

fn notes<S: AsRef<str>>(notes: &[(String, S)]) -> Value {
    let note = |(name, reason): &(String, S)| json!({"name": name, "reason": reason.as_ref()});
    notes.iter().map(note).collect()
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
