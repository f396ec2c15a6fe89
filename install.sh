#!/bin/sh
{
# Installs gwinstall: fetches the one executable of a release, proves it, puts it in place and hands over to it.
#
#   curl -fsSL BASE/install.sh | sh                                asks its questions on the terminal
#   curl -fsSL BASE/install.sh | sh -s -- --preset basic --yes     asks nothing
#   sh /media/usb/install.sh --preset basic --yes                  from a copied release directory, no network
#   ./install.sh --preset basic --yes                              from a source checkout: builds it with cargo
#
# Promises: the executable is run or named `gwinstall` only after its sha256 equals the one in this script (or in a
# manifest whose signature was checked); whatever fails leaves the machine as it was; a second run changes nothing.
# It never asks for root, never edits a shell file without --modify-path, and stages nothing in TMPDIR, which may be
# mounted noexec. The whole script is one group of commands, which a shell runs only once it has read the last byte:
# a download that breaks off does nothing at all.

set -u

# >>> release facts: filled in when a release is made; empty in a source checkout
release_facts() {
    release_version=''
    release_base_url=''
    # TARGET SHA256 LENGTH, one target a line.
    release_files=''
    # MINISIGN-PUBLIC-KEY FIRST-SEQ LAST-SEQ, one key a line.
    release_keys=''
}
# <<< release facts

usage() {
    cat <<'END'
Installs gwinstall, then runs `gwinstall install` with the arguments given here.

usage: install.sh [--modify-path] [arguments of `gwinstall install`]

  --modify-path           add the directory of gwinstall to PATH in your shell's start-up file

GWINSTALL_VERSION         this version instead of the one this script was made for
GWINSTALL_BASE_URL        where to fetch: an https or file URL, or a directory
GWINSTALL_INSTALL_DIR     where to put it (default ~/.local/bin)
GWINSTALL_NO_MODIFY_PATH  when set, wins over --modify-path
GWINSTALL_PIN             the only version (or sha256:MANIFEST) allowed on this machine
GWINSTALL_CA_BUNDLE       a PEM file with the certificate authorities of your proxy
GWINSTALL_PRINT=target    print the detected target and stop
END
}

main() {
    # zsh run under its own name neither splits words nor reports $0 as sh does.
    if [ -n "${ZSH_VERSION:-}" ]; then emulate sh; fi
    : "${PATH:=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
    export PATH
    release_facts

    modify_path=no
    remaining=$#
    while [ "$remaining" -gt 0 ]; do
        argument=$1
        shift
        remaining=$((remaining - 1))
        if [ "$argument" = --modify-path ]; then modify_path=yes; else set -- "$@" "$argument"; fi
    done
    if [ "$*" = --help ] || [ "$*" = -h ]; then
        usage
        return 0
    fi

    target=$(detect_target) || exit
    if [ "${GWINSTALL_PRINT:-}" = target ]; then
        printf '%s\n' "$target"
        return 0
    fi

    find_home
    refuse_foreign_home
    staging='' made_directory=''
    trap 'clean_up' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    prepare_directory
    if [ -n "$release_version" ]; then install_release; else install_from_source; fi
    made_directory=''
    clean_up
    trap - EXIT HUP INT TERM

    tell_about_path
    hand_over "$@"
}

# --- words -----------------------------------------------------------------------------------------------------

say() {
    printf 'gwinstall: %s\n' "$*" >&2
}

# die CODE MESSAGE [HINT]. Codes are those of gwinstall: 1 failed, 2 usage, 8 not verified, 9 policy, 10 network.
die() {
    printf 'error: %s\n' "$2" >&2
    if [ -n "${3:-}" ]; then printf 'hint: %s\n' "$3" >&2; fi
    exit "$1"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Where this script lies, empty when it came through a pipe. zsh keeps the script's own name apart.
script_directory() {
    script=${ZSH_ARGZERO:-$0}
    case $script in
        */install.sh) (cd "${script%/*}/" && pwd -P) ;;
        install.sh) if [ -f install.sh ]; then pwd -P; fi ;;
    esac
}

# --- the machine -----------------------------------------------------------------------------------------------

detect_target() {
    system=$(uname -s) || die 1 "cannot tell the system: uname failed"
    machine=$(uname -m) || die 1 "cannot tell the processor: uname failed"
    # A shell translated by Rosetta calls an Apple processor x86_64; the kernel knows better.
    if [ "$system" = Darwin ] && [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ]; then machine=arm64; fi
    case $machine in
        x86_64 | amd64) machine=x86_64 ;;
        aarch64 | arm64) machine=aarch64 ;;
        *) die 1 "no gwinstall is built for the processor '$machine'" "64-bit x86 and 64-bit ARM are supported" ;;
    esac
    # Statically linked: every libc of Linux will do.
    case $system in
        Linux) printf '%s-unknown-linux-musl\n' "$machine" ;;
        Darwin) printf '%s-apple-darwin\n' "$machine" ;;
        *) die 1 "no gwinstall is built for the system '$system'" "Linux and macOS are supported" ;;
    esac
}

