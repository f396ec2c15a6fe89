//! gwinstall as a library: `run` is the program, and everything else is for the project's own tests, its release builder
//! and its fuzz targets, which reach the modules through the feature `internals`. Nothing here is a stable API.
//!
//! Layers, lowest first; a module imports only from those before it (`tests/layers.rs` holds the list):
//! `domain` → `format` → `doors` → `bundle` → `runtime` → `render` → `targets` → `deploy` → `gateway` → `release` → `inspect` → `cli` → `ui` →
//! `commands`.

// A failing test shows values as they are.
#![cfg_attr(test, allow(clippy::use_debug, clippy::map_err_ignore))]
// Without `internals` the compiler sees what the program itself never uses.
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub))]

macro_rules! modules {
    ($($name:ident),+) => {
        $(
            #[cfg(feature = "internals")]
            pub mod $name;
            #[cfg(not(feature = "internals"))]
            mod $name;
        )+
    };
}

modules!(
    bundle, cli, commands, deploy, domain, doors, format, gateway, inspect, release, render, runtime,
    targets, ui
);

/// Parses the command line, runs the command and prints its answer; a shell that asks for completions gets them instead.
/// Returns the exit code.
pub fn run() -> u8 {
    doors::system::harden();
    doors::signals::listen();
    let arguments = doors::system::arguments();
    if let Some(code) = commands::completions::asked(&arguments) {
        return code;
    }
    let cli = match commands::usage::parse(arguments) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    ui::manner::set(&cli.common);
    let verb = ui::verb::name(&cli);
    let result = commands::run(&cli);
    ui::answer::print(verb, cli.common.json, result)
}
