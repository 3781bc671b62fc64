# tests/support/debian.bash - what a fresh Debian 12 needs, in one place. Sourced by tests/run, examples/run and .ci/run.

# To build the library with every room, and its examples.
packages_build=(g++ cmake ninja-build pkg-config ccache libhiredis-dev libmemcached-dev libsqlite3-dev libmsgpack-cxx-dev
  libssl-dev nlohmann-json3-dev libzstd-dev zlib1g-dev)
# To build and run the tests, with real servers.
packages_test=(libgtest-dev relacy-dev redis-server memcached openssl procps)
# For the contributors' checks: the other compiler, its sanitizers' runtime, the formatter, the benchmarks' peers.
packages_check=(clang-14 clang libclang-rt-14-dev clang-format-14 git dpkg-dev file libbenchmark-dev librocksdb-dev libtbb-dev liblmdb-dev
  libleveldb-dev)

say() { printf '\n== %s\n' "$*"; }

# need_packages PACKAGE... - installs those that are missing, and says so; does nothing where none is.
need_packages() {
  local package missing=() as_root=()
  command -v apt-get >/dev/null || { echo "no apt-get here: see that you have the like of: $*"; return 0; }
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "missing, and neither root nor sudo to install them: ${missing[*]}" >&2; return 1; }
    as_root=(sudo)
  fi
  say "Installing what is missing: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends "${missing[@]}"
}

# configure_and_build PRESET [TARGET...] - by its preset, with all cores.
configure_and_build() {
  local preset=$1 log
  shift
  say "Building: preset $preset"
  log=$(cmake --preset "$preset" 2>&1) || { printf '%s\n' "$log"; return 1; }
  printf '%s\n' "$log" | sed -n '/-- Flux Cache/,/-- Configuring done/p' | grep -v 'Configuring done'
  cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}
}
