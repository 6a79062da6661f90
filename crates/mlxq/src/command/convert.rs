//! `mlxq convert`: one folder, or the models of configuration files.

use mlxq_pipeline::{
    ConvertSettings, ExitClass, FormatChoice, Places, config, convert_folder, convert_models,
};

use crate::args::ConvertArguments;
use crate::command::{hub_cache, pipeline_failure, temp_dir};
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &ConvertArguments, printer: &Printer) -> Done {
    match (&arguments.hf_path, &arguments.mlx_path) {
        (Some(source), Some(target)) => {
            let choice = FormatChoice {
                mode: &arguments.q_mode,
                bits: arguments.q_bits,
                group_size: arguments.q_group_size,
                dtype: arguments.dtype.as_deref(),
            };
            convert_folder(source, target, choice, arguments.dry_run, printer)
                .map_err(pipeline_failure)?;
            Ok(ExitClass::Done)
        }
        (None, None) => from_config(arguments, printer),
        _ => Err(Failure::usage(anyhow::anyhow!("--hf-path and --mlx-path go together"))),
    }
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
        places: Places::new(temp_dir()),
        hub_cache: hub_cache(),
    };
    convert_models(&config, &settings, printer).map_err(pipeline_failure)
}