# cloud-init, systemd and `env -i` start programs without HOME; the password database has it.
find_home() {
    if [ -z "${HOME:-}" ]; then
        number=$(id -u)
        if have getent; then
            HOME=$(getent passwd "$number" | cut -d : -f 6)
        elif [ -r /etc/passwd ]; then
            HOME=$(awk -F : -v number="$number" '$3 == number { print $6; exit }' /etc/passwd)
        fi
    fi
    case ${HOME:-} in
        /*) export HOME ;;
        *) die 2 "no home directory: HOME is '${HOME:-}', user $(id -u) has none" "HOME=/path/to/home sh install.sh" ;;
    esac
}

# sudo that keeps HOME would leave root's files in a user's home, where the user can no longer change them.
refuse_foreign_home() {
    if [ "$(id -u)" != 0 ] || [ ! -d "$HOME" ]; then return 0; fi
    # shellcheck disable=SC2012 # a number is read from one known line; stat differs from system to system
    owner=$(LC_ALL=C ls -ldn "$HOME/." | awk '{ print $3; exit }')
    if [ "$owner" != 0 ]; then
        die 2 "this runs as root, but HOME=$HOME belongs to user $owner" \
            "run it as that user without sudo; to install for root: sudo -H sh install.sh"
    fi
}

# Makes the directory of the executable, and remembers what was made so that a failure can unmake it.
prepare_directory() {
    directory=${GWINSTALL_INSTALL_DIR:-$HOME/.local/bin}
    case $directory in
        /*) ;;
        *) directory=$(pwd -P)/$directory ;;
    esac
    while [ "$directory" != / ] && [ "${directory%/}" != "$directory" ]; do directory=${directory%/}; done
    executable=$directory/gwinstall
    missing=$directory
    while [ -n "$missing" ] && [ ! -d "$missing" ]; do
        made_directory=$missing
        missing=${missing%/*}
    done
    if ! mkdir -p "$directory" 2>/dev/null || [ ! -w "$directory" ] || [ ! -x "$directory" ]; then
        die 1 "cannot write to $directory" \
            "choose a directory of yours: export GWINSTALL_INSTALL_DIR=/path/to/directory, then run this again"
    fi
    if [ -L "$executable" ]; then
        die 1 "$executable is a symbolic link to $(readlink "$executable")" \
            "rm '$executable', or choose another directory with GWINSTALL_INSTALL_DIR"
    fi
    if [ -e "$executable" ] && [ ! -f "$executable" ]; then die 1 "$executable is not a file"; fi
}

# A directory beside the final name: the same file system, so that putting in place is one rename, and never TMPDIR.
make_staging() {
    for stale in "$directory"/.gwinstall-staging.*; do
        if [ -d "$stale" ] && ! kill -0 "${stale##*.}" 2>/dev/null; then rm -rf "$stale"; fi
    done
    (umask 077 && mkdir "$directory/.gwinstall-staging.$$") || die 1 "cannot make a directory in $directory"
    staging=$directory/.gwinstall-staging.$$
}

clean_up() {
    if [ -n "$staging" ]; then rm -rf "$staging"; fi
    staging=''
    if [ -z "$made_directory" ]; then return 0; fi
    empty=$directory
    while [ ! -d "$empty" ] || rmdir "$empty" 2>/dev/null; do
        if [ "$empty" = "$made_directory" ]; then break; fi
        empty=${empty%/*}
    done
    made_directory=''
}

# --- a release -------------------------------------------------------------------------------------------------

# All downloads together may take this many seconds, however slowly bytes drip in.
total_seconds=900

install_release() {
    choose_version
    find_base
    deadline=$(($(date +%s) + total_seconds))
    expected=''
    if [ "$version" = "$release_version" ]; then
        expected=$(printf '%s\n' "$release_files" | awk -v target="$target" '$1 == target { print $2, $3 }')
        if [ -z "$expected" ]; then
            die 1 "release $version has no gwinstall for $target" "build it: clone the repository and run ./install.sh"
        fi
        if already_there "${expected% *}"; then return 0; fi
        if [ -z "$asked_version" ] && newer_is_there; then return 0; fi
    fi

    make_staging
    name=gwinstall-$version-$target
    check_manifest
    if already_there "${expected% *}"; then return 0; fi
    say "fetching $name from $place"
    fetch "$name" "$staging/gwinstall"
    check_executable
    put_in_place
}

# The version to install: a pin, then GWINSTALL_VERSION, then the one this script was rendered for.
choose_version() {
    asked_version=${GWINSTALL_VERSION:-}
    asked_version=${asked_version#v}
    pin=${GWINSTALL_PIN:-}
    pinned_by=GWINSTALL_PIN
    if [ -z "$pin" ] && [ -r /etc/gwinstall/policy.yaml ]; then
        pinned_by=/etc/gwinstall/policy.yaml
        pin=$(sed -n "s/^pin:[[:space:]]*[\"']\{0,1\}\([A-Za-z0-9.:+-]*\).*/\1/p" /etc/gwinstall/policy.yaml)
    fi
    case $pin in
        '' | sha256:*) ;;
        *)
            if [ -n "$asked_version" ] && [ "$asked_version" != "${pin#v}" ]; then
                die 9 "GWINSTALL_VERSION asks for $asked_version, but $pinned_by pins ${pin#v}"
            fi
            asked_version=${pin#v}
            ;;
    esac
    version=${asked_version:-$release_version}
    case $version in
        [0-9]*.[0-9]*.[0-9]*) ;;
        *) die 2 "'$version' is not a version" "GWINSTALL_VERSION=$release_version" ;;
    esac
    case $version in
        *[!A-Za-z0-9.+-]*) die 2 "'$version' is not a version" "GWINSTALL_VERSION=$release_version" ;;
    esac
}

