# tests/support/servers.bash - real servers for a test run: on free loopback ports, in a temporary folder, and gone when the
# shell that started them is, however it ends.

# Ends each server that this shell started and removes their folder.
stop_servers() {
  set +e   # how the run ended is its own answer, not that of a server's last words
  local pid
  for pid in "${server_pids[@]}"; do
    kill -CONT "$pid" 2>/dev/null && kill -TERM "$pid" 2>/dev/null
  done
  for pid in "${server_pids[@]}"; do
    for _ in {1..50}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  server_pids=()
  [ -z "${server_dir:-}" ] || rm -rf "$server_dir"
  server_dir=
}

# start_server NAME COMMAND... - runs COMMAND with @PORT@ filled in until it listens; answers in $server_address.
start_server() {
  local name=$1 port pid
  shift
  for _ in {1..20}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue   # somebody is there already
    # The kernel ends the server with this shell, should the shell be killed before it can.
    setpriv --pdeathsig KILL "${@//@PORT@/$port}" >"$server_dir/$name.log" 2>&1 &
    pid=$!
    for _ in {1..100}; do
      kill -0 "$pid" 2>/dev/null || continue 2
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        server_pids+=("$pid")
        server_address=127.0.0.1:$port
        return 0
      fi
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
  done
  echo "$name does not start:" >&2
  cat "$server_dir/$name.log" >&2
  return 1
}

# start_cluster - a redis cluster of three primaries with a replica each; answers the primaries' ports in $cluster_ports.
start_cluster() {
  local i nodes=() ports=()
  server_pids=()
  server_dir=$(mktemp -d)
  for i in {1..6}; do
    mkdir "$server_dir/$i"
    start_server "node$i" redis-server --bind 127.0.0.1 --port @PORT@ --save '' --appendonly no --dir "$server_dir/$i" \
      --cluster-enabled yes --cluster-node-timeout 2000 || return 1
    nodes+=("$server_address")
    ports+=("${server_address##*:}")
  done
  redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$server_dir/create.log" 2>&1 \
    || { cat "$server_dir/create.log" >&2; return 1; }
  for i in {1..6}; do
    until redis-cli -p "${ports[i - 1]}" cluster info | grep -q cluster_state:ok; do sleep 0.1; done
  done
  cluster_ports="${ports[0]} ${ports[1]} ${ports[2]}"
}

# start_redis NAME - a redis server that keeps nothing on disk; answers in $server_address.
start_redis() {
  mkdir -p "$server_dir/$1.files"
  start_server "$1" redis-server --bind 127.0.0.1 --port @PORT@ --save '' --appendonly no --dir "$server_dir/$1.files"
}

# start_servers - two of redis, and memcached; exports FLUX_TEST_REDIS, FLUX_TEST_SECOND_REDIS and FLUX_TEST_MEMCACHED,
# unless they are set already.
start_servers() {
  server_pids=()
  server_dir=$(mktemp -d)
  if [ -z "${FLUX_TEST_REDIS:-}" ]; then
    start_redis redis || return 1
    export FLUX_TEST_REDIS=$server_address
  fi
  if [ -z "${FLUX_TEST_SECOND_REDIS:-}" ]; then
    start_redis second_redis || return 1
    export FLUX_TEST_SECOND_REDIS=$server_address
  fi
  if [ -z "${FLUX_TEST_MEMCACHED:-}" ]; then
    start_server memcached memcached -l 127.0.0.1 -p @PORT@ -U 0 -u "$(id -un)" -m 1024 || return 1
    export FLUX_TEST_MEMCACHED=$server_address
  fi
  echo "redis at $FLUX_TEST_REDIS and $FLUX_TEST_SECOND_REDIS, memcached at $FLUX_TEST_MEMCACHED"
}
