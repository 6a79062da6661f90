//! The tensors of a converted folder in float again, as `mx.dequantize` gives them.

use std::collections::HashMap;
use std::ops::Range;

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Format;

use crate::layout::Part;
use crate::tensor::{Dtype, TensorInfo, TensorSource};
use crate::{Checkpoint, CheckpointError, Quantization};

/// A converted folder whose packed modules are seen as float tensors: affine ones in the format of
/// their scales, the others in bfloat16.
pub struct Dequantized<'a> {
    source: &'a Checkpoint,
    tensors: Vec<TensorInfo>,
    packed: HashMap<String, Format>,
}

impl<'a> Dequantized<'a> {
    /// Looks at the packed modules of `source`.
    ///
    /// # Errors
    /// When it is no converted folder, or its tensors do not fit together.
    pub fn new(source: &'a Checkpoint) -> Result<Self, CheckpointError> {
        let quantization = source.quantization().ok_or_else(|| {
            let reason = "has no `quantization`: only an MLX folder can be dequantized";
            CheckpointError::file(&source.dir().join("config.json"), reason)
        })?;
        let mut all = Self { source, tensors: Vec::new(), packed: HashMap::new() };
        for info in source.tensors() {
            match Part::split(&info.name) {
                Some((module, Part::Weight)) => all.add(quantization, module, info)?,
                Some((module, Part::Scales | Part::Biases))
                    if source.find(&format!("{module}.weight")).is_some() => {}
                _ => all.tensors.push(info.clone()),
            }
        }
        Ok(all)
    }

    fn add(
        &mut self,
        quantization: &Quantization,
        module: &str,
        info: &TensorInfo,
    ) -> Result<(), CheckpointError> {
        let Some(scales) = self.source.find(&format!("{module}.scales")) else {
            self.tensors.push(info.clone());
            return Ok(());
        };
        let format = quantization
            .module(module)
            .ok_or_else(|| CheckpointError::unexplained_scales(&scales.name))?;
        let groups = scales.columns();
        let columns = groups * format.group_size();
        let fits = info.dtype == Dtype::U32
            && info.columns() == format.words(columns)
            && info.rows() == scales.rows();
        if !fits {
            let reason = format!(
                "has {} of shape {:?}, which are no {} bits for scales of shape {:?}",
                info.dtype.name(),
                info.shape,
                format.bits(),
                scales.shape
            );
            return Err(CheckpointError::tensor(&info.name, reason));
        }
        let dtype = match format {
            Format::Affine(_) => scales.dtype,
            Format::Floating(_) => Dtype::BF16,
        };
        let outer = &info.shape[..info.shape.len() - 1];
        let shape = [outer, &[columns]].concat();
        self.packed.insert(info.name.clone(), format);
        self.tensors.push(TensorInfo { name: info.name.clone(), dtype, shape });
        Ok(())
    }

    /// The packed numbers `range`, whole groups, of the module at `path`.
    fn unpack(
        &self,
        (path, format, float): (&str, Format, Float),
        range: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let read = |part: &str, bytes: Range<usize>| {
            let mut own = Vec::new();
            self.source.read_part(&format!("{path}.{part}"), bytes, &mut own)?;
            Ok::<_, CheckpointError>(own)
        };
        let words = read("weight", format.words(range.start) * 4..format.words(range.end) * 4)?;
        let size = format.group_size();
        let groups = |bytes: usize| range.start / size * bytes..range.end / size * bytes;
        let (scales, biases) = match format {
            Format::Affine(_) => {
                let groups = groups(float.size());
                (read("scales", groups.clone())?, read("biases", groups)?)
            }
            Format::Floating(_) => (read("scales", groups(1))?, Vec::new()),
        };
        format.decode(float, &words, &scales, &biases, buffer);
        Ok(())
    }
}

impl TensorSource for Dequantized<'_> {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let Some(format) = self.packed.get(name) else {
            return self.source.read_part(name, part, buffer);
        };
        let info = self.find(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let float = info.dtype.float().unwrap_or(Float::BF16);
        let (path, size) = (name.strip_suffix(".weight").unwrap_or(name), format.group_size());
        let first = part.start / float.size() / size * size;
        let last = part.end.div_ceil(float.size()).next_multiple_of(size).min(info.elements());
        self.unpack((path, *format, float), first..last, buffer)?;
        let skipped = part.start - first * float.size();
        buffer.drain(..skipped);
        buffer.truncate(part.len());
        Ok(())
    }
}