# Sets place: a directory (begins with /) or a URL that holds the files of this version.
find_base() {
    base=${GWINSTALL_BASE_URL:-}
    if [ -z "$base" ]; then
        here=$(script_directory)
        if [ -n "$here" ] && [ -f "$here/manifest.json" ]; then base=$here; else base=$release_base_url; fi
    fi
    case $base in
        '') die 2 "this release names no place to fetch from" "GWINSTALL_BASE_URL=https://host/dir sh install.sh" ;;
        https://* | http://*) check_url "$base" ;;
        file:///*%*) die 2 "cannot read the escapes in $base" "give the directory itself, without file://" ;;
        file:///*) base=/${base#file:///} ;;
        *://*) die 2 "refusing $base: only https, file and a directory (plain http to this machine alone)" ;;
        /*) ;;
        *) base=$(cd "$base" 2>/dev/null && pwd -P) || die 2 "no directory $GWINSTALL_BASE_URL" ;;
    esac
    base=${base%/}
    place=$base/v$version
    # An unpacked offline tar holds one release, without a directory for each version.
    case $base in
        /*) if [ ! -d "$place" ]; then place=$base; fi ;;
    esac
}

# A URL with a plain host and nothing beside it, https unless the host is this machine; ends the script otherwise.
check_url() {
    host=${1#*://}
    host=${host%%[/?#]*}
    case $host in
        *@*)
            die 2 "refusing a base URL with a user name or password in it" \
                "GWINSTALL_BASE_URL=https://host/dir sh install.sh" ;;
        '' | *[!]A-Za-z0-9.:_[-]*) die 2 "refusing $1: '$host' is not a host" ;;
    esac
    port=''
    case $host in
        *]) ;;
        *:*) port=${host##*:} host=${host%:*} ;;
    esac
    case $port in
        *[!0-9]*) die 2 "refusing $1: '$port' is not a port" ;;
    esac
    if [ "$(printf %s "$1" | LC_ALL=C tr -d '!$-;=@-[]-~' | wc -c)" -ne 0 ]; then
        die 2 "refusing a base URL with a character that does not belong in a URL"
    fi
    case $1:$host in
        https://* | http://*:127.0.0.1 | http://*:localhost | 'http://'*':[::1]') ;;
        *) die 2 "refusing $1: only https, file and a directory (plain http to this machine alone)" ;;
    esac
}

already_there() {
    if [ ! -f "$executable" ] || [ "$(sha256_of "$executable")" != "$1" ]; then return 1; fi
    if [ ! -x "$executable" ]; then chmod 755 "$executable" || die 1 "cannot make $executable executable"; fi
    say "$executable is gwinstall $version already"
}

# An old copy of this script must not take back what self-update brought.
newer_is_there() {
    if [ ! -x "$executable" ]; then return 1; fi
    present=$("$executable" --version 2>/dev/null </dev/null | awk 'NR == 1 { print $2 }')
    if ! awk -v a="$present" -v b="$version" 'BEGIN {
        split(a, x, /[.+-]/); split(b, y, /[.+-]/)
        for (i = 1; i <= 3; i++) if (x[i] + 0 != y[i] + 0) exit !(x[i] + 0 > y[i] + 0)
        exit 1
    }'; then
        return 1
    fi
    say "keeping gwinstall $present, which is newer than $version (GWINSTALL_VERSION=$version would take the older one)"
}

# Proves manifest.json where this machine can, and sets or confirms expected ("SHA256 LENGTH" of the executable).
check_manifest() {
    find_verifier
    if [ -z "$verifier" ] && [ "$version" != "$release_version" ]; then
        die 8 "this script knows the checksum of $release_version only, and $version needs a signature check" \
            "install OpenSSL 3 or minisign, or take the install.sh of $version"
    fi
    case $verifier:$pin in
        :sha256:*) ;;
        :*)
            say "the signature is not checked: no OpenSSL 3 or minisign here (the sha256 is)"
            return 0
            ;;
    esac
    fetch manifest.json "$staging/manifest.json"
    digest=$(sha256_of "$staging/manifest.json")
    case $pin in
        sha256:*)
            if [ "${pin#sha256:}" != "$digest" ]; then die 9 "$pinned_by pins $pin, but $version is sha256:$digest"; fi
            ;;
    esac
    if [ -n "$verifier" ]; then
        fetch manifest.json.minisig "$staging/manifest.json.minisig"
        check_signature
    fi
    signed=$(manifest_entry "$name")
    case $signed in
        *' '*' '* | '' | *[!0-9a-f\ ]*) die 8 "the manifest of $version has no single entry for $name" ;;
    esac
    if [ -n "$expected" ] && [ "$expected" != "$signed" ]; then
        die 8 "the signed manifest and this script disagree about $name" "fetch install.sh again"
    fi
    expected=$signed
}

# "SHA256 LENGTH" of one artifact. The manifest is proved by now; splitting at braces is enough to read it.
manifest_entry() {
    tr -d ' \t\r\n' <"$staging/manifest.json" | tr '{' '\n' | awk -v name="\"name\":\"$1\"" '
        index($0, name) && match($0, /"sha256":"[0-9a-f]+"/) {
            sha256 = substr($0, RSTART + 10, RLENGTH - 11)
            if (length(sha256) == 64 && match($0, /"len":[0-9]+/)) print sha256, substr($0, RSTART + 6, RLENGTH - 6)
        }'
}

check_executable() {
    size=$(wc -c <"$staging/gwinstall" | tr -d ' ')
    digest=$(sha256_of "$staging/gwinstall")
    if [ "$digest $size" != "$expected" ]; then
        refuse_web_page "$staging/gwinstall" "$name"
        die 8 "$name is not the released file: sha256 $digest, $size bytes; expected $expected" \
            "try again; if it stays, the mirror $place is out of step or was changed"
    fi
}

# Tries the new file before it takes the name: what cannot run here must not replace what could.
put_in_place() {
    chmod 755 "$staging/gwinstall" || die 1 "cannot make the new gwinstall executable"
    answer=$("$staging/gwinstall" --version 2>&1 </dev/null)
    case $answer in
        "gwinstall $version" | "gwinstall $version"[!0-9A-Za-z.+-]*) ;;
        *)
            die 1 "the new gwinstall does not run in $directory: ${answer:-no answer to --version}" \
                "if $directory is mounted noexec, choose another with GWINSTALL_INSTALL_DIR"
            ;;
    esac
    # A power cut right after the rename must not leave an empty file; old sync takes no file name and does not matter.
    sync "$staging/gwinstall" 2>/dev/null
    mv -f "$staging/gwinstall" "$executable" || die 1 "cannot rename the new gwinstall to $executable"
    say "installed $executable $version"
}

# --- proof -----------------------------------------------------------------------------------------------------

sha256_of() {
    if have sha256sum; then
        sum=$(sha256sum <"$1")
    elif have shasum; then
        sum=$(shasum -a 256 <"$1")
    elif have openssl; then
        sum=$(openssl dgst -sha256 -r <"$1")
    else
        die 8 "cannot check anything: no sha256sum, shasum or openssl here"
    fi
    printf '%s\n' "${sum%% *}"
}

# What can check an Ed25519 signature over BLAKE2b here. LibreSSL and OpenSSL 1 cannot.
find_verifier() {
    verifier=''
    for candidate in openssl openssl3; do
        if [ -n "$verifier" ] || ! have "$candidate"; then continue; fi
        case $("$candidate" version 2>/dev/null) in
            'OpenSSL '[3-9].* | 'OpenSSL '[1-9][0-9].*) verifier=$candidate ;;
        esac
    done
    if [ -z "$verifier" ] && have minisign; then verifier=minisign; fi
}

# Proves that a release key signed manifest.json as the manifest of this version; ends the script otherwise.
check_signature() {
    signature=$staging/manifest.json.minisig
    refuse_web_page "$signature" manifest.json.minisig
    if [ "$(wc -c <"$signature")" -gt 1024 ] || [ "$(wc -l <"$signature")" -ne 4 ]; then
        die 8 "manifest.json.minisig is not a signature: it must be four lines in at most 1024 bytes"
    fi
    if [ "$(head -c 19 "$signature")" != 'untrusted comment: ' ] ||
        [ "$(tr -cd '\r\000' <"$signature" | wc -c)" -ne 0 ]; then
        die 8 "manifest.json.minisig is not a signature: it is not in the form that minisign writes"
    fi
    # The one way to write 74 and 64 bytes in base64: what is left over of the last letter is zero. No tool is asked,
    # because they differ in what they let pass.
    if ! sed -n 2p "$signature" | LC_ALL=C grep -Eqx '[A-Za-z0-9+/]{98}[AEIMQUYcgkosw048]=' ||
        ! sed -n 4p "$signature" | LC_ALL=C grep -Eqx '[A-Za-z0-9+/]{85}[AQgw]=='; then
        die 8 "manifest.json.minisig is not a signature: its base64 is not what minisign writes"
    fi
    comment=$(sed -n '3s/^trusted comment: //p' "$signature")
    found=$(printf '%s\n' "$release_keys" | while read -r key first last; do
        if [ -n "$key" ] && signed_by "$key"; then printf '%s %s\n' "$first" "$last"; fi
    done)
    if [ -z "$found" ]; then
        die 8 "manifest.json of $version is not signed by a release key of this script" \
            "fetch install.sh again; if it stays, do not use this mirror: $place"
    fi
    check_comment "${found% *}" "${found#* }"
}

# signed_by KEY: both signatures of manifest.json.minisig hold: over the file, and over signature and comment.
signed_by() {
    if [ "$verifier" = minisign ]; then
        minisign -VHqm "$staging/manifest.json" -x "$signature" -P "$1" >/dev/null 2>&1
        return
    fi
    # Each step ends in "|| return 1": called as a condition, set -e would not apply.
    sed -n 2p "$signature" | unbase64 >"$staging/sig" || return 1
    sed -n 4p "$signature" | unbase64 >"$staging/global" || return 1
    [ "$(wc -c <"$staging/sig")" -eq 74 ] && [ "$(wc -c <"$staging/global")" -eq 64 ] || return 1
    # Only the prehashed kind, "ED"; the legacy kind "Ed" signs the file itself.
    [ "$(head -c 2 "$staging/sig")" = ED ] || return 1
    printf %s "$1" | unbase64 >"$staging/key" && [ "$(wc -c <"$staging/key")" -eq 42 ] || return 1
    [ "$(key_id <"$staging/key")" = "$(key_id <"$staging/sig")" ] || return 1
    # The fixed header of an Ed25519 public key in DER, then the key.
    {
        printf '\060\052\060\005\006\003\053\145\160\003\041\000' && tail -c 32 "$staging/key"
    } >"$staging/der" || return 1
    tail -c 64 "$staging/sig" >"$staging/raw" || return 1
    "$verifier" dgst -blake2b512 -binary "$staging/manifest.json" >"$staging/hash" || return 1
    ed25519 "$staging/hash" "$staging/raw" || return 1
    { cat "$staging/raw" && printf %s "$comment"; } >"$staging/statement" || return 1
    ed25519 "$staging/statement" "$staging/global"
}

ed25519() {
    "$verifier" pkeyutl -verify -pubin -keyform DER -inkey "$staging/der" -rawin -in "$1" -sigfile "$2" >/dev/null 2>&1
}

unbase64() {
    tr -d '\n' | "$verifier" base64 -d -A
}

key_id() {
    tail -c +3 | head -c 8 | od -An -v -tx1 | tr -d ' \n'
}

# The trusted comment says which document this is; every word is compared, none is searched for.
check_comment() {
    first_seq=$1 last_seq=$2
    set -f
    # shellcheck disable=SC2086 # splitting into words is the point
    set -- $comment
    set +f
    digest=$(sha256_of "$staging/manifest.json")
    size=$(wc -c <"$staging/manifest.json" | tr -d ' ')
    if [ $# -ne 9 ] || [ "$1 $2 $3" != "gwinstall/1 manifest product=gwinstall" ] || [ "${4%%=*}" != channel ] ||
        [ "$6 $7 $8" != "version=$version len=$size sha256=$digest" ] || [ "${9%%=*}" != expires ]; then
        die 8 "the signature belongs to something else: '$comment', not the manifest of $version"
    fi
    seq=${5#seq=}
    case $seq in
        '' | *[!0-9]* | ?????????????????*) die 8 "the signature names no release number: '$comment'" ;;
    esac
    if [ "$seq" -lt "$first_seq" ] || [ "$seq" -gt "$last_seq" ]; then
        die 8 "the key that signed release $seq may sign $first_seq to $last_seq only"
    fi
    if awk -v a="$(date -u +%Y-%m-%dT%H:%M:%SZ)" -v b="${9#expires=}" 'BEGIN { exit !(a "" > b "") }'; then
        say "warning: release $version was current until ${9#expires=}"
    fi
    say "signature verified: release $seq, version $version"
}

# --- download --------------------------------------------------------------------------------------------------

# fetch NAME FILE: from the place into FILE, or the end of the script.
fetch() {
    case $place in
        /*)
            if [ ! -f "$place/$1" ]; then die 1 "no $1 in $place" "set GWINSTALL_BASE_URL to a directory with it"; fi
            capped cat "$place/$1" >"$2" || die 1 "cannot copy $place/$1 to $directory"
            return 0
            ;;
    esac
    url=$place/$1
    for pause in 1 2 0; do
        rm -f "$2"
        if capped download "$url" "$2" 2>"$staging/log"; then return 0; fi
        if [ "$(seconds_left)" -le 1 ]; then
            die 10 "cannot fetch $url: it took longer than $total_seconds seconds" \
                "try again, or on a faster network; to fetch it in another way: $url"
        fi
        # A 4xx stays: the file is not there, or this machine may not have it. 429 means "later".
        case $(cat "$staging/log") in
            *429*) ;;
            *'error: 4'[0-9][0-9]* | *'ERROR 4'[0-9][0-9]* | *'HTTP/1.'[01]' 4'[0-9][0-9]*) break ;;
        esac
        if [ "$pause" != 0 ]; then sleep "$pause"; fi
    done
    # Both curl and wget end a complaint about certificates with advice; the fact comes first.
    reason=$(grep -E 'curl: |wget: |ERROR|ailed|neither' "$staging/log" | grep -v ': note:' | head -n 1)
    die 10 "cannot fetch $url: ${reason:-the connection broke, or the answer is longer than any release}" \
        "check the address, your network and HTTPS_PROXY, then run this again"
}

# No answer may fill the disk: at most 64 MiB (128 where the shell counts in 1024 bytes).
capped() (
    ulimit -f 131072 2>/dev/null
    "$@"
)

seconds_left() {
    left=$((deadline - $(date +%s)))
    if [ "$left" -lt 1 ]; then left=1; fi
    printf '%s\n' "$left"
}

# download URL FILE. A redirect is followed to https only.
download() {
    if have curl; then
        # One pair of protocols: curl takes the last one that it is given. No globs: the name is one file.
        scheme='=https'
        case $1 in
            http:*) scheme='=http' ;;
        esac
        set -- -fsSLg --proto "$scheme" --proto-redir '=https' --tlsv1.2 --max-redirs 5 --connect-timeout 10 \
            --max-time "$(seconds_left)" --speed-limit 1 --speed-time 20 -o "$2" "$1"
        if [ -n "${GWINSTALL_CA_BUNDLE:-}" ]; then set -- --cacert "$GWINSTALL_CA_BUNDLE" "$@"; fi
        curl "$@"
    elif have wget && wget --version >/dev/null 2>&1; then
        follow "$1" "$2"
    elif have wget; then
        busybox_wget "$1" "$2"
    else
        printf 'neither curl nor wget is here\n' >&2
        return 1
    fi
}

# wget with redirects of our own: those of wget go to http as well.
follow() {
    at=$1
    for _ in 1 2 3 4 5 6; do
        set -- "$at" "$2"
        if [ -n "${GWINSTALL_CA_BUNDLE:-}" ]; then set -- "$1" "$2" "--ca-certificate=$GWINSTALL_CA_BUNDLE"; fi
        in_time wget -nv -S --tries=1 --timeout=20 --max-redirect=0 -O "$2" ${3+"$3"} "$1" 2>"$staging/answer"
        code=$?
        cat "$staging/answer" >&2
        if [ "$code" -eq 0 ]; then return 0; fi
        location=$(tr -d '\r' <"$staging/answer" | sed -n 's/^ *[Ll]ocation: *\([^ ]*\).*/\1/p' | tail -n 1)
        case $location in
            '') return 1 ;;
            https://*) at=$location ;;
            //*) at=https:$location ;;
            /*)
                host=${at#*://}
                at=${at%%://*}://${host%%/*}$location
                ;;
            *)
                printf 'wget: a redirect to %s is refused: only https is followed\n' "$location" >&2
                return 1
                ;;
        esac
    done
    printf 'wget: more than 5 redirects\n' >&2
    return 1
}

# busybox follows redirects by itself, and leaves TLS to openssl where that is here; else it checks no certificate. The
# sha256 needs none. What came over http after a redirect is not used.
busybox_wget() {
    if [ -n "${GWINSTALL_CA_BUNDLE:-}" ]; then
        SSL_CERT_FILE=$GWINSTALL_CA_BUNDLE
        export SSL_CERT_FILE
    fi
    # Some builds of busybox crash over -T, and old ones do not know -S.
    for flags in '-S -T 20' -S '-T 20' ''; do
        # shellcheck disable=SC2086 # splitting into words is the point
        in_time wget -q $flags -O "$2" "$1" 2>"$staging/answer"
        code=$?
        if [ "$code" -ne 139 ] && ! grep -Eq '(invalid|unrecognized) option' "$staging/answer"; then break; fi
    done
    cat "$staging/answer" >&2
    if tr -d '\r' <"$staging/answer" | grep -Eiq '^ *location: *[a-z]+:' &&
        tr -d '\r' <"$staging/answer" | grep -Ei '^ *location: *[a-z]+:' | grep -Eivq '^ *location: *https://'; then
        printf 'wget: a redirect to another place than https is refused\n' >&2
        return 1
    fi
    return "$code"
}

# in_time COMMAND…: ends it when the time for all downloads is over.
in_time() {
    if timeout --foreground 5 true 2>/dev/null; then
        timeout --foreground "$(seconds_left)" "$@"
    elif timeout 5 true 2>/dev/null; then
        timeout "$(seconds_left)" "$@"
    else
        (
            "$@" &
            job=$!
            trap 'kill "$job" 2>/dev/null; exit 1' HUP INT TERM
            while kill -0 "$job" 2>/dev/null; do
                if [ "$(seconds_left)" -le 1 ]; then kill "$job"; fi
                sleep 1
            done
            wait "$job"
        )
    fi
}

# A sign-in page of a network answers 200 to everything.
refuse_web_page() {
    if head -c 256 "$1" | tr '[:upper:]' '[:lower:]' | grep -Eq '^[[:space:]]*<(!doctype|html|head|\?xml)'; then
        die 10 "what $place sent for $2 looks like a web page: captive portal or proxy?" \
            "sign in to the network, then run this again"
    fi
}

# --- a source checkout -----------------------------------------------------------------------------------------

install_from_source() {
    checkout=$(script_directory)
    if [ -z "$checkout" ] || ! grep -q '^name = "gwinstall"' "$checkout/Cargo.toml" 2>/dev/null; then
        die 2 "this install.sh holds no release and is not in a source checkout" \
            "take the install.sh of a release, or clone the repository and run ./install.sh in it"
    fi
    if [ -n "${GWINSTALL_VERSION:-}${GWINSTALL_BASE_URL:-}" ]; then
        die 2 "GWINSTALL_VERSION and GWINSTALL_BASE_URL choose a release; this is the install.sh of a source checkout" \
            "unset them to build from source, or run the release's own: sh ${GWINSTALL_BASE_URL:-DIR}/install.sh"
    fi
    say "no release inside this script: building gwinstall from the source in $checkout"
    find_cargo
    find_linker
    choose_toolchain
    (cd "$checkout" && cargo build --release --locked --package gwinstall --bin gwinstall --target "$target") >&2 ||
        die 1 "cargo could not build gwinstall in $checkout"
    output=$(cd "$checkout" && cargo metadata --no-deps --locked --format-version 1 |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    built=$output/$target/release/gwinstall
    if [ ! -f "$built" ]; then die 1 "cargo left no executable at $built"; fi
    if [ -x "$executable" ] && cmp -s "$built" "$executable"; then
        say "$executable is this build already"
        return 0
    fi
    make_staging
    version=$("$built" --version 2>/dev/null </dev/null | awk 'NR == 1 { print $2 }')
    cp "$built" "$staging/gwinstall" || die 1 "cannot copy $built to $directory"
    put_in_place
}

find_cargo() {
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
        export PATH
    fi
    if ! have cargo; then
        die 1 "building needs Rust, and there is no cargo here" \
            "curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal, then run this again"
    fi
}

# Rust links with the C compiler. Root on Debian gets it here; anybody else is told the command.
find_linker() {
    if have cc; then return 0; fi
    if [ "$(id -u)" = 0 ] && have apt-get; then
        say "no C compiler here: installing gcc with apt-get"
        if DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev >&2 && have cc; then
            return 0
        fi
        if apt-get update >&2 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev >&2 && have cc; then
            return 0
        fi
    fi
    die 1 "building needs a C compiler to link with, and there is no cc here" "sudo apt-get install -y gcc libc6-dev"
}

# The pinned toolchain with the static target, installed where missing: rustup may have been told not to do it itself.
choose_toolchain() {
    host=''
    channel=$(sed -n 's/^channel *= *"\([^"]*\)".*/\1/p' "$checkout/rust-toolchain.toml" 2>/dev/null)
    if have rustup && [ -n "$channel" ]; then
        if ! rustup run "$channel" cargo --version >/dev/null 2>&1; then
            say "installing Rust $channel, which this source is pinned to"
            rustup toolchain install "$channel" --profile minimal --no-self-update >&2 ||
                die 1 "rustup could not install Rust $channel"
        fi
        # Says it to every cargo and rustc below, and keeps rustup from adding the developers' components.
        RUSTUP_TOOLCHAIN=$channel
        export RUSTUP_TOOLCHAIN
        if ! rustup target list --installed --toolchain "$channel" 2>/dev/null | grep -qx "$target"; then
            say "adding the static target $target to Rust $channel"
            rustup target add --toolchain "$channel" "$target" >&2 || host=yes
        fi
    elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        host=yes
    fi
    if [ -n "$host" ]; then
        wanted=$target
        target=$(rustc -vV | sed -n 's/^host: //p')
        say "Rust has no $wanted here: building for $target instead, which links to this machine's C library"
    fi
}

