//! The JSON Schemas in the repository are those of the types. `cargo xtask schemas` writes them.

use std::path::Path;

use mlxq_pipeline::schemas;

/// Set by `cargo xtask schemas`.
const UPDATE: &str = "MLXQ_UPDATE_SCHEMAS";

#[test]
fn the_schemas_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (name, schema) in schemas() {
        let path = folder.join(name);
        let made = format!("{schema:#}\n");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, &made).expect("written");
        }
        let kept = std::fs::read_to_string(&path).expect("a schema");
        assert!(kept == made, "{name} differs from the types: run `cargo xtask schemas`");
    }
}
