//! What the shells offer, asked through the shells themselves: the names of this deployment where a command wants one.

use std::fs;
use std::path::Path;

use crate::home::{Run, TestHome, binary};

/// A home with two models, two backups and `gwinstall` on the PATH.
fn world() -> TestHome {
    let home = TestHome::new();
    let path = format!("{}:/usr/bin:/bin", home.path("bin").display());
    fs::create_dir(home.path("bin")).unwrap();
    std::os::unix::fs::symlink(binary(), home.path("bin/gwinstall")).unwrap();
    let home = home.with("PATH", path);
    home.run("install --yes --models glm-5.2").exits(0);
    home.run("install --yes --models glm-5.2,gpt-oss-120b").exits(0);
    home.run("backup create").exits(0);
    home
}

/// How a shell is asked what may stand for the last word of a line.
struct Shell {
    name: &'static str,
    /// Reads the words of the line as its arguments and prints what is offered, one in a line.
    script: &'static str,
}

const BASH: Shell = Shell {
    name: "bash",
    script: r#"
        complete -p gwinstall >/dev/null || exit 9
        COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_TYPE=9
        _clap_complete_gwinstall gwinstall "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#,
};

const ZSH: Shell = Shell {
    name: "zsh",
    script: r#"
        _describe() { print -rl -- ${(P)3%%:*} }
        words=("$@"); CURRENT=$#
        _clap_dynamic_completer_gwinstall"#,
};

const FISH: Shell = Shell {
    name: "fish",
    script: r#"complete -C (string join ' ' -- $argv) | string replace -r '\t.*' ''; true"#,
};

impl Shell {
    fn is_here(&self) -> bool {
        let found =
            Path::new("/usr/bin").join(self.name).exists() || Path::new("/bin").join(self.name).exists();
        if !found {
            eprintln!("not checked: this machine has no {}", self.name);
        }
        found
    }

    /// What is offered after `before`, which makes the shell know gwinstall.
    fn offers(&self, home: &TestHome, before: &str, words: &[&str]) -> Vec<String> {
        let mut command = home.shell(&format!("exec {} -c \"$SCRIPT\" \"$@\"", self.name));
        command.env("SCRIPT", format!("{before}\n{}", self.script)).arg("sh");
        if self.name != "fish" {
            // What stands behind the script is the name of the script to them.
            command.arg("shell");
        }
        command.arg("gwinstall").args(words);
        let run = Run::of(&mut command).exits(0);
        run.stdout.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    fn evaluated(&self) -> &'static str {
        match self.name {
            "bash" => "eval \"$(gwinstall completions bash)\"",
            "zsh" => "compdef() {}; eval \"$(gwinstall completions zsh)\"",
            _ => "gwinstall completions fish | source",
        }
    }
}

fn check(shell: &Shell) {
    if !shell.is_here() {
        return;
    }
    let home = world();
    let backups = home.backups();
    assert_eq!(backups.len(), 2);
    let newest: Vec<&str> = backups.iter().rev().map(String::as_str).collect();
    let presets = ["basic", "enterprise", "multi-provider", "proxy", "direct"];
    let offers = |words: &[&str]| shell.offers(&home, shell.evaluated(), words);
    assert_eq!(offers(&["models", "rm", ""]), ["glm-5.2", "gpt-oss-120b"], "{}", shell.name);
    assert_eq!(offers(&["models", "add", "gpt"]), ["gpt-oss-20b"], "{}", shell.name);
    assert_eq!(offers(&["install", ""]), presets, "{}", shell.name);
    assert_eq!(offers(&["install", "--preset", "e"]), ["enterprise"], "{}", shell.name);
    assert_eq!(
        offers(&["install", "--models", "glm-5.2,gpt-oss-1"]),
        ["glm-5.2,gpt-oss-120b"],
        "{}",
        shell.name
    );
    assert_eq!(offers(&["install", "--gateway-type", "z"]), ["zuplo"], "{}", shell.name);
    assert_eq!(offers(&["install", "--provider", "open"]), ["openrouter", "openai"], "{}", shell.name);
    assert_eq!(offers(&["use", "o"]), ["openrouter", "ollama"], "{}", shell.name);
    assert_eq!(offers(&["use", "b"]), ["basic"], "{}", shell.name);
    assert_eq!(offers(&["presets", "show", "b"]), ["basic"], "{}", shell.name);
    assert_eq!(offers(&["rollback", ""]), newest, "{}", shell.name);
    assert_eq!(offers(&["backup", "pin", "gateway"]), newest, "{}", shell.name);
    assert_eq!(offers(&["env", "set", "VERTEXAI_P"]), ["VERTEXAI_PROJECT"], "{}", shell.name);
    assert_eq!(offers(&["help", "backup", "ex"]), ["export"], "{}", shell.name);
    assert_eq!(offers(&["backup", "ex"]), ["export"], "{}", shell.name);
    assert!(offers(&["resolve", "--k"]).contains(&"--keep-mine".to_owned()), "{}", shell.name);
    // Hidden commands and flags are not offered beside others.
    assert!(!offers(&[""]).contains(&"self-check".to_owned()));
    assert!(!offers(&["install", "--"]).contains(&"--backup".to_owned()));
}

