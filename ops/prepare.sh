# Sourced by ./ops/demo and ./ops/test: makes sure that everything is there to build with.
# shellcheck shell=bash

BOXOFFICE_PROFILE="${BOXOFFICE_PROFILE:-dev}"
# Tests have a default of their own, which is dev's.
cargo_profile=()
[[ $BOXOFFICE_PROFILE == dev ]] || cargo_profile=(--profile "$BOXOFFICE_PROFILE")

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# Prints the Debian packages that are missing, one a line; with the argument "tests" those that only tests need, too.
missing_packages() {
    command -v cc >/dev/null || echo gcc libc6-dev
    command -v make >/dev/null || echo make
    command -v pkg-config >/dev/null || echo pkg-config
    command -v xz >/dev/null || echo xz-utils
    command -v mvn >/dev/null || echo maven
    command -v setpriv >/dev/null || echo util-linux
    { command -v pkg-config >/dev/null && pkg-config --exists openssl; } || echo libssl-dev
    { command -v pkg-config >/dev/null && pkg-config --exists zlib; } || echo zlib1g-dev
    # The local stack fetches a Java of its own with pip where none is new enough.
    python3 -m pip --version >/dev/null 2>&1 || echo python3 python3-pip
    [[ ${1:-} == tests ]] || return 0
    # The page that people wait on is tested in a real browser.
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || echo chromium
}

install_packages() {
    local packages root=()
    packages="$(missing_packages "$@")"
    [[ -z $packages ]] && return
    # The names are separated by white space.
    # shellcheck disable=SC2086
    set -- $packages
    command -v apt-get >/dev/null || fail "these Debian packages, or what they are called here, are needed: $*"
    if [[ $EUID -ne 0 ]]; then
        command -v sudo >/dev/null || fail "these Debian packages are needed; install them as root: apt-get install $*"
        root=(sudo)
    fi
    say "installing the Debian packages $*"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_rust() {
    [[ -f ${HOME:-}/.cargo/env ]] && source "$HOME/.cargo/env"
    command -v cargo >/dev/null ||
        fail "cargo is missing; install Rust with rustup (Debian: apt-get install rustup && rustup default stable)"
    local wanted have
    wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
    have="$(rustc --version | cut -d' ' -f2)"
    [[ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" == "$wanted" ]] ||
        fail "Rust $wanted or newer is needed, this is $have; update it with: rustup update stable"
}

# The folder of the programs that cargo builds.
programs() {
    local target="${CARGO_TARGET_DIR:-target}" folder="$BOXOFFICE_PROFILE"
    [[ $folder == dev ]] && folder=debug
    (cd "$target" && printf '%s/%s\n' "$PWD" "$folder")
}

build_programs() {
    if [[ $BOXOFFICE_PROFILE == dev ]]; then
        cargo build --bins -p ops -p provider-sandbox -p command-api -p projectors -p query-api
        return
    fi
    # boxctl brings the simulation with it, and that the switches of deliberate defects. Optimized services with such
    # switches refuse to start, and cargo gives what it builds together the same features: so they are built apart.
    cargo build "${cargo_profile[@]}" --bins -p ops -p provider-sandbox
    cargo build "${cargo_profile[@]}" --bins -p command-api -p projectors -p query-api
}
