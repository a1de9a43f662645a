#!/bin/bash
# engine.sh up    a Docker Engine that answers, with the image node:20-bookworm-slim; installs and starts what is missing
# engine.sh down  stops the engine, if `up` has started it
# Where that cannot be had, `up` says so in one line and ends with 1.
set -euo pipefail
base=node:20-bookworm-slim
root=$(cd "$(dirname "$0")/../.." && pwd)
# Makes a stand-in for the base image where no image registry can be reached.
make_base=$root/../shared/hosts/docker/mkbase.sh
run=${TMPDIR:-/tmp}/fascicle-test-engine

skip() { echo "docker tests are skipped: $1" >&2; exit 1; }
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
# A dead process stays a zombie until its parent looks.
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

install_missing() {
  local missing=() pair
  for pair in dockerd:docker.io docker-compose:docker-compose debootstrap:debootstrap iptables:iptables; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  command -v apt-get >/dev/null || skip "there is no apt-get to install ${missing[*]}"
  echo "installing ${missing[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(apt-get install -y --no-install-recommends "${missing[@]}" 2>&1) ||
    log=$(apt-get update 2>&1 && apt-get install -y --no-install-recommends "${missing[@]}" 2>&1) ||
    { echo "$log" | tail -5 >&2; skip "apt-get cannot install ${missing[*]}"; }
}

start_engine() {
  [ "$(id -u)" = 0 ] || skip "no Docker Engine answers, and only root can start one"
  install_missing
  # Installing may have started it.
  if answers; then return; fi
  mkdir -p "$run"
  # Left behind by an engine that was killed.
  rm -f /var/run/docker.pid
  setsid nohup dockerd --log-opt max-size=10m >"$run/log" 2>&1 </dev/null &
  echo $! >"$run/pid"
  for _ in $(seq 150); do
    if answers; then echo "engine started (pid $(cat "$run/pid"))"; return; fi
    alive "$(cat "$run/pid")" || break
    sleep 0.2
  done
  tail -5 "$run/log" >&2
  stop_engine
  skip "dockerd does not start"
}

stop_engine() {
  [ -s "$run/pid" ] || return 0
  local pid
  pid=$(cat "$run/pid")
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 150); do alive "$pid" || break; sleep 0.2; done
  if alive "$pid"; then echo "the engine (pid $pid) does not end" >&2; exit 1; fi
  # It leaves its bridge behind.
  ip link delete docker0 2>/dev/null || true
  rm -rf "$run"
  echo "engine stopped"
}

has_base() { docker image inspect "$base" >/dev/null 2>&1; }

ensure_base() {
  if has_base; then return; fi
  if [ -x "$make_base" ] && [ "$(id -u)" = 0 ]; then
    install_missing
    echo "making a stand-in for $base ..."
    "$make_base" "$base" >/dev/null || true
  else
    timeout 120 docker pull --quiet "$base" >/dev/null 2>&1 || true
  fi
  has_base || { stop_engine; skip "there is no image $base, and it can be neither made nor pulled"; }
}

case "${1:-}" in
  up) answers || start_engine; ensure_base ;;
  down) stop_engine ;;
  *) echo "usage: engine.sh up|down" >&2; exit 2 ;;
esac
