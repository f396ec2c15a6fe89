//! `uninstall --purge` takes out what install.sh put into shell files with `--modify-path`, and nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::home::TestHome;

const MARKED: &str = "export PATH=\"/home/me/.local/bin:$PATH\" # added by gwinstall install.sh\n";

#[test]
fn marked_lines_go_with_a_purge_and_only_then() {
    let home = TestHome::deployed();
    home.write(
        ".bashrc",
        format!("alias a=b\n{MARKED}# added by gwinstall install.sh: not at the end of the line? yes\n"),
    );
    home.chmod(".bashrc", 0o640);
    home.write("dotfiles/profile", format!("umask 022\n\n{MARKED}"));
    symlink("dotfiles/profile", home.path(".profile")).unwrap();
    home.write("zsh/.zshrc", format!("{MARKED}last line without an end"));
    home.write(".zshrc", MARKED);
    home.write(
        ".config/fish/conf.d/gwinstall.fish",
        "fish_add_path --path \"/x\" # added by gwinstall install.sh\n",
    );
    home.write(".config/fish/conf.d/mine.fish", MARKED);
    let zsh = home.path("zsh").to_string_lossy().into_owned();
    let home = home.with("ZDOTDIR", zsh);
    home.run("uninstall --yes").exits(0);
    assert!(home.read(".bashrc").contains(MARKED), "without --purge all stays");
    home.run("uninstall --purge --dry-run").exits(0).says(&["the line of gwinstall in ~/.bashrc"]);
    assert!(home.read(".bashrc").contains(MARKED), "a dry run changes nothing");
    home.run("uninstall --purge --yes").exits(0).says(&["To remove it: rm "]);
    let left = "alias a=b\n# added by gwinstall install.sh: not at the end of the line? yes\n";
    assert_eq!((home.read(".bashrc").as_str(), home.mode(".bashrc")), (left, 0o640));
    assert_eq!(home.read("dotfiles/profile"), "umask 022\n\n");
    assert!(fs::symlink_metadata(home.path(".profile")).unwrap().is_symlink(), "a link stays a link");
    assert_eq!(home.read("zsh/.zshrc"), "last line without an end");
    assert_eq!(home.read(".zshrc"), MARKED, "not the one that this user's zsh reads");
    assert!(!home.path(".config/fish/conf.d/gwinstall.fish").exists());
    assert_eq!(home.read(".config/fish/conf.d/mine.fish"), MARKED);
    assert!(!home.path(".local/state/gwinstall").exists());
    let modes = fs::metadata(home.path("dotfiles/profile")).unwrap().permissions().mode();
    assert_eq!(modes & 0o777, 0o644);
    home.run("uninstall --purge --yes").exits(0).says(&["Nothing is deployed"]);
}