#[test]
fn bash_offers_the_names_of_this_deployment() {
    check(&BASH);
}

#[test]
fn zsh_offers_the_names_of_this_deployment() {
    check(&ZSH);
}

#[test]
fn fish_offers_the_names_of_this_deployment() {
    check(&FISH);
}

/// Files that wait for a decision are offered by name.
#[test]
fn open_conflicts_are_offered() {
    let home = world();
    let mine = crate::bundle::SourceDir::new(&home);
    home.run(&mine.install()).exits(0);
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    let newer = mine.replaces("docs/faq.md", "newer\n");
    home.run(&newer.install()).exits(4);
    assert_eq!(BASH.offers(&home, BASH.evaluated(), &["resolve", ""]), ["docs/faq.md"]);
}

/// Another home has other names.
#[test]
fn the_home_on_the_line_is_asked() {
    let home = world();
    let other = home.root().join("other");
    fs::create_dir(&other).unwrap();
    Run::of(home.command("install --yes --models llama3-405b --home").arg(&other)).exits(0);
    let offered =
        BASH.offers(&home, BASH.evaluated(), &["--home", other.to_str().unwrap(), "models", "rm", ""]);
    assert_eq!(offered, ["llama3-405b"]);
}

/// The file lies where the shell looks, works by itself, is replaced, and goes with --purge. A file of the user stays.
#[test]
fn an_installed_script_is_read_and_removed() {
    let home = world();
    for (shell, path, before) in [
        (
            &BASH,
            ".local/share/bash-completion/completions/gwinstall",
            "source ~/.local/share/bash-completion/completions/gwinstall",
        ),
        (
            &ZSH,
            ".local/share/zsh/site-functions/_gwinstall",
            "compdef() {}; _clap() { }; fpath=(~/.local/share/zsh/site-functions); autoload -Uz _gwinstall; words=(gwinstall); CURRENT=1; _describe() { }; _gwinstall",
        ),
        // fish finds the file without help.
        (&FISH, ".config/fish/completions/gwinstall.fish", ""),
    ] {
        let install = format!("completions {} --install", shell.name);
        home.run(&install).exits(0).says(&[&format!("Wrote ~/{path}")]);
        home.run(&install).exits(0);
        if shell.is_here() {
            assert_eq!(shell.offers(&home, before, &["models", "rm", "glm"]), ["glm-5.2"], "{}", shell.name);
        }
        let text = home.read(path);
        home.write(path, "# mine\n");
        home.refused(&mut home.command(&install), 2).says(&["gwinstall did not write it", "rm "]);
        home.write(path, text);
    }
    home.run("uninstall --yes").exits(0);
    assert!(home.path(".config/fish/completions/gwinstall.fish").exists());
    home.run("uninstall --yes --purge").exits(0).says(&["bash-completion/completions/gwinstall"]);
    for path in [
        ".local/share/bash-completion/completions/gwinstall",
        ".local/share/zsh/site-functions/_gwinstall",
        ".config/fish/completions/gwinstall.fish",
    ] {
        assert!(!home.path(path).exists(), "{path}");
    }
}

/// The shell is the one that the user logs in with.
#[test]
fn the_shell_need_not_be_named() {
    let home = TestHome::new();
    home.run("completions").exits(2).says(&["gwinstall completions bash"]);
    home.run("completions elvish --install").exits(2).says(&["gwinstall completions elvish"]);
    let home = home.with("SHELL", "/usr/bin/zsh");
    home.run("completions").exits(0).says(&["#compdef gwinstall"]);
    let home = home.with("XDG_DATA_HOME", "/nonexistent/data").with("SHELL", "/bin/unknown");
    home.run("completions").exits(2);
    let data = home.path("data");
    let home = home.with("XDG_DATA_HOME", &data);
    home.run("completions bash --install").exits(0);
    assert!(data.join("bash-completion/completions/gwinstall").exists());
}
