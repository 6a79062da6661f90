//! The tensors of a converted folder in float again, as `mx.dequantize` gives them.

use std::collections::HashMap;
use std::ops::Range;

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Format;

use crate::layout::Part;
use crate::tensor::{Dtype, TensorInfo, TensorSource};
use crate::{Checkpoint, CheckpointError};

/// A folder whose packed modules are seen as float tensors: affine ones in the format of their scales,
/// the others in bfloat16.
pub struct Dequantized<'a> {
    source: &'a Checkpoint,
    tensors: Vec<TensorInfo>,
    /// Name → place in `tensors`, and the format of a packed one.
    places: HashMap<String, (usize, Option<Format>)>,
}

impl<'a> Dequantized<'a> {
    /// Looks at the packed modules of `source`.
    ///
    /// # Errors
    /// When it is no converted folder, or its tensors do not fit together.
    pub fn new(source: &'a Checkpoint) -> Result<Self, CheckpointError> {
        if source.quantization().is_none() {
            let reason = "has no `quantization`: only an MLX folder can be dequantized";
            return Err(CheckpointError::file(&source.dir().join("config.json"), reason));
        }
        Self::of(source)
    }

    /// Looks at any folder; what is not packed is as it is.
    ///
    /// # Errors
    /// When its tensors do not fit together.
    pub(crate) fn of(source: &'a Checkpoint) -> Result<Self, CheckpointError> {
        let mut all = Self { source, tensors: Vec::new(), places: HashMap::new() };
        for info in source.tensors() {
            match Part::split(&info.name) {
                Some((module, Part::Weight)) => all.add_weight(module, info)?,
                Some((module, Part::Scales | Part::Biases))
                    if source.find(&format!("{module}.weight")).is_some() => {}
                _ => all.add(info.clone(), None),
            }
        }
        Ok(all)
    }

    /// The format of the packed tensor `name`.
    pub(crate) fn format(&self, name: &str) -> Option<Format> {
        self.places.get(name)?.1
    }

    fn add(&mut self, info: TensorInfo, format: Option<Format>) {
        self.places.insert(info.name.clone(), (self.tensors.len(), format));
        self.tensors.push(info);
    }

    fn add_weight(&mut self, module: &str, info: &TensorInfo) -> Result<(), CheckpointError> {
        let Some(scales) = self.source.find(&format!("{module}.scales")) else {
            self.add(info.clone(), None);
            return Ok(());
        };
        let format = self
            .source
            .quantization()
            .and_then(|quantization| quantization.module(module))
            .ok_or_else(|| CheckpointError::unexplained_scales(&scales.name))?;
        let dtype = self.check_scales(module, scales, format)?;
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
        let outer = &info.shape[..info.shape.len() - 1];
        let shape = [outer, &[columns]].concat();
        self.add(TensorInfo { name: info.name.clone(), dtype, shape }, Some(format));
        Ok(())
    }

    /// The element type of the restored numbers, by scales and biases that fit the format.
    fn check_scales(
        &self,
        module: &str,
        scales: &TensorInfo,
        format: Format,
    ) -> Result<Dtype, CheckpointError> {
        let biases = self.source.find(&format!("{module}.biases"));
        let like_scales =
            |biases: &TensorInfo| biases.dtype == scales.dtype && biases.shape == scales.shape;
        match format {
            Format::Affine(_) if scales.dtype.float().is_none() => {}
            Format::Affine(_) if biases.is_some_and(like_scales) => return Ok(scales.dtype),
            Format::Affine(_) => {
                let reason = "has no `biases` beside it of its shape and element type";
                return Err(CheckpointError::tensor(&scales.name, reason));
            }
            Format::Floating(_) if scales.dtype == Dtype::U8 => return Ok(Dtype::BF16),
            Format::Floating(_) => {}
        }
        let reason = format!("has {}, no scales of {}", scales.dtype.name(), format.mode());
        Err(CheckpointError::tensor(&scales.name, reason))
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

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.places.get(name).map(|(place, _)| &self.tensors[*place])
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let (place, format) =
            self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let Some(format) = format else {
            return self.source.read_part(name, part, buffer);
        };
        let info = &self.tensors[*place];
        info.check_part(&part)?;
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
