//! Section 2: the index of shards.

use super::{Case, check_all, config, refused};
use crate::forge::safetensors;
use crate::{Work, text};

const INDEX: &str = "model.safetensors.index.json";

/// An index that says that `x.safetensors` has the tensor `a`, or what replaces it.
fn index(item: &'static str, json: &str, words: &[&'static str]) -> Case {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    Case::new(item, INDEX, json, words).with("x.safetensors", safetensors(header, 8))
}

/// An index that names the file `name`, given as JSON.
fn naming(item: &'static str, name: &str) -> Case {
    index(item, &format!(r#"{{"weight_map":{{"a":{name}}}}}"#), &["no plain"])
}

#[test]
fn what_an_index_says() {
    let map = |map: &str| format!(r#"{{"weight_map":{{{map}}}}}"#);
    check_all(vec![
        index(
            "2a shards missing",
            &map(r#""a":"x.safetensors","b":"y.safetensors","c":"z.safetensors""#),
            &["missing: `y.safetensors`, `z.safetensors`"],
        ),
        naming("2b parent folder", r#""../x.safetensors""#),
        naming("2b absolute path", r#""/x.safetensors""#),
        naming("2b backslash", r#""..\\x.safetensors""#),
        naming("2b drive letter", r#""C:x.safetensors""#),
        naming("2b NUL", r#""x\u0000.safetensors""#),
        naming("2b ESC", r#""\u001b.safetensors""#),
        naming("2b hidden file", r#"".x.safetensors""#),
        naming("2b another ending", r#""x.pkl""#),
        naming("2b number", "1"),
        index(
            "2d tensor that is not in its shard",
            &map(r#""a":"x.safetensors","b":"x.safetensors""#),
            &["`b` is not in"],
        ),
        index("2d tensor that is not in the index", &map(r#""b":"x.safetensors""#), &["is not in"]),
        index(
            "2e total size ten times too large",
            r#"{"metadata":{"total_size":800},"weight_map":{"a":"x.safetensors"}}"#,
            &["800", "8 bytes"],
        ),
        index(
            "2f duplicate tensor",
            &map(r#""a":"x.safetensors","a":"y.safetensors""#),
            &["`a` stands twice"],
        ),
        index("2g no tensors", &map(""), &["names no tensors"]),
        index("2 no weight map", "{}", &["weight_map"]),
        index("2 a list", "[]", &["a list"]),
        index("2 no JSON", "{", &["line 1"]),
    ]);
}

#[test]
fn a_tensor_in_two_shards() {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}"#;
    let case = index(
        "2d tensor in two shards",
        r#"{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#,
        &[],
    );
    let mut case = case.with("y.safetensors", safetensors(header, 8));
    case.words = vec!["y.safetensors", "`a`", "two shards"];
    check_all(vec![case]);
}

#[test]
fn folders_without_one_model() {
    let weights = || safetensors("{}", 0);
    let config = || config(|_| {});
    let none = Case {
        item: "no weight file",
        files: vec![("config.json", config())],
        words: vec!["model", "no weight file"],
    };
    let stray = Case {
        item: "only files of training",
        files: vec![
            ("optimizer.pt", weights()),
            ("training_args.bin", weights()),
            ("rng_state.pth", weights()),
        ],
        words: vec!["model", "no weight file"],
    };
    let two = Case {
        item: "two models without an index",
        files: vec![("consolidated.safetensors", weights()), ("other.safetensors", weights())],
        words: vec!["model", "several weight files", "other.safetensors"],
    };
    check_all(vec![none, stray, two]);
}

#[cfg(unix)]
#[test]
fn a_shard_outside_the_folder() {
    let work = Work::new();
    let outside = work.write("secret/x.safetensors", safetensors("{}", 0));
    work.write("model/config.json", config(|_| {}));
    work.write(&format!("model/{INDEX}"), r#"{"weight_map":{"a":"x.safetensors"}}"#);
    std::os::unix::fs::symlink(outside, work.path("model/x.safetensors")).expect("a link");
    refused(&work, "2c link out of the folder", &[INDEX, "x.safetensors", "link out of"]);
    std::fs::remove_file(work.path("model/x.safetensors")).expect("a link");
    let itself = work.path("model/x.safetensors");
    std::os::unix::fs::symlink(text(&itself), &itself).expect("a link");
    refused(&work, "14e link to itself", &[INDEX, "missing: `x.safetensors`"]);
}

#[cfg(unix)]
#[test]
fn a_folder_or_a_pipe_instead_of_a_file() {
    let work = Work::new();
    work.write("model/config.json", config(|_| {}));
    std::fs::create_dir(work.path("model/model.safetensors")).expect("a folder");
    refused(&work, "8p folder as weights", &["no weight file"]);
    std::fs::remove_file(work.path("model/config.json")).expect("a file");
    let pipe = std::process::Command::new("mkfifo").arg(work.path("model/config.json")).status();
    assert!(pipe.expect("mkfifo").success());
    refused(&work, "8p pipe as configuration", &["config.json", "no regular file"]);
}
