//! `mlxq convert`: one folder, or the models of configuration files.

use std::path::Path;

use mlxq_pipeline::{
    Choice, ConvertSettings, ExitClass, FolderSettings, Places, config, convert_folder,
    convert_models, find_source,
};

use crate::args::ConvertArguments;
use crate::command::{hub_cache, limit_threads, pipeline_failure, temp_dir};
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &ConvertArguments, printer: &Printer) -> Done {
    limit_threads(arguments.threads).map_err(Failure::usage)?;
    match (&arguments.hf_path, &arguments.mlx_path) {
        (Some(source), Some(target)) => one_folder(arguments, source, target, printer),
        (None, None) => from_config(arguments, printer),
        _ => Err(Failure::usage(anyhow::anyhow!("--hf-path and --mlx-path go together"))),
    }
}

fn one_folder(
    arguments: &ConvertArguments,
    source: &Path,
    target: &Path,
    printer: &Printer,
) -> Done {
    let quantization = &arguments.quantization;
    let choice = Choice {
        mode: quantization.q_mode.clone(),
        bits: quantization.q_bits,
        group_size: quantization.q_group_size,
        dtype: quantization.dtype.clone(),
        quant_predicate: quantization.quant_predicate.clone(),
        overrides: quantization.q_override.clone(),
        dequantize: arguments.dequantize,
        allow_non_finite: arguments.allow_non_finite,
        max_shard_bytes: arguments.max_shard_size,
    };
    let revision = arguments.revision.as_deref();
    let found = find_source(source, revision, hub_cache().as_deref()).map_err(pipeline_failure)?;
    let settings = FolderSettings {
        target,
        hf_name: found.hf_name.as_deref(),
        dry_run: arguments.dry_run,
        skip_existing: !arguments.no_skip,
    };
    convert_folder(&found.folder, &choice, &settings, printer).map_err(pipeline_failure)?;
    Ok(ExitClass::Done)
}

fn from_config(arguments: &ConvertArguments, printer: &Printer) -> Done {
    let config = config::load(&arguments.config).map_err(pipeline_failure)?;
    for warning in &config.warnings {
        mlxq_pipeline::Reporter::warning(printer, warning);
    }
    let settings = ConvertSettings {
        output_dir: arguments.output_dir.clone(),
        model: arguments.model.clone(),
        dry_run: arguments.dry_run,
        skip_existing: !arguments.no_skip,
        jobs: arguments.jobs,
        places: Places::new(temp_dir()),
        hub_cache: hub_cache(),
    };
    convert_models(&config, &settings, printer).map_err(pipeline_failure)
}