# --- PATH ------------------------------------------------------------------------------------------------------

tell_about_path() {
    on_path=$(command -v gwinstall 2>/dev/null) || on_path=''
    case $on_path in
        /*) on_path=$(cd "${on_path%/*}/" 2>/dev/null && pwd -P) ;;
        *) on_path='' ;;
    esac
    if [ "$on_path" = "$(cd "$directory" && pwd -P)" ]; then return 0; fi
    if [ -n "$on_path" ]; then
        say "warning: your PATH finds another gwinstall first, in $on_path"
    fi
    case $directory in
        *[\"\$\`\\\'!]*)
            say "$directory is not on your PATH; its name is too odd for a shell file, so add it by hand"
            return 0
            ;;
    esac
    if [ "$modify_path" = yes ] && [ -z "${GWINSTALL_NO_MODIFY_PATH:-}" ]; then
        edit_shell_files
        return 0
    fi
    say "$directory is not on your PATH. Add it with:"
    printf '    %s\n' "$(path_line)" >&2
}

path_line() {
    case ${SHELL:-} in
        */fish) printf 'fish_add_path --path "%s"\n' "$directory" ;;
        *) printf 'export PATH="%s:%s"\n' "$directory" "\$PATH" ;;
    esac
}

# One marked line a file, appended so that links and modes stay; `gwinstall uninstall --purge` removes marked lines.
edit_shell_files() {
    line="$(path_line) # added by gwinstall install.sh"
    case ${SHELL:-} in
        */fish) set -- "${XDG_CONFIG_HOME:-$HOME/.config}/fish/conf.d/gwinstall.fish" ;;
        */zsh) set -- "${ZDOTDIR:-$HOME}/.zshrc" ;;
        */bash)
            # A login bash reads the first of these three alone; making an earlier one would hide a later one.
            login=$HOME/.profile
            if [ -f "$HOME/.bash_login" ]; then login=$HOME/.bash_login; fi
            if [ -f "$HOME/.bash_profile" ]; then login=$HOME/.bash_profile; fi
            set -- "$HOME/.bashrc" "$login"
            ;;
        *) set -- "$HOME/.profile" ;;
    esac
    for file in "$@"; do
        if grep -qxF "$line" "$file" 2>/dev/null; then continue; fi
        mkdir -p "${file%/*}" 2>/dev/null
        newline=''
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then newline='
'; fi
        if printf '%s%s\n' "$newline" "$line" 2>/dev/null >>"$file"; then
            say "added to $file: $line"
        else
            say "warning: cannot write $file; add this line yourself: $line"
        fi
    done
}

# --- hand over -------------------------------------------------------------------------------------------------

hand_over() {
    if [ $# -gt 0 ]; then
        # Read from a pipe (`curl … | sh -s -- …`), the script itself was standard input: ask the terminal instead.
        case $- in
            *s*) if [ ! -t 0 ] && terminal_opens; then exec "$executable" install "$@" </dev/tty; fi ;;
        esac
        exec "$executable" install "$@"
    fi
    if terminal_opens; then exec "$executable" install </dev/tty; fi
    say "next: $executable install --preset basic --yes"
}

terminal_opens() {
    (: </dev/tty) 2>/dev/null
}

main "$@"; }
